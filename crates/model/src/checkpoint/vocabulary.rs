//! Vocabularies of GGUF files and SentencePiece models, written as `tokenizer.json`.

mod byte_level;
mod sentencepiece;

use serde_json::{Value, json};

pub(in crate::checkpoint) use byte_level::{ByteLevel, PreTokenizer};
pub(in crate::checkpoint) use sentencepiece::SentencePiece;

/// A token of a vocabulary; its number is its place.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::checkpoint) struct Piece {
    pub(in crate::checkpoint) text: String,
    /// The higher, the earlier it is merged. Only SentencePiece has scores.
    pub(in crate::checkpoint) score: f32,
    pub(in crate::checkpoint) kind: PieceKind,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checkpoint) enum PieceKind {
    Normal,
    Unknown,
    /// Never part of a text: `<s>` and the like.
    Control,
    /// Found in a text as it is, before anything is merged.
    UserDefined,
    Unused,
    /// `<0xNN>`.
    Byte,
}

impl PieceKind {
    /// The kind of a number in a GGUF file or a SentencePiece model, which are the same.
    pub(in crate::checkpoint) fn from_number(number: u64) -> Option<PieceKind> {
        Some(match number {
            1 => PieceKind::Normal,
            2 => PieceKind::Unknown,
            3 => PieceKind::Control,
            4 => PieceKind::UserDefined,
            5 => PieceKind::Unused,
            6 => PieceKind::Byte,
            _ => return None,
        })
    }
}

/// The entries of `added_tokens`: those that are found before a text is split.
fn added_tokens(pieces: &[Piece]) -> Vec<Value> {
    let added = pieces.iter().enumerate().filter(|(_, piece)| {
        matches!(
            piece.kind,
            PieceKind::Control | PieceKind::UserDefined | PieceKind::Unknown
        )
    });
    added
        .map(|(id, piece)| {
            let is_special = piece.kind != PieceKind::UserDefined;
            json!({"id": id, "content": piece.text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": is_special})
        })
        .collect()
}

/// The post-processor that puts tokens around a text.
fn framing(pieces: &[Piece], bos: Option<u32>, eos: Option<u32>) -> Value {
    if bos.is_none() && eos.is_none() {
        return Value::Null;
    }
    let text = |id: u32| {
        pieces
            .get(id as usize)
            .map_or("", |piece| piece.text.as_str())
    };
    let special = |id: u32| json!({"SpecialToken": {"id": text(id), "type_id": 0}});
    let mut single: Vec<Value> = bos.map(special).into_iter().collect();
    single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
    single.extend(eos.map(special));
    let mut tokens = serde_json::Map::new();
    for id in bos.into_iter().chain(eos) {
        tokens.insert(
            text(id).to_string(),
            json!({"id": text(id), "ids": [id], "tokens": [text(id)]}),
        );
    }
    json!({"type": "TemplateProcessing", "single": single, "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": tokens})
}

/// The vocabulary as an object of ids.
fn vocabulary(pieces: &[Piece]) -> serde_json::Map<String, Value> {
    pieces
        .iter()
        .enumerate()
        .map(|(id, piece)| (piece.text.clone(), id.into()))
        .collect()
}

/// Parts of a `tokenizer.json` around its model.
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Value,
}

fn to_json(pieces: &[Piece], parts: Parts) -> Vec<u8> {
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added_tokens(pieces),
        "normalizer": parts.normalizer, "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": parts.post_processor, "decoder": parts.decoder, "model": parts.model,
    });
    serde_json::to_vec(&file).expect("JSON values have string keys and go to memory")
}
