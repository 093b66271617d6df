//! What was written and not sent yet: it outlives its screen in memory, and the page in the browser's small store.

use std::time::Duration;

use app::{Database, Place};
use gloo::events::EventListener;
use leptos::prelude::*;
use web_sys::Storage;

use crate::page::Page;
use crate::platform;

/// How long the latest letters may be lost if the page is ended.
const KEEP_AFTER: Duration = Duration::from_millis(500);

/// All drafts of the page.
#[derive(Clone, Copy)]
pub(crate) struct Drafts {
    page: Page,
    written: StoredValue<app::Drafts>,
    /// Whether something changed that was not kept yet. Another tab's drafts are not overwritten for nothing.
    is_changed: StoredValue<bool>,
    is_due: StoredValue<bool>,
}

impl Drafts {
    pub(crate) fn new(page: Page) -> Self {
        let kept = store().and_then(|(store, name)| store.get_item(&name).ok().flatten());
        let drafts = Self {
            page,
            written: StoredValue::new(
                kept.map(|json| app::Drafts::read(&json))
                    .unwrap_or_default(),
            ),
            is_changed: StoredValue::new(false),
            is_due: StoredValue::new(false),
        };
        let hidden = EventListener::new(&document(), "visibilitychange", move |_| {
            if document().hidden() {
                drafts.keep();
            }
        });
        // The page has it as long as it lives.
        hidden.forget();
        let is_erasing = page.part(|state| state.erasing);
        Effect::new(move |_| {
            if is_erasing.get() {
                drafts.change(|written| *written = app::Drafts::default());
                drafts.keep();
            }
        });
        drafts
    }

    /// What is written there.
    pub(crate) fn get(self, place: Place) -> Option<String> {
        self.written
            .with_value(|written| written.get(place).map(str::to_owned))
    }

    /// Changes what is written.
    pub(crate) fn change(self, change: impl FnOnce(&mut app::Drafts)) {
        self.written.update_value(change);
        self.is_changed.set_value(true);
        if self.is_due.get_value() {
            return;
        }
        self.is_due.set_value(true);
        set_timeout(
            move || {
                self.is_due.set_value(false);
                self.keep();
            },
            KEEP_AFTER,
        );
    }

    /// Writes it down. Where there is no store, or no room in it, drafts live as long as the page.
    fn keep(self) {
        self.forget_gone();
        if !self.is_changed.get_value() {
            return;
        }
        self.is_changed.set_value(false);
        let Some((store, name)) = store() else { return };
        let _kept = match self.written.with_value(app::Drafts::to_json) {
            Some(json) => store.set_item(&name, &json),
            None => store.remove_item(&name),
        };
    }

    /// Drafts of deleted chats go, unless the chat may still come back.
    fn forget_gone(self) {
        let chats = self.page.state.with_untracked(|state| {
            let is_known = state.environment.database == Database::Open && state.can_edit();
            let undo = state.undo.as_ref().map(|undo| undo.head.clone());
            is_known.then(|| state.chats.list.iter().cloned().chain(undo).collect())
        });
        let Some(chats): Option<Vec<_>> = chats else {
            return;
        };
        let mut left = self.written.get_value();
        left.keep_only(&chats);
        if self.written.with_value(|written| *written != left) {
            self.written.set_value(left);
            self.is_changed.set_value(true);
        }
    }
}

/// The store and the name of the record in it.
fn store() -> Option<(Storage, String)> {
    let store = window().local_storage().ok()??;
    Some((store, format!("tern-drafts {}", platform::folder()?)))
}
