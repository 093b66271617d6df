//! SentencePiece BPE, as the Llama models have it: pieces with scores, spaces as U+2581, and a token for each byte.
//!
//! SentencePiece merges the neighbours whose joint piece has the highest score. A `tokenizer.json` has no scores but an order
//! of merges, so every way to put a piece together from two others becomes a merge, ordered by the score of the piece.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Parts, Piece, PieceKind, framing, to_json, vocabulary};

/// What stands for a space.
const SPACE: &str = "\u{2581}";

/// A vocabulary.
#[derive(Debug, Clone)]
pub(in crate::checkpoint) struct SentencePiece {
    pub(in crate::checkpoint) pieces: Vec<Piece>,
    /// Whether a space goes in front of a text.
    pub(in crate::checkpoint) adds_space: bool,
    /// Ids put around a text.
    pub(in crate::checkpoint) bos: Option<u32>,
    pub(in crate::checkpoint) eos: Option<u32>,
}

impl SentencePiece {
    pub(in crate::checkpoint) fn to_json(&self) -> Vec<u8> {
        let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
        let mut normalizers = vec![replace(" ", SPACE)];
        let mut decoders = vec![
            replace(SPACE, " "),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if self.adds_space {
            normalizers.insert(0, json!({"type": "Prepend", "prepend": SPACE}));
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        let unknown = self
            .pieces
            .iter()
            .find(|piece| piece.kind == PieceKind::Unknown);
        let has_bytes = self
            .pieces
            .iter()
            .any(|piece| piece.kind == PieceKind::Byte);
        let parts = Parts {
            normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
            pre_tokenizer: Value::Null,
            post_processor: framing(&self.pieces, self.bos, self.eos),
            decoder: json!({"type": "Sequence", "decoders": decoders}),
            model: json!({
                "type": "BPE", "dropout": null, "unk_token": unknown.map(|piece| &piece.text),
                "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
                "byte_fallback": has_bytes, "ignore_merges": false, "vocab": vocabulary(&self.pieces),
                "merges": self.merges(),
            }),
        };
        to_json(&self.pieces, parts)
    }

    /// Every pair of pieces that makes a piece, in the order in which SentencePiece would join them.
    fn merges(&self) -> Vec<[&str; 2]> {
        // Control tokens and bytes are never made of parts, nor parts of others.
        let is_joined = |kind| matches!(kind, PieceKind::Normal | PieceKind::UserDefined);
        let ids: HashMap<&str, usize> = self
            .pieces
            .iter()
            .enumerate()
            .filter(|(_, piece)| is_joined(piece.kind))
            .map(|(id, piece)| (piece.text.as_str(), id))
            .collect();
        let mut order: Vec<usize> = ids
            .values()
            .copied()
            .filter(|&id| self.pieces[id].kind == PieceKind::Normal)
            .collect();
        // Highest score first, and a fixed order where scores are equal.
        order.sort_by(|&a, &b| {
            let score = |id: usize| self.pieces[id].score;
            score(b).total_cmp(&score(a)).then(a.cmp(&b))
        });
        let mut merges = Vec::new();
        for id in order {
            let text = self.pieces[id].text.as_str();
            let mut splits: Vec<(usize, usize, [&str; 2])> = text
                .char_indices()
                .skip(1)
                .filter_map(|(at, _)| {
                    let (left, right) = text.split_at(at);
                    Some((*ids.get(left)?, *ids.get(right)?, [left, right]))
                })
                .collect();
            splits.sort_unstable_by_key(|&(left, right, _)| (left, right));
            merges.extend(splits.into_iter().map(|(_, _, pair)| pair));
        }
        merges
    }
}
