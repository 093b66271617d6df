//! What a screen reader says of a running answer: whole sentences, not tokens.

use super::{Effect, State};

impl State {
    /// Reads out the sentences that are complete; with `to_end` also what comes behind them.
    pub(super) fn announce(&mut self, to_end: bool) -> Option<Effect> {
        let text = &self.chats.open.turns.last()?.answer.text;
        let rest = text.get(self.announced..)?;
        let length = if to_end {
            rest.len()
        } else {
            sentences_end(rest)?
        };
        let words = plain(rest.get(..length)?);
        self.announced += length;
        (!words.is_empty() && !self.environment.hidden).then_some(Effect::Announce(words))
    }

    /// An answer starts, or goes on: what is there has been read out.
    pub(super) fn start_announcing(&mut self) {
        let turn = self.chats.open.turns.last();
        self.announced = turn.map_or(0, |turn| turn.answer.text.len());
    }
}

/// Where the last complete sentence or line of `text` ends.
fn sentences_end(text: &str) -> Option<usize> {
    let mut end = None;
    let mut after_stop = false;
    for (index, character) in text.char_indices() {
        let is_wide_stop = matches!(character, '。' | '！' | '？');
        if character == '\n' || (after_stop && character.is_whitespace()) || is_wide_stop {
            end = Some(index + character.len_utf8());
        }
        // A quote or a bracket may close behind the stop.
        after_stop = matches!(character, '.' | '!' | '?' | '…')
            || (after_stop && matches!(character, '"' | '\'' | ')' | ']' | '”' | '’' | '*'));
    }
    end
}

/// Text without the marks of Markdown, on one line.
fn plain(text: &str) -> String {
    let spoken: String = text
        .chars()
        .map(|character| {
            if matches!(character, '*' | '`' | '#' | '|' | '>') {
                ' '
            } else {
                character
            }
        })
        .collect();
    spoken.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{plain, sentences_end};

    #[test]
    fn sentences_end_at_stops_and_lines() {
        let rows = [
            ("", None),
            ("Hello", None),
            ("Hello.", None),
            ("Hello. ", Some(7)),
            ("Pi is 3.14 exactly", None),
            ("He said \"no.\" Then", Some(14)),
            ("One. Two! Three", Some(10)),
            ("- a\n- b", Some(4)),
            ("はい。そう", Some(9)),
        ];
        for (text, end) in rows {
            assert_eq!(sentences_end(text), end, "{text}");
        }
    }

    #[test]
    fn marks_are_not_spoken() {
        assert_eq!(plain("## **Hi** `x`\n| a | b |"), "Hi x a b");
    }
}
