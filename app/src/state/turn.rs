//! Questions and answers.

use protocol::{FinishReason, Message, Role, Usage};
use serde::{Deserialize, Serialize};

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Number that no other turn of the page's life has, of no chat; rises within a chat. Not stored.
    #[serde(skip)]
    pub key: u32,
    /// Number within the chat; rises, with gaps where turns were replaced.
    pub number: u32,
    /// What the person wrote.
    pub question: String,
    /// When, in milliseconds since 1970.
    pub asked_millis: f64,
    /// Seed of the answer.
    pub seed: u32,
    /// The answer so far.
    pub answer: Answer,
}

/// An answer, complete or not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Its tokens, stop token not included.
    pub ids: Vec<u32>,
    /// Name of the model that made it.
    pub model: String,
    /// How far reading the prompt is: tokens done and in all. Absent once there are tokens.
    #[serde(skip)]
    pub prefill: Option<(u32, u32)>,
    /// How it ended; absent while it runs.
    pub finish: Option<Finish>,
    /// Counts and speed of the part that the last worker made.
    pub usage: Option<Usage>,
    /// How often a device or a worker was replaced meanwhile.
    pub recoveries: u32,
    /// How many of the oldest messages the model did not get, because they did not fit its context.
    pub trimmed: u32,
    /// How many of them the worker did not get.
    #[serde(skip)]
    pub unsent: u32,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finish {
    /// The model was done.
    Stop,
    /// The longest length was reached.
    Length,
    /// The context is full.
    Context,
    /// The person stopped it.
    Cancelled,
    /// Something failed.
    Failed,
    /// The page was closed, or the person went to another chat; it can be continued.
    Interrupted,
}

impl Finish {
    /// Its name for tests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "Stop",
            Self::Length => "Length",
            Self::Context => "Context",
            Self::Cancelled => "Cancelled",
            Self::Failed => "Failed",
            Self::Interrupted => "Interrupted",
        }
    }

    /// Whether the model might have said more.
    #[must_use]
    pub const fn is_continuable(self) -> bool {
        matches!(self, Self::Cancelled | Self::Failed | Self::Interrupted)
    }
}

impl From<FinishReason> for Finish {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Stop => Self::Stop,
            FinishReason::Length => Self::Length,
            FinishReason::Context => Self::Context,
            FinishReason::Cancelled => Self::Cancelled,
        }
    }
}

/// How many times the context the answers have to fill before older ones are not even sent: much more than another model's
/// tokens, which may be longer, could make up for.
const SENT_CONTEXTS: usize = 4;

/// The conversation up to the question of the last turn, as the worker gets it, and how many of the oldest messages are not
/// among it, because no model with this `context` could read them. The worker leaves out what is still too much. Turns
/// without an answer are left out: two questions in a row are something that chat templates do not know.
pub(super) fn messages(system_prompt: &str, turns: &[Turn], context: u32) -> (Vec<Message>, u32) {
    let Some((last, earlier)) = turns.split_last() else {
        return (Vec::new(), 0);
    };
    let mut messages = Vec::new();
    if !system_prompt.trim().is_empty() {
        messages.push(Message::new(Role::System, system_prompt));
    }
    let is_answered = |turn: &&Turn| !turn.answer.text.is_empty();
    let mut room = SENT_CONTEXTS.saturating_mul(context as usize);
    let sent = earlier.iter().rev().filter(is_answered).take_while(|turn| {
        // The first that does not fit is sent, too: so the worker has something to leave out, and says so.
        let is_room = room > 0;
        room = room.saturating_sub(turn.answer.ids.len());
        is_room
    });
    let sent: Vec<&Turn> = sent.collect();
    let unsent = earlier.iter().filter(is_answered).count() - sent.len();
    for turn in sent.into_iter().rev() {
        messages.push(Message::new(Role::User, turn.question.as_str()));
        messages.push(Message {
            role: Role::Assistant,
            content: turn.answer.text.clone(),
            ids: turn.answer.ids.clone(),
        });
    }
    messages.push(Message::new(Role::User, last.question.as_str()));
    (messages, u32::try_from(2 * unsent).unwrap_or(u32::MAX))
}
