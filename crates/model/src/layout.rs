//! Bit layouts of weights: B2 and T5 for ternary codes, F16/Q8/Q6 rows for embeddings and heads.
//!
//! GPU-ready forms, all little-endian `u32` words:
//!
//! - **B2**: 16 codes of one row in a word; element `e` at bits `8 * (e % 4) + 2 * (e / 4)`. Four words (64 codes) make a
//!   quad. Columns are padded to [`K_MULTIPLE`], rows to `rows_per_tile`, with code 1 (value 0). Quads are ordered
//!   `[row / R][quad][row % R]` with `R = rows_per_tile`: `quad_index = ((row / R) * n_quads + quad) * R + row % R`.
//! - **rows**: columns padded with zeros to [`K_MULTIPLE`]; `f16`: two elements a word; `q8`: four; `q6`: for each 32
//!   elements four words of low nibbles (element `e` at bits `4 * (e % 8)` of word `e / 8`) and two words of high bit pairs
//!   (element `e` at bits `2 * (e % 16)` of word `4 + e / 16`); value `((low | high << 4) - 32) * scale`.

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
