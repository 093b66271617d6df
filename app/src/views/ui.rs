//! What only the eyes need to know and nothing stores: which parts are open, and which keys were pressed.

use app::keys::{Press, Shortcut};
use app::{Action, Phase, Screen};
use leptos::html;
use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::drafts::Drafts;
use crate::page::Page;

/// From this width the list of chats stands beside the chat, below it lies above it.
const WIDE: &str = "(min-width: 900px)";

/// The state of the eyes.
#[derive(Clone, Copy)]
pub(crate) struct Ui {
    /// Whether there is room for the list of chats beside the chat.
    pub(crate) wide: RwSignal<bool>,
    /// Whether the list of chats lies above the chat.
    pub(crate) drawer: RwSignal<bool>,
    /// Whether the settings of the chat are open.
    pub(crate) chat_settings: RwSignal<bool>,
    /// Whether a part of the conversation lies behind the bar.
    pub(crate) scrolled: RwSignal<bool>,
    /// The link that waits for a yes.
    pub(crate) link: RwSignal<Option<String>>,
    /// A first question that was chosen from the suggestions.
    pub(crate) suggestion: RwSignal<Option<&'static str>>,
    /// What was written and not sent yet.
    pub(crate) drafts: Drafts,
    /// The field that narrows the list of chats.
    pub(crate) search: NodeRef<html::Input>,
    /// The field for a message.
    pub(crate) message: NodeRef<html::Textarea>,
    /// The button that stops an answer.
    pub(crate) stop: NodeRef<html::Button>,
    /// The button that shows and hides the list of chats.
    pub(crate) toggle: NodeRef<html::Button>,
    page: Page,
}

/// The state of the eyes, from anywhere below the page.
pub(crate) fn use_ui() -> Ui {
    expect_context::<Ui>()
}

impl Ui {
    pub(crate) fn new(page: Page) -> Self {
        let query = window().match_media(WIDE).ok().flatten();
        let wide = RwSignal::new(query.as_ref().is_none_or(|query| query.matches()));
        if let Some(query) = query {
            let seen = query.clone();
            let listener = gloo::events::EventListener::new(&query, "change", move |_| {
                wide.set(seen.matches())
            });
            // The page has it as long as it lives.
            listener.forget();
        }
        Self {
            wide,
            drawer: RwSignal::new(false),
            chat_settings: RwSignal::new(false),
            scrolled: RwSignal::new(false),
            link: RwSignal::new(None),
            suggestion: RwSignal::new(None),
            drafts: Drafts::new(page),
            search: NodeRef::new(),
            message: NodeRef::new(),
            stop: NodeRef::new(),
            toggle: NodeRef::new(),
            page,
        }
    }

    /// Whether the list of chats can be seen.
    pub(crate) fn sidebar_shown(self, page: Page) -> bool {
        if self.wide.get() {
            page.state.with(|state| state.preferences.sidebar)
        } else {
            self.drawer.get()
        }
    }

    /// Whether the list of chats covers the chat.
    pub(crate) fn is_covered(self) -> bool {
        !self.wide.get() && self.drawer.get()
    }

    /// Shows or hides the list of chats.
    pub(crate) fn toggle_sidebar(self) {
        if self.wide.get_untracked() {
            self.page.act(Action::ToggleSidebar);
        } else {
            self.drawer.update(|shown| *shown ^= true);
            if !self.drawer.get_untracked() {
                self.focus_toggle();
            }
        }
    }

    /// Hides the list of chats where it covers the chat.
    pub(crate) fn close_drawer(self) {
        self.drawer.set(false);
    }

    /// Begins an empty chat and, where there is a keyboard, waits for its first question.
    pub(crate) fn new_chat(self) {
        self.page.act(Action::NewChat);
        self.page.act(Action::CloseSettings);
        self.close_drawer();
        let has_keyboard = window()
            .match_media("(hover: hover)")
            .ok()
            .flatten()
            .is_some_and(|query| query.matches());
        if has_keyboard {
            self.focus_message();
        }
    }

    /// Puts the focus into the field for a message.
    pub(crate) fn focus_message(self) {
        request_animation_frame(move || {
            if let Some(field) = self.message.get_untracked() {
                let _focused = field.focus();
            }
        });
    }

    /// Puts the focus on the button that stops an answer, in place of the one that began it and is gone.
    pub(crate) fn focus_stop(self) {
        request_animation_frame(move || {
            if let Some(button) = self.stop.get_untracked() {
                let _focused = button.focus();
            }
        });
    }

    fn focus_toggle(self) {
        request_animation_frame(move || {
            if let Some(button) = self.toggle.get_untracked() {
                let _focused = button.focus();
            }
        });
    }

    fn find_chat(self) {
        if self.wide.get_untracked() {
            self.page.act(Action::SetSidebar(true));
        } else {
            self.drawer.set(true);
        }
        request_animation_frame(move || {
            if let Some(field) = self.search.get_untracked() {
                let _focused = field.focus();
                field.select();
            }
        });
    }

    /// Stops what runs, or closes what is open. Dialogs close themselves.
    fn escape(self) -> bool {
        if self.drawer.get_untracked() {
            self.drawer.set(false);
            self.focus_toggle();
            return true;
        }
        let (screen, phase) = self
            .page
            .state
            .with_untracked(|state| (state.screen, state.engine.phase));
        match (screen, phase) {
            (Screen::Settings, _) => self.page.act(Action::CloseSettings),
            (Screen::Diagnostics, _) => self.page.act(Action::CloseDiagnostics),
            (_, Phase::Answering) => self.page.act(Action::Stop),
            _ => return false,
        }
        true
    }
}

/// What a keyboard event says.
pub(crate) fn press<'a>(event: &KeyboardEvent, key: &'a str) -> Press<'a> {
    Press {
        key,
        command: event.meta_key() || event.ctrl_key(),
        shift: event.shift_key(),
        option: event.alt_key(),
        composing: event.is_composing(),
    }
}

/// Hears the keys that mean the same everywhere. While a dialog is open they are the dialog's.
pub(crate) fn shortcuts(page: Page, ui: Ui) {
    let handle = window_event_listener(leptos::ev::keydown, move |event| {
        let has_dialog = document()
            .query_selector("dialog[open]")
            .is_ok_and(|dialog| dialog.is_some());
        if has_dialog || event.default_prevented() {
            return;
        }
        let key = event.key();
        let Some(shortcut) = press(&event, &key).shortcut() else {
            return;
        };
        let is_used = match shortcut {
            Shortcut::FindChat => {
                ui.find_chat();
                true
            }
            Shortcut::NewChat => {
                ui.new_chat();
                true
            }
            Shortcut::ToggleChats => {
                ui.toggle_sidebar();
                true
            }
            Shortcut::Settings => {
                let is_open = page
                    .state
                    .with_untracked(|state| state.screen == Screen::Settings);
                page.act(if is_open {
                    Action::CloseSettings
                } else {
                    Action::OpenSettings
                });
                true
            }
            Shortcut::Escape => ui.escape(),
        };
        if is_used {
            event.prevent_default();
        }
    });
    // The page has it as long as it lives.
    std::mem::forget(handle);
}
