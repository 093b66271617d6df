//! Reference of `shaders/norm_gemv.wgsl`.

use super::{TernaryMatrix, norm_quantize, ternary_gemv};
use crate::ops::Epilogue;

/// [`norm_quantize`] of the row `x [width]`, then [`ternary_gemv`] of the matrix with it into `y [n_rows]`.
pub fn norm_gemv(
    x: &[f32],
    gain: Option<&[f32]>,
    eps: f32,
    matrix: &TernaryMatrix<'_>,
    epilogue: Epilogue,
    y: &mut [f32],
) {
    let mut q = vec![0; matrix.k_padded];
    let scale = norm_quantize(x, gain, eps, &mut q);
    ternary_gemv(matrix, &q, scale, epilogue, y);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_of_ones_sums_the_codes() {
        // Codes 2 stand for +1: the product is the sum of the row, up to the rounding of the int8 codes (127, -64, 0, 32).
        let words = [0xAAAA_AAAA_u32; 4];
        let matrix = TernaryMatrix {
            words: &words,
            gamma: &[1.0],
            n_rows: 1,
            k_padded: 64,
            rows_per_tile: 1,
        };
        let mut y = [0.0];
        let x = [127.0, -64.0, 0.0, 32.0];
        norm_gemv(&x, None, 1e-5, &matrix, Epilogue::Store, &mut y);
        assert_eq!(y, [95.0]);
    }

    #[test]
    fn the_norm_comes_before_the_codes() {
        // Mean square 1, so the norm leaves the row alone; the gain then halves it.
        let words = [0xAAAA_AAAA_u32; 4];
        let matrix = TernaryMatrix {
            words: &words,
            gamma: &[1.0],
            n_rows: 1,
            k_padded: 64,
            rows_per_tile: 1,
        };
        let mut y = [0.0];
        let x = [1.0, 1.0, 1.0, -1.0];
        norm_gemv(&x, Some(&[0.5; 4]), 0.0, &matrix, Epilogue::Store, &mut y);
        assert_eq!(y, [1.0]);
    }
}
