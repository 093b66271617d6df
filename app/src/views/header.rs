//! The bar above a chat: its title, the model, and the ways to lists, settings and a new chat.

use app::strings;
use leptos::prelude::*;

use super::{Page, chat_title, use_ui};
use crate::components::{Icon, Shape};

/// The bar at the top.
#[component]
pub(super) fn Header(page: Page) -> impl IntoView {
    let ui = use_ui();
    let title = page.part(|state| {
        if state.chats.open.turns.is_empty() {
            strings::TITLE.to_owned()
        } else {
            chat_title(state)
        }
    });
    let facts = page.part(facts);
    let can_forget = page.part(|state| !state.chats.open.turns.is_empty() && state.can_edit());
    let can_edit = page.part(app::State::can_edit);
    let is_shown = move || ui.sidebar_shown(page);
    let toggle_name = move || {
        if is_shown() {
            strings::HIDE_CHATS
        } else {
            strings::SHOW_CHATS
        }
    };
    view! {
        <header class="bar" class:is-lifted=move || ui.scrolled.get()>
            <button
                type="button"
                class="icon-button"
                aria-label=toggle_name
                title=toggle_name
                aria-expanded=move || if is_shown() { "true" } else { "false" }
                aria-controls="chats"
                node_ref=ui.toggle
                on:click=move |_| ui.toggle_sidebar()
            >
                <Icon shape=Shape::Sidebar />
            </button>
            <div class="bar-title">
                <h1>{move || title.get()}</h1>
                <p class="bar-facts">{move || facts.get()}</p>
            </div>
            <button
                type="button"
                class="icon-button"
                aria-label=strings::CHAT_SETTINGS
                title=strings::CHAT_SETTINGS
                aria-haspopup="dialog"
                disabled=move || !can_edit.get()
                on:click=move |_| ui.chat_settings.set(true)
            >
                <Icon shape=Shape::Sliders />
            </button>
            <button
                type="button"
                class="icon-button"
                data-testid="new-chat"
                aria-label=strings::NEW_CHAT
                title=strings::NEW_CHAT
                disabled=move || !can_forget.get()
                on:click=move |_| ui.new_chat()
            >
                <Icon shape=Shape::Compose />
            </button>
        </header>
    }
}

/// Name of the model, and how much of its context the chat takes.
fn facts(state: &app::State) -> Option<String> {
    let model = state.engine.model.as_ref()?;
    Some(match state.context_use() {
        Some((used, total)) if used > 0 => {
            format!("{} · {}", model.name, strings::context_use(used, total))
        }
        _ => model.name.clone(),
    })
}
