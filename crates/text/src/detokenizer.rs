//! Token ids to text, one token at a time.

use std::sync::Arc;

use crate::table::TokenTable;

/// Turns a stream of token ids into text. A token may end inside a character, so each call gives only the text that
/// no later byte can change; special tokens give none.
///
/// Bytes that are not UTF-8 become U+FFFD, one for each maximal invalid piece, as soon as it is known to be invalid.
#[derive(Debug, Clone)]
pub struct Detokenizer {
    table: Arc<TokenTable>,
    /// Bytes of a character that is not complete yet, at most three.
    pending: Vec<u8>,
    /// The character to remove from the start of the text, and how many of it may still go.
    strip: Option<(char, usize)>,
}

impl Detokenizer {
    pub(crate) fn new(table: Arc<TokenTable>) -> Detokenizer {
        let strip = table.strip_start;
        Detokenizer {
            table,
            pending: Vec::new(),
            strip,
        }
    }

    /// Takes the next token and returns the text that is now certain, often empty. An id that the tokenizer does not
    /// define (a padding row of the embedding) is no text.
    #[must_use]
    pub fn push(&mut self, id: u32) -> String {
        if !self.table.is_special(id)
            && let Some(bytes) = self.table.bytes(id)
        {
            self.pending.extend_from_slice(bytes);
        }
        let text = self.take_certain();
        self.strip_start(text)
    }

    /// Ends the text: bytes of an unfinished character become one U+FFFD. The detokenizer is then as new.
    #[must_use]
    pub fn flush(&mut self) -> String {
        let text = if self.pending.is_empty() {
            String::new()
        } else {
            char::REPLACEMENT_CHARACTER.to_string()
        };
        self.pending.clear();
        let text = self.strip_start(text);
        self.strip = self.table.strip_start;
        text
    }

    fn take_certain(&mut self) -> String {
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(invalid) = error.error_len() else {
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[invalid..];
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    fn strip_start(&mut self, text: String) -> String {
        let Some((c, mut left)) = self.strip else {
            return text;
        };
        let mut rest = text.as_str();
        while left > 0 && !rest.is_empty() {
            match rest.strip_prefix(c) {
                Some(after) => {
                    rest = after;
                    left -= 1;
                }
                None => left = 0,
            }
        }
        self.strip = (left > 0).then_some((c, left));
        rest.to_owned()
    }
}
