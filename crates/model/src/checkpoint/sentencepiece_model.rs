//! `tokenizer.model`: a SentencePiece model, which is a protocol buffer. Only BPE models that change no characters are read.

use crate::Error;
use crate::error::shown;

use super::vocabulary::{Piece, PieceKind, SentencePiece};

/// Name of the file in a checkpoint.
pub(super) const MODEL_FILE: &str = "tokenizer.model";
/// Most pieces: as many as an embedding may have rows.
const MAX_PIECES: usize = 4 * 1024 * 1024;
/// Number of BPE among the kinds of models.
const KIND_BPE: u64 = 2;

/// Reads a model.
///
/// # Errors
/// If it is damaged, or of a kind whose tokens cannot be had exactly.
pub(super) fn read(bytes: &[u8]) -> Result<SentencePiece, Error> {
    let mut pieces = Vec::new();
    let mut model = Model::default();
    for field in fields(bytes) {
        match field? {
            (1, Field::Bytes(piece)) => {
                if pieces.len() >= MAX_PIECES {
                    return Err(damaged("more pieces than a model can have"));
                }
                pieces.push(read_piece(piece)?);
            }
            (2, Field::Bytes(trainer)) => model.read_trainer(trainer)?,
            (3, Field::Bytes(normalizer)) => model.read_normalizer(normalizer)?,
            _ => {}
        }
    }
    if pieces.is_empty() {
        return Err(damaged("no pieces"));
    }
    let id = |id: u64| {
        u32::try_from(id)
            .ok()
            .filter(|&id| (id as usize) < pieces.len())
    };
    Ok(SentencePiece {
        bos: id(model.bos),
        eos: id(model.eos),
        adds_space: model.adds_space,
        pieces,
    })
}

fn damaged(what: &'static str) -> Error {
    Error::KeyValue {
        file: MODEL_FILE.to_string(),
        key: "the tokenizer".to_string(),
        expected: "a SentencePiece model".to_string(),
        got: what.to_string(),
    }
}

fn unsupported(found: &str) -> Error {
    Error::Unsupported {
        found: format!("a tokenizer ({MODEL_FILE}) {found}"),
        supported: "SentencePiece BPE models that change no characters",
    }
}

/// What is known besides the pieces.
struct Model {
    bos: u64,
    eos: u64,
    adds_space: bool,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            bos: 1,
            eos: 2,
            adds_space: true,
        }
    }
}

impl Model {
    fn read_trainer(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // The default of the format is another kind.
        let mut kind = 1;
        for field in fields(bytes) {
            match field? {
                (3, Field::Number(value)) => kind = value,
                (24, Field::Number(1)) => return Err(unsupported("with spaces behind words")),
                (41, Field::Number(value)) => self.bos = value,
                (42, Field::Number(value)) => self.eos = value,
                _ => {}
            }
        }
        if kind != KIND_BPE {
            return Err(unsupported(&format!("of kind {kind}, which is not BPE")));
        }
        Ok(())
    }

    fn read_normalizer(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut squeezes = true;
        for field in fields(bytes) {
            match field? {
                (2, Field::Bytes(map)) if !map.is_empty() => {
                    return Err(unsupported("that normalises characters"));
                }
                (3, Field::Number(value)) => self.adds_space = value != 0,
                (4, Field::Number(value)) => squeezes = value != 0,
                (5, Field::Number(0)) => return Err(unsupported("that keeps spaces as they are")),
                _ => {}
            }
        }
        if squeezes {
            return Err(unsupported("that removes spaces"));
        }
        Ok(())
    }
}

fn read_piece(bytes: &[u8]) -> Result<Piece, Error> {
    let (mut text, mut score, mut kind) = (None, 0.0, 1);
    for field in fields(bytes) {
        match field? {
            (1, Field::Bytes(bytes)) => text = std::str::from_utf8(bytes).ok(),
            (2, Field::Fixed32(bits)) => score = f32::from_bits(bits),
            (3, Field::Number(value)) => kind = value,
            _ => {}
        }
    }
    let text = text.ok_or_else(|| damaged("a piece that is no UTF-8"))?;
    let kind = PieceKind::from_number(kind).ok_or_else(|| damaged("a piece of unknown kind"))?;
    Ok(Piece {
        text: text.to_string(),
        score,
        kind,
    })
}

/// A value of a protocol buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Field<'a> {
    Number(u64),
    Fixed32(u32),
    Fixed64,
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Field<'_>), Error>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        match next_field(bytes) {
            Some((number, field, rest)) => {
                bytes = rest;
                Some(Ok((number, field)))
            }
            None => {
                bytes = &[];
                Some(Err(damaged("a message that is cut off or damaged")))
            }
        }
    })
}

fn next_field(bytes: &[u8]) -> Option<(u64, Field<'_>, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let (field, rest) = match tag & 7 {
        0 => {
            let (value, rest) = varint(rest)?;
            (Field::Number(value), rest)
        }
        1 => (Field::Fixed64, rest.get(8..)?),
        2 => {
            let (n, rest) = varint(rest)?;
            let n = usize::try_from(n).ok()?;
            (Field::Bytes(rest.get(..n)?), &rest[n..])
        }
        5 => {
            let (four, rest) = rest.split_first_chunk::<4>()?;
            (Field::Fixed32(u32::from_le_bytes(*four)), rest)
        }
        _ => return None,
    };
    Some((tag >> 3, field, rest))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

/// Adds tokens that stand behind the pieces: those of `tokenizer_config.json`, by id.
///
/// # Errors
/// If an id leaves a gap.
pub(super) fn add_tokens(
    model: &mut SentencePiece,
    tokens: impl Iterator<Item = (u32, String, bool)>,
) -> Result<(), Error> {
    let mut tokens: Vec<(u32, String, bool)> = tokens.collect();
    tokens.sort_unstable();
    for (id, text, is_special) in tokens {
        let n_pieces = model.pieces.len();
        let kind = if is_special {
            PieceKind::Control
        } else {
            PieceKind::UserDefined
        };
        match model.pieces.get(id as usize) {
            // A piece that is given again, with what it is for.
            Some(piece) if piece.text == text => {}
            None if id as usize == n_pieces => model.pieces.push(Piece {
                text,
                score: 0.0,
                kind,
            }),
            _ => {
                return Err(Error::KeyValue {
                    file: "tokenizer_config.json".to_string(),
                    key: "added_tokens_decoder".to_string(),
                    expected: format!(
                        "the tokens behind the {n_pieces} of {MODEL_FILE}, without a gap"
                    ),
                    got: format!("{} for id {id}", shown(&text)),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn fixture() -> Vec<u8> {
        let path = fixtures::workspace_root().join("tests/data/sentencepiece/tokenizer.model");
        std::fs::read(path).unwrap()
    }

    #[test]
    fn a_model_of_the_library_is_read() {
        let model = read(&fixture()).unwrap();
        assert_eq!(model.pieces.len(), 640);
        assert_eq!(
            (model.bos, model.eos, model.adds_space),
            (Some(1), Some(2), true)
        );
        let kinds = |kind| {
            model
                .pieces
                .iter()
                .filter(|piece| piece.kind == kind)
                .count()
        };
        assert_eq!(kinds(PieceKind::Byte), 256);
        assert_eq!(
            (kinds(PieceKind::Control), kinds(PieceKind::Unknown)),
            (2, 1)
        );
        assert_eq!(model.pieces[3].text, "<0x00>");
    }

    #[test]
    fn damaged_and_other_models_are_refused() {
        let whole = fixture();
        assert!(read(&[]).is_err());
        for n in (1..whole.len()).step_by(97) {
            // Cut between two pieces it is a smaller vocabulary of unknown kind, which is allowed to pass.
            if let Err(error) = read(&whole[..n]) {
                assert!(error.to_string().contains("tokenizer"), "{error}");
            }
        }
        // A trainer that names no kind means a unigram model.
        let unigram = [b"\x0a\x03\x0a\x01a".as_slice(), b"\x12\x00"].concat();
        let error = read(&unigram).err().unwrap().to_string();
        assert!(error.contains("not BPE"), "{error}");
        // A normaliser that does not say otherwise removes spaces.
        let squeezing = [b"\x0a\x03\x0a\x01a".as_slice(), b"\x1a\x00"].concat();
        let error = read(&squeezing).err().unwrap().to_string();
        assert!(error.contains("removes spaces"), "{error}");
    }

    #[test]
    fn added_tokens_follow_the_pieces() {
        let mut model = read(&fixture()).unwrap();
        let tokens = [
            (641, "x".to_string(), false),
            (640, "<pad>".to_string(), true),
            (1, "<s>".to_string(), true),
        ];
        add_tokens(&mut model, tokens.into_iter()).unwrap();
        assert_eq!(model.pieces[640].kind, PieceKind::Control);
        assert_eq!(model.pieces[641].text, "x");
        let gap = [(650, "y".to_string(), true)];
        let error = add_tokens(&mut model, gap.into_iter()).unwrap_err();
        assert!(error.to_string().contains("y for id 650"), "{error}");
    }
}
