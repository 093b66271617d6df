//! Byte-level BPE, as GPT-2 has it: tokens in an alphabet of 256 characters that stand for bytes.

use serde_json::{Value, json};

use super::{Parts, Piece, framing, to_json, vocabulary};

/// How a text is split before it is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checkpoint) enum PreTokenizer {
    Gpt2,
    Smollm,
    Llama3,
    Qwen2,
}

/// Words, numbers of up to three digits, other characters, spaces.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with single digits.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl PreTokenizer {
    /// The one of a name in `tokenizer.ggml.pre`.
    pub(in crate::checkpoint) fn find(name: &str) -> Option<PreTokenizer> {
        match name {
            "gpt-2" | "gpt2" => Some(PreTokenizer::Gpt2),
            "smollm" => Some(PreTokenizer::Smollm),
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon_e" | "falcon-e" => {
                Some(PreTokenizer::Llama3)
            }
            "qwen2" => Some(PreTokenizer::Qwen2),
            _ => None,
        }
    }

    /// Whether a whole part that is a token wins before anything is merged, and whether a BOS token goes in front of a text
    /// of which the file does not say it.
    pub(in crate::checkpoint) fn is_llama3(self) -> bool {
        self == PreTokenizer::Llama3
    }

    fn to_json(self) -> Value {
        let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        let split = |regex: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
        let sequence = |steps: Value| json!({"type": "Sequence", "pretokenizers": steps});
        match self {
            PreTokenizer::Gpt2 => byte_level(true),
            PreTokenizer::Smollm => sequence(json!([
                {"type": "Digits", "individual_digits": true},
                byte_level(true)
            ])),
            PreTokenizer::Llama3 => sequence(json!([split(LLAMA3), byte_level(false)])),
            PreTokenizer::Qwen2 => sequence(json!([split(QWEN2), byte_level(false)])),
        }
    }
}

/// A vocabulary with its merges.
#[derive(Debug)]
pub(in crate::checkpoint) struct ByteLevel<'a> {
    pub(in crate::checkpoint) pieces: Vec<Piece>,
    /// Two tokens with a space between.
    pub(in crate::checkpoint) merges: Vec<&'a str>,
    pub(in crate::checkpoint) pre_tokenizer: PreTokenizer,
    /// Ids put around a text.
    pub(in crate::checkpoint) bos: Option<u32>,
    pub(in crate::checkpoint) eos: Option<u32>,
}

impl ByteLevel<'_> {
    pub(in crate::checkpoint) fn to_json(&self) -> Vec<u8> {
        let merges: Vec<[&str; 2]> = self
            .merges
            .iter()
            .filter_map(|merge| merge.split_once(' '))
            .map(|(left, right)| [left, right])
            .collect();
        let parts = Parts {
            normalizer: Value::Null,
            pre_tokenizer: self.pre_tokenizer.to_json(),
            post_processor: framing(&self.pieces, self.bos, self.eos),
            decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
            model: json!({
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": self.pre_tokenizer.is_llama3(), "vocab": vocabulary(&self.pieces), "merges": merges,
            }),
        };
        to_json(&self.pieces, parts)
    }
}
