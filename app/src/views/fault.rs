//! What went wrong, in words, with a button where one can help.

use app::{Action, Phase, strings};
use leptos::prelude::*;
use protocol::Retry;

use super::Page;
use super::hosts::AllowHost;
use crate::components::{Icon, Shape};

/// Whether there is nothing to see but what went wrong.
pub(super) fn is_alone(state: &app::State) -> bool {
    state.engine.phase == Phase::Failed
        && state.engine.model.is_none()
        && state.chats.open.turns.is_empty()
        && !super::is_first_run(state)
}

/// Present only while something is wrong. Alone on the screen when nothing was said yet, else below the conversation.
#[component]
pub(super) fn FaultBox(page: Page) -> impl IntoView {
    let fault = page.part(|state| state.engine.fault.clone());
    let is_alone = page.part(is_alone);
    let button = page.part(|state| {
        let advice = state.advice();
        // There is another button for it.
        let is_asked = state.host_to_allow().is_some();
        advice
            .filter(|_| !is_asked)
            .and_then(|advice| Some((advice, strings::retry(advice)?)))
    });
    let wants_another = page.part(app::State::wants_another_model);
    let press = move |_| match button.get_untracked() {
        // A page that cannot be loaded again stays as it is.
        Some((Retry::Reload, _)) => drop(window().location().reload()),
        _ => page.act(Action::Retry),
    };
    let code = move || fault.with(|fault| fault.as_ref().map(|fault| fault.code));
    let steps = move || code().map(strings::fault_steps).unwrap_or_default();
    let detail = move || fault.with(|fault| fault.as_ref().map(|fault| fault.detail.clone()));
    view! {
        <Show when=move || code().is_some()>
            <div class="fault" class:is-alone=move || is_alone.get() role="alert" data-testid="fault">
                <Icon shape=Shape::Warning />
                <div>
                    <h2>{move || code().map(strings::fault_title)}</h2>
                    <p>{move || fault.with(|fault| fault.as_ref().map(strings::fault_words))}</p>
                    <Show when=move || !steps().is_empty()>
                        <ul>
                            {move || steps().iter().map(|step| view! { <li>{*step}</li> }).collect_view()}
                        </ul>
                    </Show>
                    <AllowHost page />
                    <div class="fault-buttons">
                        <Show when=move || button.with(Option::is_some)>
                            <button type="button" class="primary" data-testid="retry" on:click=press>
                                {move || button.get().map(|(_, words)| words)}
                            </button>
                        </Show>
                        <Show when=move || wants_another.get()>
                            <button type="button" class="plain" on:click=move |_| page.act(Action::OpenSettings)>
                                {strings::ANOTHER_MODEL}
                            </button>
                        </Show>
                        <button type="button" class="plain" on:click=move |_| page.act(Action::OpenDiagnostics)>
                            {strings::DIAGNOSTICS}
                        </button>
                    </div>
                    <details>
                        <summary>{strings::DETAILS}</summary>
                        <pre>{detail}</pre>
                    </details>
                </div>
            </div>
        </Show>
    }
}
