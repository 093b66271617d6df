//! What was written and not sent yet. It outlives the screen that it was written on, and the page.

use std::collections::BTreeMap;

use crate::{ChatHead, ChatId};

/// Longest text of all drafts together that is kept beyond the page, in bytes. What browsers take is about 5 MB.
const MAX_KEPT: usize = 1 << 20;

/// A place where something can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The field for a message of a chat that has no question yet. There is one of them, whichever number it has.
    NewChat,
    /// The field for a message of a chat.
    Chat(ChatId),
    /// A question of a chat that is being rewritten, by the number of its turn.
    Question(ChatId, u32),
}

impl Place {
    fn key(self) -> String {
        match self {
            Self::NewChat => String::new(),
            Self::Chat(chat) => chat.to_string(),
            // With ten digits they are in the order of their numbers.
            Self::Question(chat, number) => format!("{chat}:{number:010}"),
        }
    }
}

/// All drafts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drafts(BTreeMap<String, String>);

impl Drafts {
    /// What was kept. Nothing when that is not ours.
    #[must_use]
    pub fn read(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    /// As a text to keep; absent when there is nothing to keep, or more than can be kept.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        let bytes: usize = self.0.values().map(String::len).sum();
        if self.0.is_empty() || bytes > MAX_KEPT {
            return None;
        }
        serde_json::to_string(&self.0).ok()
    }

    /// What is written there. A question that is being rewritten may be empty, too.
    #[must_use]
    pub fn get(&self, place: Place) -> Option<&str> {
        self.0.get(&place.key()).map(String::as_str)
    }

    /// Something was written.
    pub fn set(&mut self, place: Place, text: &str) {
        let is_question = matches!(place, Place::Question(..));
        if text.is_empty() && !is_question {
            self.0.remove(&place.key());
        } else {
            self.0.insert(place.key(), text.to_owned());
        }
    }

    /// It was sent, or is not wanted any more.
    pub fn drop(&mut self, place: Place) {
        self.0.remove(&place.key());
    }

    /// A question and all behind it are replaced, and so is what was to become of them.
    pub fn drop_questions_from(&mut self, chat: ChatId, number: u32) {
        let first = Place::Question(chat, number).key();
        let last = Place::Question(chat, u32::MAX).key();
        self.0.retain(|key, _| *key < first || *key > last);
    }

    /// Drafts of chats that are gone go with them.
    pub fn keep_only(&mut self, chats: &[ChatHead]) {
        let known: std::collections::BTreeSet<String> =
            chats.iter().map(|head| head.id.to_string()).collect();
        self.0.retain(|key, _| {
            let chat = key.split(':').next().unwrap_or_default();
            chat.is_empty() || known.contains(chat)
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{ChatHead, ChatId, Drafts, MAX_KEPT, Place};

    fn some() -> Drafts {
        let mut drafts = Drafts::default();
        for (place, text) in [
            (Place::NewChat, "new"),
            (Place::Chat(ChatId(1)), "one"),
            (Place::Question(ChatId(1), 2), "two"),
            (Place::Question(ChatId(1), 10), "ten"),
            (Place::Question(ChatId(2), 3), ""),
        ] {
            drafts.set(place, text);
        }
        drafts
    }

    #[test]
    fn what_was_kept_is_read_again_and_anything_else_is_nothing() {
        let drafts = some();
        assert_eq!(Drafts::read(&drafts.to_json().unwrap()), drafts);
        for foreign in ["", "7", "[]", "{\"a\":1}"] {
            assert_eq!(Drafts::read(foreign), Drafts::default());
        }
        assert_eq!(Drafts::default().to_json(), None);
        let mut large = some();
        large.set(Place::NewChat, &"x".repeat(MAX_KEPT));
        assert_eq!(large.to_json(), None);
    }

    #[test]
    fn an_emptied_field_has_no_draft_but_an_emptied_question_is_still_being_rewritten() {
        let mut drafts = some();
        drafts.set(Place::Chat(ChatId(1)), "");
        assert_eq!(drafts.get(Place::Chat(ChatId(1))), None);
        assert_eq!(drafts.get(Place::Question(ChatId(2), 3)), Some(""));
        drafts.drop(Place::Question(ChatId(2), 3));
        assert_eq!(drafts.get(Place::Question(ChatId(2), 3)), None);
    }

    #[test]
    fn drafts_go_with_what_they_belong_to() {
        let mut drafts = some();
        drafts.drop_questions_from(ChatId(1), 3);
        assert_eq!(drafts.get(Place::Question(ChatId(1), 2)), Some("two"));
        assert_eq!(drafts.get(Place::Question(ChatId(1), 10)), None);
        assert_eq!(drafts.get(Place::Chat(ChatId(1))), Some("one"));
        drafts.keep_only(&[ChatHead::new(ChatId(2), 0.0)]);
        assert_eq!(drafts.get(Place::Chat(ChatId(1))), None);
        assert_eq!(drafts.get(Place::Question(ChatId(2), 3)), Some(""));
        assert_eq!(drafts.get(Place::NewChat), Some("new"));
    }
}
