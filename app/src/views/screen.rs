//! The frame of a screen in place of the chat: a bar with its name and the way back, what is on it, and what lies above that.

use app::{Action, strings};
use leptos::html;
use leptos::prelude::*;

use super::banners::Banners;
use super::toasts::Toasts;
use super::{Page, use_ui};
use crate::components::{Icon, Shape};

/// The frame. `class` is that of its column; `done` is what its button says that the person wants.
#[component]
pub(super) fn Screen(
    page: Page,
    title: &'static str,
    class: &'static str,
    done: Action,
    /// What stands below it, beside the toasts.
    #[prop(optional, into)]
    dock: ViewFn,
    children: Children,
) -> impl IntoView {
    let ui = use_ui();
    let heading = NodeRef::<html::H1>::new();
    heading.on_load(|heading| {
        let _focused = heading.focus();
    });
    let is_shown = move || ui.sidebar_shown(page);
    view! {
        <header class="bar is-lifted">
            <button
                type="button"
                class="icon-button"
                aria-label=move || if is_shown() { strings::HIDE_CHATS } else { strings::SHOW_CHATS }
                aria-controls="chats"
                node_ref=ui.toggle
                on:click=move |_| ui.toggle_sidebar()
            >
                <Icon shape=Shape::Sidebar />
            </button>
            <div class="bar-title">
                <h1 tabindex="-1" node_ref=heading>
                    {title}
                </h1>
            </div>
            <button type="button" class="plain" on:click=move |_| page.act(done.clone())>
                {strings::DONE}
            </button>
        </header>
        <Banners page />
        <main class="conversation">
            <div class=class>{children()}</div>
        </main>
        <div class="dock">
            <Toasts page />
            {move || dock.run()}
        </div>
    }
}
