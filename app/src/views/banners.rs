//! Lines above the conversation that stay until something changes.

use app::{Action, Database, strings};
use leptos::prelude::*;

use super::Page;
use crate::components::{Icon, Shape};

/// Trouble with storing chats, and a new version of the app.
#[component]
pub(super) fn Banners(page: Page) -> impl IntoView {
    let trouble = page.part(|state| match state.environment.database {
        Database::Failed { .. } => Some(strings::CHATS_NOT_SAVED),
        Database::Full { .. } => Some(strings::STORAGE_FULL),
        Database::Opening | Database::Open => None,
    });
    let can_update = page.part(app::State::can_update);
    view! {
        <Show when=move || trouble.get().is_some()>
            <div class="banner warning" role="alert">
                <Icon shape=Shape::Warning />
                <p>{move || trouble.get()}</p>
                <button type="button" class="plain" on:click=move |_| page.act(Action::ExportAll)>
                    {strings::EXPORT_ALL}
                </button>
            </div>
        </Show>
        <Show when=move || can_update.get()>
            <div class="banner">
                <p>{strings::UPDATE}</p>
                <button type="button" class="primary" on:click=move |_| page.act(Action::ApplyUpdate)>
                    {strings::UPDATE_NOW}
                </button>
            </div>
        </Show>
    }
}

/// In place of the composer while another tab has the engine.
#[component]
pub(super) fn Elsewhere(page: Page) -> impl IntoView {
    view! {
        <div class="elsewhere">
            <div>
                <h2>{strings::ELSEWHERE_TITLE}</h2>
                <p>{strings::ELSEWHERE_DETAIL}</p>
            </div>
            <button type="button" class="primary" on:click=move |_| page.act(Action::UseHere)>
                {strings::USE_HERE}
            </button>
        </div>
    }
}
