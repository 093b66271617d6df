//! Files with chats. They come from anywhere, so everything in them is checked.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{Turn, limits};
use super::{EXPORT_FORMAT, EXPORT_VERSION, StoredChat};
use crate::state::chatting::one_line;
use crate::strings;

/// Most chats in a file.
const MAX_CHATS: usize = 100_000;
/// Most turns of a chat.
const MAX_TURNS: usize = 100_000;
/// Latest moment that JavaScript's dates know.
const MAX_MILLIS: f64 = 8.64e15;

/// What a file holds.
pub(super) struct File {
    pub(super) chats: Vec<StoredChat>,
    /// How many more there are that can't be used.
    pub(super) rejected: u32,
}

#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
struct Body<'a> {
    /// Read one by one, so that a bad one does not spoil the others.
    #[serde(borrow)]
    chats: Vec<&'a RawValue>,
}

/// Reads a file.
///
/// # Errors
/// A technical line when it is no file of ours.
pub(super) fn read(text: &str) -> Result<File, String> {
    if !limits::is_readable(text.len() as f64) {
        return Err(strings::file_too_large(text.len() as f64));
    }
    // Some programs put a mark in front of text that they save.
    let text = text.trim_start_matches('\u{feff}');
    let header: Header =
        serde_json::from_str(text).map_err(|error| format!("not a file of chats: {error}"))?;
    if header.format != EXPORT_FORMAT {
        return Err(format!(
            "not a file of chats: expected the format {EXPORT_FORMAT}, got {:?}",
            one_line(&header.format, 40)
        ));
    }
    if header.version == 0 || header.version > EXPORT_VERSION {
        return Err(format!(
            "the file is of another version of the app: expected format version 1 to {EXPORT_VERSION}, got {}",
            header.version
        ));
    }
    let body: Body<'_> =
        serde_json::from_str(text).map_err(|error| format!("not a file of chats: {error}"))?;
    if body.chats.len() > MAX_CHATS {
        return Err(format!(
            "the file holds too many chats: expected at most {MAX_CHATS}, got {}",
            body.chats.len()
        ));
    }
    let mut file = File {
        chats: Vec::new(),
        rejected: 0,
    };
    for raw in body.chats {
        match serde_json::from_str(raw.get()).ok().and_then(checked) {
            Some(chat) => file.chats.push(chat),
            None => file.rejected += 1,
        }
    }
    Ok(file)
}

/// The chat with everything in its range, or nothing when that can't be done without guessing.
fn checked(mut chat: StoredChat) -> Option<StoredChat> {
    let head = &mut chat.head;
    let is_time = |millis: f64| (0.0..=MAX_MILLIS).contains(&millis);
    if head.deleted
        || chat.turns.is_empty()
        || chat.turns.len() > MAX_TURNS
        || !is_time(head.created_millis)
        || !is_time(head.updated_millis)
    {
        return None;
    }
    head.title = one_line(&head.title, limits::MAX_TITLE);
    if head.title.is_empty() {
        head.titled = false;
        let question = &chat.turns.first()?.question;
        head.title = one_line(question, limits::MAX_TITLE);
    }
    let prompt = limits::cut(&head.system_prompt, limits::MAX_SYSTEM_PROMPT).to_owned();
    head.system_prompt = prompt;
    if let Some(sampling) = &mut head.sampling {
        *sampling = limits::clamp(*sampling, protocol::SamplingSettings::default());
    }
    for (turn, number) in chat.turns.iter_mut().zip(1..) {
        check_turn(turn, number).then_some(())?;
    }
    Some(chat)
}

/// Brings a turn into order; `false` when it is not usable.
fn check_turn(turn: &mut Turn, number: u32) -> bool {
    turn.number = number;
    if !(0.0..=MAX_MILLIS).contains(&turn.asked_millis) {
        return false;
    }
    let answer = &mut turn.answer;
    if let Some(usage) = &mut answer.usage {
        let is_number = |value: f64| value.is_finite() && value >= 0.0;
        if !is_number(usage.first_token_millis) || !is_number(usage.tokens_per_second) {
            answer.usage = None;
        }
    }
    !turn.question.trim().is_empty()
}
