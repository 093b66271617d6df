//! The list of chats.

mod row;

use app::listing::{self, Line};
use app::{Action, strings};
use leptos::prelude::*;

use super::toasts::Toasts;
use super::{Page, use_ui};
use crate::components::{Icon, Shape};
use row::Row;

/// The list, beside the chat where there is room and above it where there is not.
#[component]
pub(super) fn Sidebar(page: Page) -> impl IntoView {
    let ui = use_ui();
    let search = RwSignal::new(String::new());
    let lines = page.part(move |state| {
        search.with(|words| listing::lines(&state.chats.list, words, today_ends()))
    });
    let has_chats = page.part(|state| !state.chats.list.is_empty());
    let is_shown = move || ui.sidebar_shown(page);
    // Where the list covers the chat, it has what the chat's own parts can't do meanwhile.
    let is_above = move || ui.is_covered();
    view! {
        <nav id="chats" class="sidebar" aria-label=strings::CHATS inert=move || !is_shown()>
            <div class="sidebar-top">
                <img src="icon.svg" alt="" width="28" height="28" />
                <span class="wordmark">{strings::TITLE}</span>
                <Show when=is_above>
                    <button
                        type="button"
                        class="icon-button"
                        aria-label=strings::HIDE_CHATS
                        title=strings::HIDE_CHATS
                        on:click=move |_| ui.toggle_sidebar()
                    >
                        <Icon shape=Shape::Close />
                    </button>
                </Show>
            </div>
            <div class="search">
                <Icon shape=Shape::Search />
                <input
                    type="search"
                    aria-label=strings::SEARCH_CHATS
                    placeholder=strings::SEARCH_CHATS
                    autocomplete="off"
                    node_ref=ui.search
                    prop:value=move || search.get()
                    on:input=move |event| search.set(event_target_value(&event))
                />
            </div>
            <div class="chats">
                <Show when=move || lines.with(Vec::is_empty)>
                    <p class="faint empty">
                        {move || if has_chats.get() { strings::NO_MATCH } else { strings::NO_CHATS }}
                    </p>
                </Show>
                <ul>
                    <For
                        each=move || lines.get()
                        key=|line| *line
                        children=move |line| match line {
                            Line::Age(text) => view! { <li class="age">{text}</li> }.into_any(),
                            Line::Chat(id) => view! { <Row page id /> }.into_any(),
                        }
                    />
                </ul>
            </div>
            <Show when=is_above>
                <Toasts page />
            </Show>
            <div class="sidebar-foot">
                <button
                    type="button"
                    class="row-button"
                    on:click=move |_| {
                        page.act(Action::OpenSettings);
                        ui.close_drawer();
                    }
                >
                    <Icon shape=Shape::Gear />
                    <span>{strings::SETTINGS}</span>
                </button>
            </div>
        </nav>
    }
}

/// The coming midnight here, in milliseconds since 1970.
fn today_ends() -> f64 {
    let date = js_sys::Date::new_0();
    date.set_hours(24);
    date.set_minutes(0);
    date.set_seconds(0);
    date.set_milliseconds(0);
    date.get_time()
}
