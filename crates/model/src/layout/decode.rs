//! From the bytes of a shard to the bytes that go to the GPU.

use std::borrow::Cow;

use half::f16;

use super::{check_b2, decode_t5, gpu_row_bytes, pack_b2, scales_per_row, stored_piece_bytes};
use crate::{Coding, Encoding, Error, Piece, Tensor, TernaryLayout};

/// A piece of a tensor, checked and in the form that kernels read.
#[derive(Debug, Clone, PartialEq)]
pub enum DecodedPiece<'a> {
    /// Ternary codes.
    Ternary {
        /// B2 tiles, `padded_rows(n_rows) * padded_cols(n_cols) / 4` bytes of little-endian words.
        words: Cow<'a, [u8]>,
        /// Scales `[n_rows, n_groups]`; empty with one scale for the tensor.
        group_scales: Vec<f32>,
    },
    /// Rows of an embedding or a head.
    Rows {
        /// `[n_rows, gpu_row_bytes]`.
        codes: Cow<'a, [u8]>,
        /// `[n_rows, scales_per_row]`; empty for f16.
        scales: Vec<f32>,
    },
    /// Plain values `[n_rows, n_cols]`.
    F32(Vec<f32>),
}

/// Decodes one piece of `tensor` out of the bytes of its whole shard. Checks the length, the range, every ternary code and
/// every scale, so that nothing that comes out needs another check.
///
/// # Errors
/// If the piece does not lie in `shard`, its length is not what its rows need, a ternary code is not 0, 1 or 2, padding is
/// not code 1, a value is not finite, or a scale is not finite and positive (rows: not negative).
pub fn decode_piece<'a>(
    layout: &TernaryLayout,
    tensor: &Tensor,
    piece: &Piece,
    shard: &'a [u8],
) -> Result<DecodedPiece<'a>, Error> {
    let bytes = piece_bytes(layout, tensor, piece, shard)?;
    // The length was compared with the row and column counts, so products of these fit in memory and in usize.
    let (n_rows, n_cols) = (piece.n_rows as usize, tensor.shape[1] as usize);
    match tensor.encoding {
        Encoding::Ternary { .. } => decode_ternary(layout, tensor, piece, bytes),
        Encoding::F32 => {
            let values: Vec<f32> = bytes.chunks_exact(4).map(f32_from_le).collect();
            check_finite(tensor, piece, "f32", &values, n_cols)?;
            Ok(DecodedPiece::F32(values))
        }
        Encoding::F16 => {
            let mut halves = bytes
                .chunks_exact(2)
                .map(|b| f16::from_le_bytes([b[0], b[1]]));
            match halves.position(|half| !half.is_finite()) {
                None => Ok(DecodedPiece::Rows {
                    codes: Cow::Borrowed(bytes),
                    scales: Vec::new(),
                }),
                Some(at) => {
                    let value = f16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]).to_f32();
                    let row_elements = gpu_row_bytes(&tensor.encoding, n_cols) / 2;
                    Err(value_error(tensor, piece, "f16", at, row_elements, value))
                }
            }
        }
        Encoding::Q8 => {
            let (codes, scale_bytes) =
                bytes.split_at(n_rows * gpu_row_bytes(&tensor.encoding, n_cols));
            rows(
                tensor,
                piece,
                codes,
                scale_bytes.chunks_exact(4).map(f32_from_le).collect(),
            )
        }
        Encoding::Q6 { .. } | Encoding::Q4 { .. } => {
            let (codes, scale_bytes) =
                bytes.split_at(n_rows * gpu_row_bytes(&tensor.encoding, n_cols));
            rows(tensor, piece, codes, halves_to_f32(scale_bytes))
        }
    }
}

/// The piece's own bytes, after comparing its length with its encoding and its range with the shard.
fn piece_bytes<'a>(
    layout: &TernaryLayout,
    tensor: &Tensor,
    piece: &Piece,
    shard: &'a [u8],
) -> Result<&'a [u8], Error> {
    let is_empty = piece.n_rows == 0 || tensor.shape[1] == 0;
    let expected = stored_piece_bytes(layout, &tensor.encoding, tensor.shape[1], piece.n_rows)
        .filter(|_| !is_empty);
    if expected != Some(piece.bytes) {
        return Err(Error::PieceLength {
            tensor: tensor.name.clone(),
            first_row: piece.first_row,
            n_rows: piece.n_rows,
            expected: expected.unwrap_or(u64::MAX),
            got: piece.bytes,
        });
    }
    let range = piece
        .offset
        .checked_add(piece.bytes)
        .filter(|&end| end <= shard.len() as u64);
    match range {
        Some(end) => Ok(&shard[piece.offset as usize..end as usize]),
        None => Err(Error::PieceOutsideShard {
            tensor: tensor.name.clone(),
            first_row: piece.first_row,
            shard: piece.shard,
            offset: piece.offset,
            bytes: piece.bytes,
            shard_bytes: shard.len() as u64,
        }),
    }
}

fn decode_ternary<'a>(
    layout: &TernaryLayout,
    tensor: &Tensor,
    piece: &Piece,
    bytes: &'a [u8],
) -> Result<DecodedPiece<'a>, Error> {
    let (n_rows, n_cols) = (piece.n_rows as usize, tensor.shape[1] as usize);
    let rows_per_tile = layout.rows_per_tile as usize;
    let n_scales = n_rows * scales_per_row(&tensor.encoding, n_cols);
    let (codes, scale_bytes) = bytes.split_at(bytes.len() - 2 * n_scales);
    let words = match layout.coding {
        Coding::B2 => {
            check_b2(codes, n_rows, n_cols, rows_per_tile).map_err(|wrong| Error::TernaryCode {
                tensor: tensor.name.clone(),
                row: u64::from(piece.first_row) + wrong.row as u64,
                col: wrong.col as u64,
                expected: if wrong.code == 3 {
                    "0, 1 or 2"
                } else {
                    "1 in padding"
                },
                got: wrong.code,
            })?;
            Cow::Borrowed(codes)
        }
        Coding::T5 => {
            let unpacked = decode_t5(codes, n_rows * n_cols).map_err(|at| Error::TernaryCode {
                tensor: tensor.name.clone(),
                row: u64::from(piece.first_row) + (at * 5 / n_cols) as u64,
                col: (at * 5 % n_cols) as u64,
                expected: "a valid T5 byte",
                got: codes[at],
            })?;
            Cow::Owned(pack_b2(&unpacked, n_rows, n_cols, rows_per_tile))
        }
    };
    let group_scales = halves_to_f32(scale_bytes);
    check_scales(
        tensor,
        piece,
        &group_scales,
        "finite and positive",
        |scale| scale > 0.0,
    )?;
    Ok(DecodedPiece::Ternary {
        words,
        group_scales,
    })
}

fn rows<'a>(
    tensor: &Tensor,
    piece: &Piece,
    codes: &'a [u8],
    scales: Vec<f32>,
) -> Result<DecodedPiece<'a>, Error> {
    check_scales(tensor, piece, &scales, "finite and not negative", |scale| {
        scale >= 0.0
    })?;
    Ok(DecodedPiece::Rows {
        codes: Cow::Borrowed(codes),
        scales,
    })
}

fn check_scales(
    tensor: &Tensor,
    piece: &Piece,
    scales: &[f32],
    expected: &'static str,
    is_allowed: impl Fn(f32) -> bool,
) -> Result<(), Error> {
    match scales
        .iter()
        .position(|&scale| !scale.is_finite() || !is_allowed(scale))
    {
        None => Ok(()),
        Some(at) => {
            let per_row = scales_per_row(&tensor.encoding, tensor.shape[1] as usize).max(1);
            Err(Error::Scale {
                tensor: tensor.name.clone(),
                row: u64::from(piece.first_row) + (at / per_row) as u64,
                expected,
                got: scales[at],
            })
        }
    }
}

fn check_finite(
    tensor: &Tensor,
    piece: &Piece,
    encoding: &'static str,
    values: &[f32],
    row_elements: usize,
) -> Result<(), Error> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(value_error(
            tensor,
            piece,
            encoding,
            at,
            row_elements,
            values[at],
        )),
    }
}

fn value_error(
    tensor: &Tensor,
    piece: &Piece,
    encoding: &'static str,
    at: usize,
    row_elements: usize,
    got: f32,
) -> Error {
    Error::Value {
        tensor: tensor.name.clone(),
        row: u64::from(piece.first_row) + (at / row_elements) as u64,
        col: (at % row_elements) as u64,
        encoding,
        limit: if encoding == "f16" {
            f16::MAX.to_f32()
        } else {
            f32::MAX
        },
        got,
    }
}

fn f32_from_le(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn halves_to_f32(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(2)
        .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
        .collect()
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
