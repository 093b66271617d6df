//! Name of the app and of the model, and the way to a new conversation.

use app::{Action, Phase, strings};
use leptos::prelude::*;

use super::Page;

/// The bar at the top.
#[component]
pub(super) fn Header(page: Page) -> impl IntoView {
    let model = page.part(|state| state.engine.model.as_ref().map(|model| model.name.clone()));
    let can_forget = page
        .part(|state| !state.chats.open.turns.is_empty() && state.engine.phase != Phase::Answering);
    view! {
        <header class="top">
            <div class="bar">
                <h1>{strings::TITLE}</h1>
                <span class="model">{move || model.get()}</span>
                <button
                    type="button"
                    class="quiet"
                    data-testid="new-chat"
                    disabled=move || !can_forget.get()
                    on:click=move |_| page.act(Action::NewChat)
                >
                    {strings::NEW_CHAT}
                </button>
            </div>
        </header>
    }
}
