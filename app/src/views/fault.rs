//! What went wrong, in words, with a button where one can help.

use app::{Action, strings};
use leptos::prelude::*;
use protocol::Retry;

use super::Page;

/// Present only while something is wrong.
#[component]
pub(super) fn FaultBox(page: Page) -> impl IntoView {
    let fault = page.part(|state| state.engine.fault.clone());
    let button = page.part(|state| {
        state
            .advice()
            .and_then(|advice| Some((advice, strings::retry(advice)?)))
    });
    let press = move |_| match button.get_untracked() {
        // A page that cannot be loaded again stays as it is.
        Some((Retry::Reload, _)) => drop(window().location().reload()),
        _ => page.act(Action::Retry),
    };
    view! {
        <Show when=move || fault.with(Option::is_some)>
            <div class="fault" role="alert" data-testid="fault">
                <p>{move || fault.with(|fault| fault.as_ref().map(|fault| strings::fault(fault.code)))}</p>
                <Show when=move || button.with(Option::is_some)>
                    <button type="button" data-testid="retry" on:click=press>
                        {move || button.get().map(|(_, words)| words)}
                    </button>
                </Show>
                <details>
                    <summary>{strings::DETAILS}</summary>
                    <pre>{move || fault.with(|fault| fault.as_ref().map(|fault| fault.detail.clone()))}</pre>
                </details>
            </div>
        </Show>
    }
}
