//! Bit layouts of weights: B2 and T5 for ternary codes, F16/Q8/Q6/Q4 rows for embeddings and heads.
//!
//! GPU-ready forms, all little-endian `u32` words:
//!
//! - **B2**: 16 codes of one row in a word; element `e` at bits `8 * (e % 4) + 2 * (e / 4)`. Four words (64 codes) make a
//!   quad. Columns are padded to [`K_MULTIPLE`], rows to `rows_per_tile`, with code 1 (value 0). Quads are ordered
//!   `[row / R][quad][row % R]` with `R = rows_per_tile`: `quad_index = ((row / R) * n_quads + quad) * R + row % R`.
//! - **rows**: columns padded with zeros to [`K_MULTIPLE`]; `f16`: two elements a word; `q8`: four; `q6`: for each 32
//!   elements four words of low nibbles (element `e` at bits `4 * (e % 8)` of word `e / 8`) and two words of high bit pairs
//!   (element `e` at bits `2 * (e % 16)` of word `4 + e / 16`); value `((low | high << 4) - 32) * scale`; `q4`: eight (element `e` at bits
//!   `4 * e`), value `(code - 8) * scale`.
//!
//! A piece of rows is all its codes, then all its scales (`q8`: f32, one a row; `q6` and `q4`: f16, one for each group of the padded
//! row). A piece of ternary rows is its codes, then, with [`Scale::Group`](crate::Scale), its f16 scales row by row.
//! **T5** stores the codes of a piece in row order without padding, five a byte; only the last byte is padded, with code 1.

mod decode;
mod nibbles;
mod rows;
mod ternary;

pub use decode::{DecodedPiece, decode_piece};
pub use nibbles::{Q4_GROUP, dequantize_q4_row, quantize_q4_row};
pub use rows::{
    RowValue, dequantize_f16_row, dequantize_q6_row, dequantize_q8_row, quantize_f16_row,
    quantize_q6_row, quantize_q8_row,
};
pub use ternary::{WrongCode, check_b2, decode_t5, encode_t5, pack_b2, t5_bytes, unpack_b2};

use crate::{Coding, Encoding, Scale, TernaryLayout};

/// Columns of ternary matrices and of embedding rows are padded to a multiple of this.
pub const K_MULTIPLE: usize = 64;

/// Columns after padding.
pub const fn padded_cols(n_cols: usize) -> usize {
    n_cols.div_ceil(K_MULTIPLE) * K_MULTIPLE
}

/// Rows after padding to whole tiles.
pub const fn padded_rows(n_rows: usize, rows_per_tile: usize) -> usize {
    n_rows.div_ceil(rows_per_tile) * rows_per_tile
}

/// Bytes of one row of codes as it lies on the GPU: ternary codes at 2 bits, columns padded (f32 is never padded).
pub const fn gpu_row_bytes(encoding: &Encoding, n_cols: usize) -> usize {
    match encoding {
        Encoding::Ternary { .. } => padded_cols(n_cols) / 4,
        Encoding::F32 => n_cols * 4,
        Encoding::F16 => padded_cols(n_cols) * 2,
        Encoding::Q8 => padded_cols(n_cols),
        Encoding::Q6 { .. } => padded_cols(n_cols) / 4 * 3,
        Encoding::Q4 { .. } => padded_cols(n_cols) / 2,
    }
}

/// Number of scales that belong to one row; 0 where the tensor has one scale or none.
pub const fn scales_per_row(encoding: &Encoding, n_cols: usize) -> usize {
    match encoding {
        Encoding::Ternary {
            scale: Scale::Group { size },
        } => n_cols.div_ceil(*size as usize),
        Encoding::Q8 => 1,
        Encoding::Q6 { group } | Encoding::Q4 { group } => padded_cols(n_cols) / *group as usize,
        Encoding::Ternary {
            scale: Scale::Tensor { .. },
        }
        | Encoding::F32
        | Encoding::F16 => 0,
    }
}

/// Most rows of a tile. Without a limit a small piece could claim padding without end.
pub const MAX_ROWS_PER_TILE: u32 = 64;

/// Bytes of a piece of `n_rows` rows in a shard: codes, then scales. `None` when the number overflows or a field is invalid
/// (`rows_per_tile` of 0 or above [`MAX_ROWS_PER_TILE`], or a group size of 0).
pub fn stored_piece_bytes(
    layout: &TernaryLayout,
    encoding: &Encoding,
    n_cols: u32,
    n_rows: u32,
) -> Option<u64> {
    let rows = u64::from(n_rows);
    let cols = u64::from(n_cols);
    let padded = cols
        .div_ceil(K_MULTIPLE as u64)
        .checked_mul(K_MULTIPLE as u64)?;
    match encoding {
        Encoding::Ternary { scale } => {
            if !(1..=MAX_ROWS_PER_TILE).contains(&layout.rows_per_tile) {
                return None;
            }
            let codes = match layout.coding {
                Coding::B2 => rows
                    .checked_next_multiple_of(u64::from(layout.rows_per_tile))?
                    .checked_mul(padded / 4)?,
                Coding::T5 => rows.checked_mul(cols)?.div_ceil(5),
            };
            let scales = match scale {
                Scale::Tensor { .. } => 0,
                Scale::Group { size: 0 } => return None,
                Scale::Group { size } => rows
                    .checked_mul(cols.div_ceil(u64::from(*size)))?
                    .checked_mul(2)?,
            };
            codes.checked_add(scales)
        }
        Encoding::F32 => rows.checked_mul(cols)?.checked_mul(4),
        Encoding::F16 => rows.checked_mul(padded)?.checked_mul(2),
        Encoding::Q8 => rows.checked_mul(padded.checked_add(4)?),
        Encoding::Q6 { group: 0 } | Encoding::Q4 { group: 0 } => None,
        Encoding::Q4 { group } => {
            rows.checked_mul((padded / 2).checked_add(padded / u64::from(*group) * 2)?)
        }
        Encoding::Q6 { group } => {
            rows.checked_mul((padded / 4 * 3).checked_add(padded / u64::from(*group) * 2)?)
        }
    }
}
