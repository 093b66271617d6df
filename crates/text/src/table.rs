//! The bytes of every token, laid out flat.

use crate::decoding::Decoding;

/// Bytes and kind of every token id of a vocabulary.
#[derive(Debug)]
pub(crate) struct TokenTable {
    /// All bytes, token after token.
    bytes: Vec<u8>,
    /// `ends[id]` is where the bytes of `id` end; they start where those of `id - 1` end.
    ends: Vec<usize>,
    /// Whether the id is a special token: it is text only where a person asks to see it.
    special: Vec<bool>,
    /// A character and how many of it are removed from the start of a decoded text.
    pub(crate) strip_start: Option<(char, usize)>,
}

impl TokenTable {
    /// Builds the table of ids `0..n_tokens`; `token` gives the vocabulary string and whether it is special.
    pub(crate) fn new(
        decoding: &Decoding,
        n_tokens: usize,
        mut token: impl FnMut(u32) -> Option<(String, bool)>,
    ) -> TokenTable {
        let mut table = TokenTable {
            bytes: Vec::new(),
            ends: Vec::with_capacity(n_tokens),
            special: Vec::with_capacity(n_tokens),
            strip_start: decoding.strip_start,
        };
        for id in 0..n_tokens as u32 {
            let (text, special) = token(id).unwrap_or_default();
            if special {
                table.bytes.extend_from_slice(text.as_bytes());
            } else {
                decoding.push_bytes(&text, &mut table.bytes);
            }
            table.ends.push(table.bytes.len());
            table.special.push(special);
        }
        table
    }

    /// Number of ids.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of the token; `None` for an id that the tokenizer does not define.
    pub(crate) fn bytes(&self, id: u32) -> Option<&[u8]> {
        let id = id as usize;
        let end = *self.ends.get(id)?;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        Some(&self.bytes[start..end])
    }

    /// Whether `id` is a special token.
    pub(crate) fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }
}
