//! The CPU side of the sweep: the same pseudo-random matrix and its exact products.

use super::plan::Matrix;

fn mix(x: u32) -> u32 {
    let mut h = x;
    h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
    h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}

/// Word `w` of row `row` of copy `copy`, as `interleave_fill.wgsl` writes it.
fn code_word(copy: u32, row: u32, w: u32) -> u32 {
    let h = mix(mix(copy.wrapping_mul(0x9e37_79b9).wrapping_add(row)).wrapping_add(w));
    let three = h & (h >> 1) & 0x5555_5555;
    h ^ (three | (three << 1))
}

/// Activations in `-127..=127`.
pub(super) fn activations(n_cols: u32) -> Vec<i8> {
    (0..n_cols)
        .map(|k| ((mix(k ^ 0x5bd1_e995) % 255) as i32 - 127) as i8)
        .collect()
}

/// `y[row] = sum over k of (code - 1) * q[k]` of one copy.
pub(super) fn product(matrix: &Matrix, copy: u32, q: &[i8]) -> Vec<u32> {
    let sum_q: i32 = q.iter().map(|&q| i32::from(q)).sum();
    (0..matrix.n_rows)
        .map(|row| {
            let dot: i32 = q
                .chunks_exact(16)
                .zip(0..)
                .map(|(q, w)| {
                    let word = code_word(copy, row, w);
                    // Element e of a word lies at bits 8 * (e % 4) + 2 * (e / 4).
                    (0..16)
                        .map(|e| (word >> (8 * (e % 4) + 2 * (e / 4)) & 3) as i32 * i32::from(q[e]))
                        .sum::<i32>()
                })
                .sum();
            (dot - sum_q).cast_unsigned()
        })
        .collect()
}

/// Xor of all words of one copy.
pub(super) fn checksum(matrix: &Matrix, copy: u32) -> u32 {
    (0..matrix.n_rows)
        .flat_map(|row| (0..matrix.n_cols / 16).map(move |w| code_word(copy, row, w)))
        .fold(0, |acc, word| acc ^ word)
}
