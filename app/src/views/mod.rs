//! The page, drawn from the state.

mod add_model;
mod banners;
mod catalogue;
mod chat_settings;
mod composer;
mod conversation;
mod diagnostics;
mod downloads;
mod drafts;
mod edit;
mod fault;
mod first_run;
mod fit;
mod header;
mod hosts;
mod model_sheet;
mod screen;
mod settings;
mod settings_model;
mod sidebar;
mod stages;
mod toasts;
mod turn;
mod ui;
mod viewport;

use app::{Phase, Screen, strings};
use leptos::prelude::*;

use crate::components::LinkDialog;
pub(crate) use crate::page::Page;
pub(crate) use ui::{Ui, use_ui};

use banners::{Banners, Elsewhere, Offer};
use chat_settings::ChatSettings;
use composer::Composer;
use conversation::Conversation;
use diagnostics::Diagnostics;
use header::Header;
use settings::Settings;
use sidebar::Sidebar;
use stages::{Part, Stages};
use toasts::Toasts;

/// Draws the page, and has it begin its work when it is drawn.
pub(crate) fn mount() {
    mount_to_body(|| {
        let (page, begin) = crate::page::start();
        let ui = Ui::new(page);
        provide_context(ui);
        viewport::follow();
        viewport::appearance(page);
        ui::shortcuts(page, ui);
        Stages::start(begin);
        view! { <App page /> }
    });
}

/// The list of chats beside the chat, the settings or the diagnostics, and what lies above them.
#[component]
fn App(page: Page) -> impl IntoView {
    let ui = use_ui();
    let screen = page.part(|state| state.screen);
    let is_covered = move || ui.is_covered();
    view! {
        <div
            class="app"
            class:is-drawn=Stages::has(Part::Dialogs)
            class:has-sidebar=move || ui.sidebar_shown(page)
        >
            <Show when=Stages::has(Part::Chats)>
                <Sidebar page />
            </Show>
            <Show when=is_covered>
                <div class="scrim" on:click=move |_| ui.drawer.set(false)></div>
            </Show>
            <div class="pane" inert=is_covered>
                {move || match screen.get() {
                    Screen::Chat => view! { <Chat page /> }.into_any(),
                    Screen::Settings => view! { <Settings page /> }.into_any(),
                    Screen::Diagnostics => view! { <Diagnostics page /> }.into_any(),
                }}
            </div>
            <Show when=Stages::has(Part::Dialogs)>
                <ChatSettings page />
                <LinkDialog page />
            </Show>
        </div>
    }
}

/// One chat.
#[component]
fn Chat(page: Page) -> impl IntoView {
    view! {
        <Show when=Stages::has(Part::Bar)>
            <Header page />
            <Banners page />
        </Show>
        <Show when=Stages::has(Part::Conversation)>
            <Conversation page />
        </Show>
        <Show when=Stages::has(Part::Dock)>
            <Dock page />
        </Show>
    }
}

/// What stands below the conversation.
#[component]
fn Dock(page: Page) -> impl IntoView {
    let ui = use_ui();
    let is_elsewhere = page.part(|state| state.engine.phase == Phase::Elsewhere);
    view! {
        <div class="dock">
            <Show when=move || !ui.is_covered()>
                <Toasts page />
            </Show>
            <Show when=move || is_elsewhere.get()>
                <Elsewhere page />
            </Show>
            <Offer page />
            <Composer page />
        </div>
    }
}

/// Whether the first-run screen takes the place of an empty conversation.
fn is_first_run(state: &app::State) -> bool {
    let is_empty = state.chats.open.turns.is_empty() && !state.chats.open.loading;
    let is_missing = state
        .engine
        .offer
        .as_ref()
        .is_some_and(|offer| !offer.complete);
    is_empty
        && match state.engine.phase {
            Phase::Offer => true,
            Phase::Loading | Phase::Failed => is_missing && state.engine.model.is_none(),
            _ => false,
        }
}

/// The title of the open chat.
fn chat_title(state: &app::State) -> String {
    let title = &state.chats.open.head.title;
    if title.is_empty() {
        strings::UNTITLED.to_owned()
    } else {
        title.clone()
    }
}
