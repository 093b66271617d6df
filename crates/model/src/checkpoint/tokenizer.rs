//! As much of `tokenizer.json` as a conversion needs: which tokens there are.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::Error;

/// The tokens of a tokenizer file.
pub(crate) struct Tokenizer {
    ids: HashMap<String, u32>,
    n_tokens: u64,
}

#[derive(Deserialize)]
struct File {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct Model {
    vocab: Vocab,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
}

/// Tokens with their ids: an object of ids, or, for unigram models, a list of `[token, score]` in the order of ids.
struct Vocab(Vec<(String, u32)>);

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Vocab, D::Error> {
        struct VocabVisitor;
        impl<'de> Visitor<'de> for VocabVisitor {
            type Value = Vocab;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab, A::Error> {
                let mut tokens = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    tokens.push(entry);
                }
                Ok(Vocab(tokens))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vocab, A::Error> {
                let mut tokens: Vec<(String, u32)> = Vec::new();
                while let Some((token, _score)) = seq.next_element::<(String, IgnoredAny)>()? {
                    tokens.push((token, tokens.len() as u32));
                }
                Ok(Vocab(tokens))
            }
        }
        deserializer.deserialize_any(VocabVisitor)
    }
}

impl Tokenizer {
    /// Reads the tokens of a tokenizer file.
    ///
    /// # Errors
    /// If it is not JSON of the known form.
    pub(crate) fn read(file: &str, json: &[u8]) -> Result<Tokenizer, Error> {
        let parsed: File = serde_json::from_slice(json).map_err(|source| Error::Json {
            file: file.to_string(),
            source,
        })?;
        let added = parsed
            .added_tokens
            .into_iter()
            .map(|token| (token.content, token.id));
        let ids: HashMap<String, u32> = parsed.model.vocab.0.into_iter().chain(added).collect();
        let n_tokens = ids.values().max().map_or(0, |&id| u64::from(id) + 1);
        Ok(Tokenizer { ids, n_tokens })
    }

    /// Compares the number of tokens with the rows of the embedding. Fewer tokens than rows are usual: rows are padded.
    ///
    /// # Errors
    /// If there are more tokens than rows.
    pub(crate) fn check_size(&self, file: &str, vocab: u32) -> Result<(), Error> {
        if self.n_tokens > u64::from(vocab) {
            return Err(Error::TokenizerSize {
                file: file.to_string(),
                tokens: self.n_tokens,
                vocab,
            });
        }
        Ok(())
    }

    /// The id of a token.
    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The text of an id; the first in alphabetical order if there are several.
    pub(crate) fn text(&self, id: u32) -> Option<&str> {
        self.ids
            .iter()
            .filter(|entry| *entry.1 == id)
            .map(|entry| entry.0.as_str())
            .min()
    }
}
