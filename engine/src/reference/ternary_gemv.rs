//! Reference of `shaders/ternary_gemv.wgsl`.

use super::RowScale;
use crate::ops::Epilogue;

/// Ternary codes in B2 tiles (`docs/FORMAT.md`), with a multiplier per row.
#[derive(Debug, Clone, Copy)]
pub struct TernaryMatrix<'a> {
    /// B2 words; for a gated product the gate's tiles, then the up's.
    pub words: &'a [u32],
    /// `[rows_padded]` multipliers, for a gated product twice.
    pub gamma: &'a [f32],
    /// Outputs.
    pub n_rows: usize,
    /// Columns after padding, a multiple of 64.
    pub k_padded: usize,
    /// Rows interleaved in a tile.
    pub rows_per_tile: usize,
}

impl TernaryMatrix<'_> {
    fn rows_padded(&self) -> usize {
        self.n_rows.next_multiple_of(self.rows_per_tile)
    }

    /// `sum_k code[row][k] * q[k]`, exact.
    fn dot(&self, row: usize, q: &[i8]) -> i32 {
        let r = self.rows_per_tile;
        let n_quads = self.k_padded / 64;
        let mut acc = 0;
        for (quad, q) in q.chunks_exact(64).enumerate().take(n_quads) {
            let at = ((row / r) * n_quads * r + quad * r + row % r) * 4;
            for (word, q) in self.words[at..at + 4].iter().zip(q.chunks_exact(16)) {
                for (i, q) in q.chunks_exact(4).enumerate() {
                    let lanes = (word >> (2 * i)) & 0x0303_0303;
                    let [a, b, c, d] = lanes.to_le_bytes().map(i32::from);
                    acc += a * i32::from(q[0])
                        + b * i32::from(q[1])
                        + c * i32::from(q[2])
                        + d * i32::from(q[3]);
                }
            }
        }
        acc
    }

    /// One product, `(dot - sum_q) * (gamma * (amax / 127))`.
    fn product(&self, row: usize, q: &[i8], scale: RowScale) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "exact while 128 * k < 2^24")]
        let integer = (self.dot(row, q) - scale.sum_q) as f32;
        integer * (self.gamma[row] * (scale.amax / 127.0))
    }

    /// The same, added to `before` with one rounding.
    fn product_onto(&self, before: f32, row: usize, q: &[i8], scale: RowScale) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "exact while 128 * k < 2^24")]
        let integer = (self.dot(row, q) - scale.sum_q) as f32;
        integer.mul_add(self.gamma[row] * (scale.amax / 127.0), before)
    }
}

/// Product of the matrix with one int8 row `q [k_padded]` into `y [n_rows]`, or onto it ([`Epilogue::Add`]).
pub fn ternary_gemv(
    matrix: &TernaryMatrix<'_>,
    q: &[i8],
    scale: RowScale,
    epilogue: Epilogue,
    y: &mut [f32],
) {
    let up_row = matrix.rows_padded();
    for (row, y) in y.iter_mut().enumerate().take(matrix.n_rows) {
        let value = matrix.product(row, q, scale);
        *y = match epilogue {
            Epilogue::Store => value,
            Epilogue::Add => matrix.product_onto(*y, row, q, scale),
            Epilogue::Relu2 => {
                let positive = value.max(0.0);
                positive * positive * matrix.product(up_row + row, q, scale)
            }
            Epilogue::Silu => {
                value * (1.0 / (1.0 + (-value).exp())) * matrix.product(up_row + row, q, scale)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the format: codes e mod 3, x_e = (7e mod 11) - 5: dot -18, sum 1, result -19.
    #[test]
    fn published_vector() {
        let word = 0x2492_4924_u32;
        let q: Vec<i8> = (0..16_i8).map(|e| (7 * e) % 11 - 5).collect();
        let mut padded = vec![0; 64];
        padded[..16].copy_from_slice(&q);
        let neutral = 0x5555_5555_u32;
        let matrix = TernaryMatrix {
            words: &[word, neutral, neutral, neutral],
            gamma: &[2.0],
            n_rows: 1,
            k_padded: 64,
            rows_per_tile: 1,
        };
        assert_eq!(matrix.dot(0, &padded), -18);
        let mut y = [0.0];
        ternary_gemv(
            &matrix,
            &padded,
            RowScale {
                amax: 127.0,
                sum_q: 1,
            },
            Epilogue::Store,
            &mut y,
        );
        assert_eq!(y, [-38.0]);
    }

    #[test]
    fn gated_epilogues() {
        // Gate row all code 2, up row all code 0, one activation of 3: gate = 3, up = -3 (gamma 1, amax 127).
        let words = [[0xAAAA_AAAA_u32; 4], [0; 4]].concat();
        let matrix = TernaryMatrix {
            words: &words,
            gamma: &[1.0, 1.0],
            n_rows: 1,
            k_padded: 64,
            rows_per_tile: 1,
        };
        let mut q = [0_i8; 64];
        q[7] = 3;
        let scale = RowScale {
            amax: 127.0,
            sum_q: 3,
        };
        let mut y = [0.0];
        ternary_gemv(&matrix, &q, scale, Epilogue::Relu2, &mut y);
        assert_eq!(y, [-27.0]);
        ternary_gemv(&matrix, &q, scale, Epilogue::Silu, &mut y);
        assert!(
            (y[0] - 3.0 / (1.0 + (-3.0_f32).exp()) * -3.0).abs() < 1e-5,
            "{y:?}"
        );
    }
}
