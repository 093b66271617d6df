//! Rows of embeddings and heads with 4 bits a value.

use half::f16;

use super::{RowValue, padded_cols};

/// Elements that share a scale.
pub const Q4_GROUP: usize = 32;
/// Smallest code.
const MIN_CODE: f32 = -8.0;
/// Largest code.
const MAX_CODE: f32 = 7.0;
/// Added to a code when it is stored.
const BIAS: i32 = 8;
/// What the largest magnitude is divided by to try a scale. With 7 nothing is cut off, with 8 the negative end is used up and
/// a positive maximum is cut by an eighth.
const DIVISORS: [f32; 5] = [7.0, 7.25, 7.5, 7.75, 8.0];

/// Appends a row `[n_cols] f32` as 4-bit codes, eight a word, padded with zeros to a multiple of 64 columns, and its f16 scales,
/// one for each 32 padded columns: of a few scales near `amax / 7` the one with the smallest sum of squared errors. Codes are
/// `round_half_even(value / scale)` within -8..=7. A group whose scale is 0 has codes 0.
///
/// # Errors
/// The first value that is not finite or whose scale would not be finite in f16 (magnitude above 65504 * 7).
pub fn quantize_q4_row(
    row: &[f32],
    codes: &mut Vec<u8>,
    scales: &mut Vec<f16>,
) -> Result<(), RowValue> {
    let limit = f16::MAX.to_f32() * MAX_CODE;
    // The negation is deliberate: a NaN must be found too.
    let is_wrong = |value: &f32| !matches!(value.abs().partial_cmp(&limit), Some(o) if o.is_le());
    if let Some(col) = row.iter().position(is_wrong) {
        return Err(RowValue {
            col,
            value: row[col],
            limit,
        });
    }
    let mut padded = row.to_vec();
    padded.resize(padded_cols(row.len()), 0.0);
    for values in padded.chunks_exact(Q4_GROUP) {
        let scale = best_scale(values);
        for pair in values.chunks_exact(2) {
            let code = |value: f32| (code(value, scale.to_f32()) as i32 + BIAS) as u8;
            // Little-endian words: the eight nibbles of a word are four bytes, lower nibble first.
            codes.push(code(pair[0]) | code(pair[1]) << 4);
        }
        scales.push(scale);
    }
    Ok(())
}

/// Reads back `n_cols` values of a row written by [`quantize_q4_row`].
pub fn dequantize_q4_row(codes: &[u8], scales: &[f32], n_cols: usize) -> Vec<f32> {
    let code_at = |col: usize| i32::from(codes[col / 2] >> (4 * (col % 2)) & 15) - BIAS;
    (0..n_cols)
        .map(|col| code_at(col) as f32 * scales[col / Q4_GROUP])
        .collect()
}

fn code(value: f32, scale: f32) -> f32 {
    if scale == 0.0 {
        0.0
    } else {
        (value / scale).round_ties_even().clamp(MIN_CODE, MAX_CODE)
    }
}

/// The scale with the smallest error, the first of several.
fn best_scale(values: &[f32]) -> f16 {
    let amax = values
        .iter()
        .fold(0.0, |amax: f32, value| amax.max(value.abs()));
    let mut best = (f64::INFINITY, f16::ZERO);
    for divisor in DIVISORS {
        let scale = f16::from_f32(amax / divisor);
        let wide = scale.to_f32();
        let error: f64 = values
            .iter()
            .map(|&value| f64::from(code(value, wide) * wide - value).powi(2))
            .sum();
        if error < best.0 {
            best = (error, scale);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn quantize(row: &[f32]) -> (Vec<u8>, Vec<f16>) {
        let (mut codes, mut scales) = (Vec::new(), Vec::new());
        quantize_q4_row(row, &mut codes, &mut scales).unwrap();
        (codes, scales)
    }

    #[test]
    fn nibbles_lie_from_the_lowest() {
        // Whole codes are exact with the scale 1; the second group is zeros.
        let mut row = vec![0.0; 33];
        row[..4].copy_from_slice(&[7.0, -7.0, 3.0, -1.0]);
        let (codes, scales) = quantize(&row);
        assert_eq!(codes.len(), 32);
        assert_eq!(codes[..3], [0x1f, 0x7b, 0x88]);
        assert_eq!(scales, [f16::ONE, f16::ZERO]);
        let scales = [1.0, 0.0];
        assert_eq!(dequantize_q4_row(&codes, &scales, 33), row);
    }

    #[test]
    fn a_negative_end_uses_the_code_that_has_no_opposite() {
        let mut row = vec![0.0; 32];
        row[..3].copy_from_slice(&[-8.0, 7.0, 1.0]);
        let (codes, scales) = quantize(&row);
        assert_eq!(scales[0], f16::ONE);
        assert_eq!(dequantize_q4_row(&codes, &[1.0], 32), row);
    }

    #[test]
    fn values_are_within_a_step() {
        let row: Vec<f32> = (0..200).map(|i| ((i * i) as f32 * 0.7).sin()).collect();
        let (codes, scales) = quantize(&row);
        let scales: Vec<f32> = scales.iter().map(|scale| scale.to_f32()).collect();
        let back = dequantize_q4_row(&codes, &scales, row.len());
        for (col, (got, value)) in back.iter().zip(&row).enumerate() {
            // Half a step, or what is cut off: at most an eighth of the largest, which is one step.
            let scale = scales[col / Q4_GROUP];
            assert!((got - value).abs() <= scale * 1.001, "column {col}");
        }
    }

    #[test]
    fn what_cannot_be_held_is_named() {
        for wrong in [f32::NAN, f32::INFINITY, 65504.0 * 7.1] {
            let error = quantize_q4_row(&[0.0, wrong], &mut Vec::new(), &mut Vec::new());
            assert_eq!(error.unwrap_err().col, 1);
        }
    }
}
