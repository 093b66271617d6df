//! How the strings of a vocabulary turn into bytes of text: the `decoder` entry of `tokenizer.json`.

use std::collections::HashMap;

use serde_json::Value;

use crate::Error;

/// The rules that turn one vocabulary string into bytes, and what to strip from the start of a whole text.
#[derive(Debug, Default)]
pub(crate) struct Decoding {
    /// Characters stand for bytes (GPT-2's table).
    byte_level: Option<HashMap<char, u8>>,
    /// Literal replacements, in order.
    replace: Vec<(String, String)>,
    /// `<0xNN>` stands for one byte.
    byte_fallback: bool,
    /// A character and how many of it are removed from the start of a text.
    pub(crate) strip_start: Option<(char, usize)>,
}

impl Decoding {
    /// Reads a `decoder`.
    pub(crate) fn new(decoder: &Value) -> Result<Decoding, Error> {
        let mut decoding = Decoding::default();
        decoding.add(decoder)?;
        Ok(decoding)
    }

    fn add(&mut self, decoder: &Value) -> Result<(), Error> {
        let unsupported = || {
            let mut got = decoder.to_string();
            if let Some((cut, _)) = got.char_indices().nth(120) {
                got.truncate(cut);
            }
            Error::UnsupportedDecoder { got }
        };
        let text = |key: &str| decoder[key].as_str().ok_or_else(unsupported);
        match decoder["type"].as_str().ok_or_else(unsupported)? {
            "ByteLevel" => self.byte_level = Some(byte_level_table()),
            "ByteFallback" => self.byte_fallback = true,
            "Fuse" => {}
            "Replace" => {
                let pattern = decoder["pattern"]["String"]
                    .as_str()
                    .filter(|p| !p.is_empty())
                    .ok_or_else(unsupported)?;
                self.replace
                    .push((pattern.to_owned(), text("content")?.to_owned()));
            }
            "Metaspace" => {
                self.replace
                    .push((text("replacement")?.to_owned(), " ".to_owned()));
                let prepends =
                    decoder["prepend_scheme"] != "never" && decoder["add_prefix_space"] != false;
                self.strip_start = prepends.then_some((' ', 1));
            }
            "Strip" => {
                let mut chars = text("content")?.chars();
                let (Some(content), None) = (chars.next(), chars.next()) else {
                    return Err(unsupported());
                };
                let start = decoder["start"].as_u64().ok_or_else(unsupported)?;
                // Characters stripped from the end can't be known while a text is still growing.
                if decoder["stop"] != 0 || start > 16 {
                    return Err(unsupported());
                }
                self.strip_start = Some((content, start as usize));
            }
            "Sequence" => {
                for step in decoder["decoders"].as_array().ok_or_else(unsupported)? {
                    if step["type"] == "Sequence" {
                        return Err(unsupported());
                    }
                    self.add(step)?;
                }
            }
            _ => return Err(unsupported()),
        }
        Ok(())
    }

    /// Appends the bytes of the vocabulary string `token` to `out`.
    pub(crate) fn push_bytes(&self, token: &str, out: &mut Vec<u8>) {
        if let Some(table) = &self.byte_level {
            let start = out.len();
            for c in token.chars() {
                match table.get(&c) {
                    Some(byte) => out.push(*byte),
                    None => {
                        // A token with a character outside the table is an added token: it stands for itself.
                        out.truncate(start);
                        out.extend_from_slice(token.as_bytes());
                        return;
                    }
                }
            }
            return;
        }
        if self.byte_fallback
            && let Some(byte) = byte_fallback(token)
        {
            out.push(byte);
            return;
        }
        let mut text = token.to_owned();
        for (from, to) in &self.replace {
            text = text.replace(from, to);
        }
        out.extend_from_slice(text.as_bytes());
    }
}

/// The byte of a `<0xNN>` token.
fn byte_fallback(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() != 2 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// GPT-2's table: printable Latin-1 bytes stand for themselves, the other 68 are moved to U+0100 and up, in order.
fn byte_level_table() -> HashMap<char, u8> {
    let mut next = 0x100u32;
    (0..=255u8)
        .map(|byte| {
            let printable = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
            let c = if printable {
                char::from(byte)
            } else {
                next += 1;
                char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
            };
            (c, byte)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn decoding(decoder: &str) -> Result<Decoding, Error> {
        Decoding::new(&serde_json::from_str(decoder).unwrap())
    }

    fn bytes(decoding: &Decoding, token: &str) -> Vec<u8> {
        let mut out = Vec::new();
        decoding.push_bytes(token, &mut out);
        out
    }

    #[test]
    fn the_byte_table_is_a_bijection_with_the_known_corners() {
        let table = byte_level_table();
        assert_eq!(table.len(), 256);
        for (c, byte) in [
            ('Ġ', b' '),
            ('Ċ', b'\n'),
            ('ĉ', b'\t'),
            ('A', b'A'),
            ('ÿ', 0xFF),
            ('Ń', 0xAD),
        ] {
            assert_eq!(table.get(&c), Some(&byte), "{c}");
        }
    }

    #[test]
    fn an_added_token_outside_the_byte_table_stands_for_itself() {
        let byte_level = decoding(r#"{"type": "ByteLevel"}"#).unwrap();
        assert_eq!(bytes(&byte_level, "Ġhi"), b" hi");
        assert_eq!(bytes(&byte_level, "<|a b|>"), b"<|a b|>");
        assert_eq!(bytes(&byte_level, "Ġ世"), "Ġ世".as_bytes());
    }

    #[test]
    fn a_sentencepiece_sequence_replaces_falls_back_and_strips() {
        let llama = decoding(
            r#"{"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}"#,
        )
        .unwrap();
        assert_eq!(llama.strip_start, Some((' ', 1)));
        assert_eq!(bytes(&llama, "▁the"), b" the");
        assert_eq!(bytes(&llama, "<0xE2>"), [0xE2]);
        assert_eq!(bytes(&llama, "<0xZZ>"), b"<0xZZ>");
        assert_eq!(bytes(&llama, "<0x+1>"), b"<0x+1>");
    }

    #[test]
    fn unknown_decoders_are_refused_by_name() {
        for decoder in [
            r#"{"type": "WordPiece", "prefix": "@@"}"#,
            "null",
            r#"{"type": "Strip", "content": " ", "start": 1, "stop": 1}"#,
            r#"{"type": "Strip", "content": "", "start": 1, "stop": 0}"#,
            r#"{"type": "Replace", "pattern": {"String": ""}, "content": "x"}"#,
            r#"{"type": "Sequence", "decoders": [{"type": "Sequence", "decoders": []}]}"#,
        ] {
            assert!(
                matches!(decoding(decoder), Err(Error::UnsupportedDecoder { .. })),
                "{decoder}"
            );
        }
    }
}
