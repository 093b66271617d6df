//! Reading `tokenizer.json` files whose model is BPE, which nearly all are, in little memory.
//!
//! The tokenizers crate reads a model into generic JSON values first, twice over, to find out its kind. For a vocabulary
//! of 128,256 tokens with 280,147 merges that takes some 400 MB, more than a worker's memory should ever be. Here
//! vocabulary and merges go from the text straight into the form that the crate's builder takes.

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokenizers::models::bpe::{BPE, BpeBuilder, Merges, Vocab};
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, PreTokenizerWrapper};

/// The parts of a `tokenizer.json` that matter here.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Option<NormalizerWrapper>,
    #[serde(default)]
    pre_tokenizer: Option<PreTokenizerWrapper>,
    #[serde(default)]
    decoder: Option<DecoderWrapper>,
    model: Model,
}

/// A BPE model as the file has it.
#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    dropout: Option<f32>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: Option<bool>,
    #[serde(default)]
    byte_fallback: Option<bool>,
    #[serde(default)]
    ignore_merges: Option<bool>,
    #[serde(deserialize_with = "vocabulary")]
    vocab: Vocab,
    #[serde(deserialize_with = "merges")]
    merges: Merges,
}

/// Reads a tokenizer whose model says that it is BPE. The post-processor is left out. Also gives the model's largest id.
///
/// # Errors
/// What is wrong with the file, in words.
pub(crate) fn read(json: Vec<u8>) -> Result<(tokenizers::Tokenizer, Option<u32>), String> {
    let file: File = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    // The text is as large as what was read from it, and no longer needed.
    drop(json);
    if let Some(version) = file.version.filter(|version| version != "1.0") {
        return Err(format!("unknown tokenizer version '{version}'"));
    }
    let largest_id = file.model.vocab.values().copied().max();
    let mut tokenizer = tokenizers::Tokenizer::new(build(file.model)?);
    tokenizer
        .with_normalizer(file.normalizer)
        .map_err(|error| error.to_string())?;
    tokenizer.with_pre_tokenizer(file.pre_tokenizer);
    tokenizer.with_decoder(file.decoder);
    tokenizer
        .add_tokens(file.added_tokens)
        .map_err(|error| error.to_string())?;
    Ok((tokenizer, largest_id))
}

fn build(model: Model) -> Result<BPE, String> {
    let prefix_bytes = model
        .continuing_subword_prefix
        .as_ref()
        .map_or(0, String::len);
    // The builder takes it for granted that a merge's result is a token, and cuts prefixes off unseen.
    let mut joined = String::new();
    for (left, right) in &model.merges {
        joined.clear();
        joined.push_str(left);
        joined.push_str(right.get(prefix_bytes..).ok_or_else(|| {
            format!("merge of '{left}' and '{right}': the second has no subword prefix")
        })?);
        for token in [left, right, &joined] {
            if !model.vocab.contains_key(token) {
                return Err(format!("token '{token}' of a merge is out of vocabulary"));
            }
        }
    }
    let mut builder = BpeBuilder::new().vocab_and_merges(model.vocab, model.merges);
    if let Some(dropout) = model.dropout {
        builder = builder.dropout(dropout);
    }
    if let Some(token) = model.unk_token {
        builder = builder.unk_token(token);
    }
    if let Some(prefix) = model.continuing_subword_prefix {
        builder = builder.continuing_subword_prefix(prefix);
    }
    if let Some(suffix) = model.end_of_word_suffix {
        builder = builder.end_of_word_suffix(suffix);
    }
    if let Some(fuse) = model.fuse_unk {
        builder = builder.fuse_unk(fuse);
    }
    if let Some(fallback) = model.byte_fallback {
        builder = builder.byte_fallback(fallback);
    }
    if let Some(ignore) = model.ignore_merges {
        builder = builder.ignore_merges(ignore);
    }
    builder.build().map_err(|error| error.to_string())
}

fn vocabulary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vocab, D::Error> {
    struct Ids;
    impl<'de> Visitor<'de> for Ids {
        type Value = Vocab;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("tokens with their ids")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab, A::Error> {
            let mut vocab = Vocab::default();
            while let Some((token, id)) = map.next_entry::<String, u32>()? {
                vocab.insert(token, id);
            }
            Ok(vocab)
        }
    }
    deserializer.deserialize_map(Ids)
}

/// One merge: a pair, or (as older files have it) two tokens with a space between.
struct Merge;

impl<'de> DeserializeSeed<'de> for Merge {
    type Value = Option<(String, String)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Merge {
    type Value = Option<(String, String)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a merge: two tokens")
    }

    fn visit_str<E: serde::de::Error>(self, line: &str) -> Result<Self::Value, E> {
        if line.starts_with("#version") {
            return Ok(None);
        }
        match line.split(' ').collect::<Vec<_>>()[..] {
            [left, right] => Ok(Some((left.to_owned(), right.to_owned()))),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(line), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Self::Value, A::Error> {
        let left: String = pair
            .next_element()?
            .ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let right: String = pair
            .next_element()?
            .ok_or_else(|| A::Error::invalid_length(1, &self))?;
        if pair.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::invalid_length(3, &self));
        }
        Ok(Some((left, right)))
    }
}

fn merges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Merges, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Merges;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("merges")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merges, A::Error> {
            let mut merges = Merges::new();
            while let Some(merge) = list.next_element_seed(Merge)? {
                merges.extend(merge);
            }
            Ok(merges)
        }
    }
    deserializer.deserialize_seq(List)
}
