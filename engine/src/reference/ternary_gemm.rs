//! Reference of `shaders/ternary_gemm.wgsl`: the rows of a batch are independent, so it is the GEMV of each.

use super::{RowScale, TernaryMatrix, ternary_gemv};
use crate::ops::Epilogue;

/// Products of the matrix with `q [n_tokens, k_padded]` into `y [n_tokens, n_rows]`.
pub fn ternary_gemm(
    matrix: &TernaryMatrix<'_>,
    q: &[i8],
    scales: &[RowScale],
    epilogue: Epilogue,
    y: &mut [f32],
) {
    let rows = q
        .chunks_exact(matrix.k_padded)
        .zip(y.chunks_exact_mut(matrix.n_rows));
    for ((q, y), scale) in rows.zip(scales) {
        ternary_gemv(matrix, q, *scale, epilogue, y);
    }
}
