//! Reference of `shaders/rope_kv.wgsl`.

use crate::variant::KvType;
use half::f16;

/// Rotates the pairs `(j, j + D / 2)` of a head `x [D]` by `angles [D / 2][2]` (cosine, sine).
#[must_use]
pub fn rope(x: &[f32], angles: &[f32]) -> Vec<f32> {
    let half = x.len() / 2;
    let mut out = x.to_vec();
    for j in 0..half {
        let (cos, sin) = (angles[2 * j], angles[2 * j + 1]);
        out[j] = x[j] * cos - x[j + half] * sin;
        out[j + half] = x[j + half] * cos + x[j] * sin;
    }
    out
}

/// The rows of a cache of keys or values, one for each position of each head: the elements of all rows, then, for a type that
/// has them, the scales of all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvRows {
    /// Type of the elements.
    pub kv: KvType,
    /// Elements of a row, a multiple of 4.
    pub head_dim: usize,
    /// Rows of the cache, heads times positions.
    pub n_rows: usize,
}

impl KvRows {
    /// Words of the elements of a row.
    #[must_use]
    pub const fn row_words(self) -> usize {
        self.head_dim * self.kv.element_bytes() as usize / 4
    }

    /// Words of the cache.
    #[must_use]
    pub const fn words(self) -> usize {
        self.n_rows * (self.row_words() + self.kv.scale_bytes() as usize / 4)
    }

    /// Stores whole rows from row `first` on, `values [.., head_dim]`: halves and codes rounded to nearest even, codes relative
    /// to the largest value of their row (see [`quantize_kv`]).
    pub fn store(self, cache: &mut [u32], first: usize, values: &[f32]) {
        let (elements, scales) = cache.split_at_mut(self.n_rows * self.row_words());
        let rows = elements[first * self.row_words()..].chunks_exact_mut(self.row_words());
        for (i, (words, row)) in rows.zip(values.chunks_exact(self.head_dim)).enumerate() {
            match self.kv {
                KvType::F32 => words.copy_from_slice(bytemuck::cast_slice(row)),
                KvType::F16 => {
                    for (word, pair) in words.iter_mut().zip(row.chunks_exact(2)) {
                        let [low, high] =
                            [pair[0], pair[1]].map(|v| u32::from(f16::from_f32(v).to_bits()));
                        *word = low | high << 16;
                    }
                }
                KvType::I8 => {
                    let (codes, scale) = quantize_kv(row);
                    for (word, quad) in words.iter_mut().zip(codes.chunks_exact(4)) {
                        let bytes = [quad[0], quad[1], quad[2], quad[3]].map(i8::cast_unsigned);
                        *word = u32::from_le_bytes(bytes);
                    }
                    scales[first + i] = scale.to_bits();
                }
            }
        }
    }

    /// Reads `n` rows from row `first` on, `[n, head_dim]`.
    #[must_use]
    pub fn load(self, cache: &[u32], first: usize, n: usize) -> Vec<f32> {
        let (elements, scales) = cache.split_at(self.n_rows * self.row_words());
        let words = &elements[first * self.row_words()..(first + n) * self.row_words()];
        match self.kv {
            KvType::F32 => bytemuck::cast_slice(words).to_vec(),
            KvType::F16 => words
                .iter()
                .flat_map(|word| [(word & 0xFFFF) as u16, (word >> 16) as u16])
                .map(|bits| f16::from_bits(bits).to_f32())
                .collect(),
            KvType::I8 => words
                .chunks_exact(self.row_words())
                .zip(&scales[first..])
                .flat_map(|(words, scale)| {
                    let codes = words.iter().flat_map(|word| word.to_le_bytes());
                    codes.map(|code| f32::from(code.cast_signed()) * f32::from_bits(*scale))
                })
                .collect(),
        }
    }
}

/// A row as signed bytes and its scale: `amax = max(max |x|, 1e-30)`, `scale = amax / 127`,
/// `code = clamp(round_half_even(x * (127 / amax)), -127, 127)`. The scale is a product with the nearest float to 1/127, as a
/// product is rounded in the same way on every device. A NaN makes the scale NaN, and with it the row.
#[must_use]
pub fn quantize_kv(row: &[f32]) -> (Vec<i8>, f32) {
    // By their bits, of which those of a NaN are the largest.
    let largest = row.iter().map(|x| x.abs().to_bits()).max().unwrap_or(0);
    let amax = f32::from_bits(largest.max(1e-30_f32.to_bits()));
    let inverse = 127.0 / amax;
    let codes = row.iter().map(|x| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "clamped to a byte; NaN is 0"
        )]
        let code = (x * inverse).clamp(-127.0, 127.0).round_ties_even() as i8;
        code
    });
    (codes.collect(), amax * (1.0 / 127.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::rope_table;

    #[test]
    fn pairs_are_half_a_head_apart() {
        // A quarter turn of the first pair, none of the second: (a, b, c, d) -> (-c, b, a, d).
        let out = rope(&[1.0, 2.0, 3.0, 4.0], &[0.0, 1.0, 1.0, 0.0]);
        assert_eq!(out, [-3.0, 2.0, 1.0, 4.0]);
    }

    #[test]
    fn table_matches_its_formula_far_out() {
        let (theta, head_dim, position) = (10_000.0_f64, 100_u32, 4095_u32);
        let table = rope_table(theta, head_dim, position + 1);
        assert_eq!(table.len(), 4096 * 100);
        for j in [0_u32, 1, 17, 49] {
            let angle = f64::from(position) / theta.powf(f64::from(2 * j) / f64::from(head_dim));
            let at = (position * head_dim + 2 * j) as usize;
            assert!(
                (f64::from(table[at]) - angle.cos()).abs() < 1e-7,
                "cos of pair {j}"
            );
            assert!(
                (f64::from(table[at + 1]) - angle.sin()).abs() < 1e-7,
                "sin of pair {j}"
            );
        }
        assert_eq!(table[..2], [1.0, 0.0], "position 0 does not turn");
    }

    /// A cache with two rows, the second of which holds the values.
    fn stored(kv: KvType, values: &[f32]) -> (KvRows, Vec<u32>) {
        let rows = KvRows {
            kv,
            head_dim: values.len(),
            n_rows: 2,
        };
        let mut cache = vec![0; rows.words()];
        rows.store(&mut cache, 1, values);
        assert!(cache[..rows.row_words()].iter().all(|word| *word == 0));
        (rows, cache)
    }

    #[test]
    fn halves_round_to_nearest_even() {
        // 1 + 2^-11 is a tie between 1 and 1 + 2^-10; 1 + 3 * 2^-11 one between odd and even above.
        let ties = [1.0 + 2.0_f32.powi(-11), 1.0 + 3.0 * 2.0_f32.powi(-11)];
        let (rows, cache) = stored(KvType::F16, &[ties[0], ties[1], 65504.0, -0.1]);
        let back = rows.load(&cache, 1, 1);
        assert_eq!(back[..3], [1.0, 1.0 + 2.0_f32.powi(-9), 65504.0]);
        assert!((back[3] + 0.1).abs() < 3e-5);
    }

    #[test]
    fn floats_are_kept() {
        let values = [0.1, -0.2, f32::MAX, -0.0];
        let (rows, cache) = stored(KvType::F32, &values);
        assert_eq!(rows.load(&cache, 1, 1), values);
    }

    #[test]
    fn codes_round_to_nearest_even_and_the_largest_is_127() {
        // 127 / amax is 1, so the values are codes already, or halfway between two.
        let row = [
            127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49, -126.6, 126.5, 0.0, -0.0,
        ];
        let expected = [127, 0, 2, 2, 0, -2, -2, 0, -127, 126, 0, 0];
        let (codes, scale) = quantize_kv(&row);
        assert_eq!(codes, expected);
        assert!((scale - 1.0).abs() < 1e-7, "{scale}");
        let negative = row.map(|x| -x);
        assert_eq!(quantize_kv(&negative).0, expected.map(|code| -code));
        let (rows, cache) = stored(KvType::I8, &row);
        assert_eq!(rows.words(), 2 * 3 + 2);
        let back = rows.load(&cache, 1, 1);
        assert_eq!(back, expected.map(|code| f32::from(code) * scale));
    }

    #[test]
    fn codes_of_any_size_are_within_half_a_step() {
        for size in [1e-28_f32, 1e-5, 1.0, 3e38] {
            let row: Vec<f32> = (0..64).map(|i| (i as f32 * 0.7).sin() * size).collect();
            let (codes, scale) = quantize_kv(&row);
            for (x, code) in row.iter().zip(&codes) {
                let error = (f64::from(*x) - f64::from(*code) * f64::from(scale)).abs();
                assert!(
                    error <= 0.5001 * f64::from(scale),
                    "{x} as {code} of {scale}"
                );
            }
            assert!(
                codes.iter().any(|code| code.unsigned_abs() == 127),
                "{size}"
            );
        }
    }

    #[test]
    fn a_row_of_next_to_nothing_is_zeros_and_what_is_no_number_stays_none() {
        for nothing in [0.0, -0.0, 1e-40, 1e-33] {
            let (rows, cache) = stored(KvType::I8, &[nothing; 4]);
            assert_eq!(rows.load(&cache, 1, 1), [0.0; 4], "{nothing:e}");
        }
        for wrong in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (rows, cache) = stored(KvType::I8, &[1.0, wrong, 0.0, -1.0]);
            let back = rows.load(&cache, 1, 1);
            assert!(back.iter().all(|x| x.is_nan()), "{wrong}: {back:?}");
        }
    }
}
