//! Chats: the list, and the one that is open.

use std::fmt;
use std::str::FromStr;

use protocol::SamplingSettings;
use serde::{Deserialize, Serialize};

use super::Turn;

/// Number of a chat, random, so that chats of several devices can be merged. Written as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChatId(pub u64);

impl ChatId {
    /// The number of a copy that holds only a part of this chat, so that importing it never replaces the whole one. It is the
    /// same each time, so that importing it twice is the same as once.
    #[must_use]
    pub const fn of_a_part(self) -> Self {
        Self(!self.0)
    }
}

impl fmt::Display for ChatId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl From<ChatId> for String {
    fn from(id: ChatId) -> Self {
        id.to_string()
    }
}

impl FromStr for ChatId {
    type Err = ChatIdError;

    fn from_str(text: &str) -> Result<Self, ChatIdError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return Err(ChatIdError);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| ChatIdError)
    }
}

impl TryFrom<String> for ChatId {
    type Error = ChatIdError;

    fn try_from(text: String) -> Result<Self, ChatIdError> {
        text.parse()
    }
}

/// Text that is no chat's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number of a chat is expected to be 16 lowercase hexadecimal digits")]
pub struct ChatIdError;

/// What the list and the database know of a chat without its turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatHead {
    /// Its number.
    pub id: ChatId,
    /// Its title, one line. Empty only before the first question.
    pub title: String,
    /// Whether the person gave the title.
    #[serde(default)]
    pub titled: bool,
    /// When it began, in milliseconds since 1970.
    pub created_millis: f64,
    /// When it was last used.
    pub updated_millis: f64,
    /// Instructions to the model; empty = none.
    #[serde(default)]
    pub system_prompt: String,
    /// Sampling that the person chose; absent = what the model's package suggests.
    #[serde(default)]
    pub sampling: Option<SamplingSettings>,
    /// Whether it was deleted and is kept only for undo; forgotten at the next start.
    #[serde(default)]
    pub deleted: bool,
}

impl ChatHead {
    /// An empty chat.
    #[must_use]
    pub const fn new(id: ChatId, now_millis: f64) -> Self {
        Self {
            id,
            title: String::new(),
            titled: false,
            created_millis: now_millis,
            updated_millis: now_millis,
            system_prompt: String::new(),
            sampling: None,
            deleted: false,
        }
    }
}

/// The open chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Chat {
    /// Title and settings.
    pub head: ChatHead,
    /// Questions and answers, oldest first; their keys rise.
    pub turns: Vec<Turn>,
    /// Whether the turns are still being read.
    pub loading: bool,
}

impl Chat {
    /// A chat without turns.
    #[must_use]
    pub const fn empty(head: ChatHead) -> Self {
        Self {
            head,
            turns: Vec::new(),
            loading: false,
        }
    }
}

/// All chats.
#[derive(Debug, Clone, PartialEq)]
pub struct Chats {
    /// All stored chats, the one used last first. An empty new chat is not among them.
    pub list: Vec<ChatHead>,
    /// The chat on the screen.
    pub open: Chat,
}

impl Chats {
    /// A listed chat.
    #[must_use]
    pub fn find(&self, id: ChatId) -> Option<&ChatHead> {
        self.list.iter().find(|head| head.id == id)
    }
}

/// A chat with everything in it, as the database and the files of exports have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredChat {
    /// Title and settings.
    #[serde(flatten)]
    pub head: ChatHead,
    /// Its turns, oldest first.
    pub turns: Vec<Turn>,
}

/// A deleted chat that can be brought back.
#[derive(Debug, Clone, PartialEq)]
pub struct Undo {
    /// The chat.
    pub head: ChatHead,
    /// Until when, on the steady clock.
    pub(super) until_millis: f64,
}
