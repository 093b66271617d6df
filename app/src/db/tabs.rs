//! Tabs tell each other that the chats in the database have changed.

use std::rc::Rc;

use app::{Action, Change, DbRequest};
use gloo::events::EventListener;
use wasm_bindgen::JsValue;
use web_sys::BroadcastChannel;

use super::DATABASE;
use crate::page::Listener;

/// The other tabs.
pub(super) struct Tabs {
    /// Absent where the browser has none: then a tab reads again when it is looked at.
    channel: Option<BroadcastChannel>,
}

impl Tabs {
    /// Tells `listener` of changes that other tabs make.
    pub(super) fn listen(listener: &Listener) -> Self {
        let channel = BroadcastChannel::new(DATABASE).ok();
        if let Some(channel) = &channel {
            let tell = Rc::clone(listener);
            let heard = EventListener::new(channel, "message", move |_| tell(Action::ChatsChanged));
            // The page has it as long as it lives.
            heard.forget();
        }
        Self { channel }
    }

    /// Tells the other tabs of a request that was done, if it changed what they show.
    pub(super) fn tell_of(&self, request: &DbRequest) {
        let DbRequest::Write(changes) = request else {
            return;
        };
        if let Some(channel) = self
            .channel
            .as_ref()
            .filter(|_| changes.iter().any(is_news))
        {
            // A message of nothing can be copied, and the channel is never closed.
            let _told = channel.post_message(&JsValue::NULL);
        }
    }
}

/// A running answer is stored twice a second: the others need not read a chat so often, its end is enough.
fn is_news(change: &Change) -> bool {
    match change {
        Change::PutTurn { turn, .. } => turn.answer.finish.is_some(),
        Change::PutPreferences(_) | Change::PutFlight(_) => false,
        Change::PutChat(_) | Change::DeleteTurnsFrom { .. } | Change::DeleteChat(_) => true,
    }
}
