//! The tokenizer of a model: text to token ids, and token ids to bytes.

use std::sync::Arc;

use serde::Deserialize;
use tokenizers::PostProcessorWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::tokenizer::{Model as _, PreTokenizer as _};
use tokenizers::{AddedVocabulary, OffsetReferential, OffsetType};

use crate::bpe;
use crate::decoding::Decoding;
use crate::detokenizer::Detokenizer;
use crate::error::Error;
use crate::framing::Framing;
use crate::shield::SpecialTexts;
use crate::table::TokenTable;

/// A tokenizer that fits a model's vocabulary.
///
/// ```
/// # fn main() -> Result<(), text::Error> {
/// let json = br#"{"version": "1.0", "truncation": null, "padding": null, "normalizer": null,
///   "pre_tokenizer": null, "post_processor": null,
///   "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
///   "added_tokens": [{"id": 2, "content": "<end>", "special": true, "single_word": false, "lstrip": false,
///                     "rstrip": false, "normalized": false}],
///   "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}"#;
/// let tokenizer = text::Tokenizer::from_json(json, 3)?;
/// assert_eq!(tokenizer.encode("ab<end>")?, [0, 1, 2]);
/// assert_eq!(tokenizer.decode(&[0, 1, 2]), "ab");
/// # Ok(())
/// # }
/// ```
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The added tokens with recognition of special ones off.
    plain_added: AddedVocabulary,
    /// The pre-tokenizer for a segment that does not start the text, where it differs.
    continued: Option<PreTokenizerWrapper>,
    framing: Framing,
    special_texts: SpecialTexts,
    table: Arc<TokenTable>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("n_tokens", &self.table.len())
            .field("framing", &self.framing)
            .finish()
    }
}

fn encode_error(error: impl std::fmt::Display) -> Error {
    Error::Encode {
        detail: error.to_string(),
    }
}

impl Tokenizer {
    /// Reads a Hugging Face `tokenizer.json` for a model with `vocab` rows in its embedding.
    ///
    /// # Errors
    /// [`Error::TokenizerJson`] when the bytes are not a tokenizer, [`Error::TooManyTokens`] when an id is `vocab` or
    /// more, [`Error::UnsupportedDecoder`] when the bytes of its tokens can't be known.
    pub fn from_json(bytes: &[u8], vocab: u32) -> Result<Tokenizer, Error> {
        Self::from_owned_json(bytes.to_vec(), vocab)
    }

    /// [`Tokenizer::from_json`] for a text that may be given up: what is not needed any more is freed on the way. The
    /// largest files have tens of megabytes.
    ///
    /// # Errors
    /// As [`Tokenizer::from_json`].
    pub fn from_owned_json(bytes: Vec<u8>, vocab: u32) -> Result<Tokenizer, Error> {
        #[derive(Deserialize)]
        struct ModelHead {
            #[serde(default, rename = "type")]
            kind: Option<String>,
        }
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            model: Option<ModelHead>,
            #[serde(default)]
            decoder: serde_json::Value,
            #[serde(default)]
            post_processor: serde_json::Value,
        }
        let broken = |detail| Error::TokenizerJson { detail };
        let head: Head =
            serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        let decoding = Decoding::new(&head.decoder)?;
        let framing = Framing::new(&head.post_processor)?;
        let kind = head.model.and_then(|model| model.kind);
        let (mut inner, largest_id) = if kind.as_deref() == Some("BPE") {
            bpe::read(bytes).map_err(broken)?
        } else {
            let inner = tokenizers::Tokenizer::from_bytes(bytes)
                .map_err(|error| broken(error.to_string()))?;
            let largest_id = inner.get_vocab(false).into_values().max();
            (inner, largest_id)
        };
        inner.with_post_processor(None::<PostProcessorWrapper>);
        // The session decides what fits the context; a file must not cut or pad prompts silently.
        inner
            .with_padding(None)
            .with_truncation(None)
            .map_err(encode_error)?;

        let added = inner.get_added_vocabulary().get_added_tokens_decoder();
        let n_tokens = added
            .keys()
            .copied()
            .chain(largest_id)
            .chain(framing.max_id())
            .max()
            .map_or(0, |id| u64::from(id) + 1);
        if n_tokens > u64::from(vocab) {
            return Err(Error::TooManyTokens {
                tokens: n_tokens,
                vocab,
            });
        }
        let added = inner.get_added_vocabulary();
        let is_special = |id| {
            added
                .get_added_tokens_decoder()
                .get(&id)
                .is_some_and(|token| token.special)
        };
        let table = TokenTable::new(&decoding, n_tokens as usize, |id| {
            inner.id_to_token(id).map(|text| {
                let special = is_special(id);
                (text, special)
            })
        });
        let special_texts = SpecialTexts::new(
            added
                .get_added_tokens_decoder()
                .values()
                .filter(|token| token.special)
                .map(|token| token.content.as_str()),
        );
        let mut plain_added = added.clone();
        plain_added.set_encode_special_tokens(true);
        let continued = inner.get_pre_tokenizer().and_then(without_first_prefix);

        Ok(Tokenizer {
            inner,
            plain_added,
            continued,
            framing,
            special_texts,
            table: Arc::new(table),
        })
    }

    /// Token ids of `text` as the model's authors encode it: special tokens in the text are recognised, and the
    /// tokenizer's post-processor adds its own (usually one BOS in front).
    ///
    /// # Errors
    /// [`Error::Encode`] when the tokenizer has no token for a part of the text and no unknown token either.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let mut ids = self.framing.prefix.clone();
        ids.extend(self.encode_pieces(self.inner.get_added_vocabulary(), text, false)?);
        ids.extend(&self.framing.suffix);
        Ok(ids)
    }

    /// Token ids of `text` where special tokens are only text, and nothing is added in front.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encode_segment(text, false)
    }

    /// [`Tokenizer::encode_plain`] for a segment; `continued` when it does not start the whole text.
    pub(crate) fn encode_segment(&self, text: &str, continued: bool) -> Result<Vec<u32>, Error> {
        let ids = self.encode_pieces(&self.plain_added, text, continued)?;
        if !ids.iter().any(|id| self.table.is_special(*id)) {
            return Ok(ids);
        }
        // A vocabulary may hold a special token's text as an ordinary piece of the same id: then the text is cut
        // inside each occurrence, so that no piece can be the whole of it.
        let mut ids = Vec::new();
        let mut start = 0;
        for cut in self
            .special_texts
            .cuts(text)
            .into_iter()
            .chain([text.len()])
        {
            ids.extend(self.encode_pieces(
                &self.plain_added,
                &text[start..cut],
                continued || start > 0,
            )?);
            start = cut;
        }
        Ok(ids)
    }

    /// Token ids of `text` with the added tokens of `added` recognised.
    fn encode_pieces(
        &self,
        added: &AddedVocabulary,
        text: &str,
        continued: bool,
    ) -> Result<Vec<u32>, Error> {
        let mut pieces = added.extract_and_normalize(self.inner.get_normalizer(), text);
        let changed = if continued {
            self.continued.as_ref()
        } else {
            None
        };
        if let Some(pre_tokenizer) = changed.or(self.inner.get_pre_tokenizer()) {
            pre_tokenizer
                .pre_tokenize(&mut pieces)
                .map_err(encode_error)?;
        }
        self.inner
            .get_model()
            .tokenize_in_pretokenized(&mut pieces, None)
            .map_err(encode_error)?;
        let encoding = pieces
            .into_encoding(None, 0, OffsetType::None)
            .map_err(encode_error)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Splits `text` at its added tokens, as encoding does: `(Ok(id), _)` for a token, `(Err(text), start)` for what
    /// lies between, with its byte offset.
    pub(crate) fn split_at_added(&self, text: &str) -> Vec<(Result<u32, String>, usize)> {
        let none = None::<&tokenizers::NormalizerWrapper>;
        let pieces = self
            .inner
            .get_added_vocabulary()
            .extract_and_normalize(none, text);
        pieces
            .get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .map(|(piece, (start, _), tokens)| match tokens.as_deref() {
                Some([token]) => (Ok(token.id), start),
                _ => (Err(piece.to_owned()), start),
            })
            .collect()
    }

    /// Ids that the post-processor puts in front of a text, usually one BOS or none.
    pub(crate) fn prefix(&self) -> &[u32] {
        &self.framing.prefix
    }

    /// Texts of the special tokens.
    pub(crate) fn special_texts(&self) -> &SpecialTexts {
        &self.special_texts
    }

    /// Text of `ids` without special tokens; invalid UTF-8 becomes U+FFFD, as in [`Detokenizer`].
    #[must_use]
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut detokenizer = self.detokenizer();
        let mut text: String = ids.iter().map(|id| detokenizer.push(*id)).collect();
        text.push_str(&detokenizer.flush());
        text
    }

    /// A new streaming decoder.
    #[must_use]
    pub fn detokenizer(&self) -> Detokenizer {
        Detokenizer::new(Arc::clone(&self.table))
    }

    /// Number of ids, the largest plus one; not more than the rows of the embedding.
    #[must_use]
    pub fn n_tokens(&self) -> u32 {
        self.table.len() as u32
    }

    /// The id of a token by its vocabulary string, for example `<|im_end|>`.
    #[must_use]
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The bytes that the token stands for (a special token: its own text); `None` where the vocabulary has a gap
    /// at the end.
    #[must_use]
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.table.bytes(id)
    }

    /// The token as text for people; bytes that are no whole characters become U+FFFD.
    #[must_use]
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.table
            .bytes(id)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Whether the token is special: never part of an answer's text.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        self.table.is_special(id)
    }
}

/// The pre-tokenizer for text that does not start a prompt: a Metaspace with scheme `first` then adds no space.
fn without_first_prefix(pre_tokenizer: &PreTokenizerWrapper) -> Option<PreTokenizerWrapper> {
    match pre_tokenizer {
        PreTokenizerWrapper::Metaspace(metaspace)
            if metaspace.prepend_scheme == PrependScheme::First =>
        {
            let mut metaspace = metaspace.clone();
            metaspace.prepend_scheme = PrependScheme::Never;
            Some(PreTokenizerWrapper::Metaspace(metaspace))
        }
        PreTokenizerWrapper::Sequence(sequence) => {
            let steps = sequence.as_ref();
            let changed: Vec<_> = steps.iter().map(without_first_prefix).collect();
            changed.iter().any(Option::is_some).then(|| {
                let steps = changed
                    .into_iter()
                    .zip(steps)
                    .map(|(new, old)| new.unwrap_or_else(|| old.clone()));
                PreTokenizerWrapper::Sequence(Sequence::new(steps.collect()))
            })
        }
        _ => None,
    }
}
