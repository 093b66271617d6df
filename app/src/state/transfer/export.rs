//! Files for the person to keep.

use serde::Serialize;

use super::date::date;
use super::{Effect, StoredChat};
use crate::strings;

/// What an exported file says it is.
pub const EXPORT_FORMAT: &str = "tern-chats";
/// The version of the format that this build writes, and the newest that it reads.
pub const EXPORT_VERSION: u32 = 1;

#[derive(Serialize)]
struct File<'a> {
    format: &'static str,
    version: u32,
    exported_millis: f64,
    chats: &'a [StoredChat],
}

/// All chats as JSON.
pub(super) fn all(chats: &[StoredChat], now_millis: f64) -> Result<Effect, serde_json::Error> {
    let file = File {
        format: EXPORT_FORMAT,
        version: EXPORT_VERSION,
        exported_millis: now_millis,
        chats,
    };
    Ok(Effect::SaveFile {
        name: format!("{EXPORT_FORMAT}-{}.json", date(now_millis)),
        mime: "application/json",
        text: serde_json::to_string(&file)?,
    })
}

/// One chat as Markdown.
pub(super) fn one(chat: &StoredChat) -> Effect {
    let mut text = format!("# {}\n", chat.head.title);
    if !chat.head.system_prompt.is_empty() {
        text += &format!("\n> {}\n", chat.head.system_prompt.replace('\n', "\n> "));
    }
    for turn in &chat.turns {
        text += &format!("\n## {}\n\n{}\n", strings::YOU, turn.question);
        if !turn.answer.text.is_empty() {
            text += &format!("\n## {}\n\n{}\n", strings::TITLE, turn.answer.text.trim());
        }
    }
    Effect::SaveFile {
        name: file_name(&chat.head.title),
        mime: "text/markdown",
        text,
    }
}

/// A name that every file system takes.
fn file_name(title: &str) -> String {
    let words: Vec<String> = title
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let stem: String = words.join("-").chars().take(60).collect();
    if stem.is_empty() {
        format!("{EXPORT_FORMAT}.md")
    } else {
        format!("{stem}.md")
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn file_names_are_plain() {
        assert_eq!(file_name("What is  2/3 of π?"), "what-is-2-3-of-π.md");
        assert_eq!(file_name("../../…"), "tern-chats.md");
    }
}
