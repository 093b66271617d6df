//! The lines of the list of chats.

use crate::{ChatHead, ChatId, strings};

/// Milliseconds of a day.
const DAY_MILLIS: f64 = 86_400_000.0;

/// A line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Line {
    /// A heading: when the chats below it were used.
    Age(&'static str),
    /// A chat.
    Chat(ChatId),
}

/// The chats whose titles have the `words`, under headings of their age. `today_ends` is the coming midnight where the
/// person is, in milliseconds since 1970; chats from the future (a clock that was set back) count as today's.
#[must_use]
pub fn lines(list: &[ChatHead], words: &str, today_ends: f64) -> Vec<Line> {
    let words = words.trim().to_lowercase();
    let mut lines = Vec::new();
    let mut last = None;
    for head in list {
        if !head.title.to_lowercase().contains(&words) {
            continue;
        }
        let days = ((today_ends - head.updated_millis) / DAY_MILLIS).floor() as i64;
        let age = strings::age(days);
        if last != Some(age) {
            lines.push(Line::Age(age));
            last = Some(age);
        }
        lines.push(Line::Chat(head.id));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{DAY_MILLIS, Line, lines};
    use crate::{ChatHead, ChatId};

    fn chat(id: u64, title: &str, days: f64) -> ChatHead {
        ChatHead {
            title: title.to_owned(),
            ..ChatHead::new(ChatId(id), 0.0 - days * DAY_MILLIS)
        }
    }

    #[test]
    fn chats_stand_under_their_age() {
        let list = [
            chat(1, "From the future", -3.0),
            chat(2, "This morning", 0.4),
            chat(3, "Yesterday", 1.5),
            chat(4, "Long ago", 400.0),
        ];
        assert_eq!(
            lines(&list, "", 0.0),
            [
                Line::Age("Today"),
                Line::Chat(ChatId(1)),
                Line::Chat(ChatId(2)),
                Line::Age("Yesterday"),
                Line::Chat(ChatId(3)),
                Line::Age("Older"),
                Line::Chat(ChatId(4)),
            ]
        );
    }

    #[test]
    fn words_narrow_the_list_whatever_their_case() {
        let list = [chat(1, "Über Vögel", 0.0), chat(2, "Rust", 0.0)];
        assert_eq!(
            lines(&list, " vögel", 0.0),
            [Line::Age("Today"), Line::Chat(ChatId(1))]
        );
        assert_eq!(lines(&list, "nothing", 0.0), []);
    }
}
