//! Rows of embeddings and heads: f16, 8 bits with a scale per row, 6 bits with a scale per group.

use half::f16;

use super::padded_cols;

/// Largest magnitude of a q8 code.
const Q8_MAX: f32 = 127.0;
/// Largest magnitude of a q6 code.
const Q6_MAX: f32 = 31.0;
/// Added to a q6 code when it is stored.
const Q6_BIAS: i32 = 32;
/// Elements of one q6 block: four words of nibbles, two of bit pairs.
const Q6_BLOCK: usize = 32;
/// Bytes of one q6 block.
const Q6_BLOCK_BYTES: usize = 24;

/// Why a row cannot be quantised: the column of the first value that is not finite or too large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowValue {
    /// Column of the value.
    pub col: usize,
    /// The value.
    pub value: f32,
    /// Largest magnitude that the encoding holds.
    pub limit: f32,
}

fn check_row(row: &[f32], limit: f32) -> Result<(), RowValue> {
    // The negation is deliberate: a NaN must be found too.
    match row
        .iter()
        .position(|value| !matches!(value.abs().partial_cmp(&limit), Some(o) if o.is_le()))
    {
        None => Ok(()),
        Some(col) => Err(RowValue {
            col,
            value: row[col],
            limit,
        }),
    }
}

fn amax(values: &[f32]) -> f32 {
    values
        .iter()
        .fold(0.0, |amax: f32, value| amax.max(value.abs()))
}

/// Appends a row `[n_cols] f32` as halves (round to nearest even), padded with zeros to a multiple of 64 columns.
///
/// # Errors
/// The first value that is not finite in f16 (magnitude above 65504).
pub fn quantize_f16_row(row: &[f32], out: &mut Vec<u8>) -> Result<(), RowValue> {
    check_row(row, f16::MAX.to_f32())?;
    for col in 0..padded_cols(row.len()) {
        let half = f16::from_f32(row.get(col).copied().unwrap_or(0.0));
        out.extend_from_slice(&half.to_le_bytes());
    }
    Ok(())
}

/// Reads back `n_cols` values of a row written by [`quantize_f16_row`].
pub fn dequantize_f16_row(codes: &[u8], n_cols: usize) -> Vec<f32> {
    codes
        .chunks_exact(2)
        .take(n_cols)
        .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
        .collect()
}

/// Appends a row `[n_cols] f32` as signed bytes, padded with zeros to a multiple of 64 columns, and returns its scale
/// `amax / 127`: codes are `round_half_even(value / scale)`. A scale of 0 (row of zeros) has codes 0.
///
/// # Errors
/// The first value that is not finite.
pub fn quantize_q8_row(row: &[f32], codes: &mut Vec<u8>) -> Result<f32, RowValue> {
    check_row(row, f32::MAX)?;
    let scale = amax(row) / Q8_MAX;
    for col in 0..padded_cols(row.len()) {
        let value = row.get(col).copied().unwrap_or(0.0);
        codes.push(round_code(value, scale, Q8_MAX) as i8 as u8);
    }
    Ok(scale)
}

/// Reads back `n_cols` values of a row written by [`quantize_q8_row`].
pub fn dequantize_q8_row(codes: &[u8], scale: f32, n_cols: usize) -> Vec<f32> {
    codes
        .iter()
        .take(n_cols)
        .map(|&code| f32::from(code as i8) * scale)
        .collect()
}

/// Appends a row `[n_cols] f32` as 6-bit codes, padded with zeros to a multiple of 64 columns, and its scales
/// `f16(amax / 31)`, one for each `group` (32 or 64) padded columns: codes are `round_half_even(value / scale)` within
/// -31..=31. A group whose scale is 0 (zeros, or values below the smallest half) has codes 0.
///
/// # Errors
/// The first value that is not finite or whose scale would not be finite in f16 (magnitude above 65504 * 31).
pub fn quantize_q6_row(
    row: &[f32],
    group: usize,
    codes: &mut Vec<u8>,
    scales: &mut Vec<f16>,
) -> Result<(), RowValue> {
    check_row(row, f16::MAX.to_f32() * Q6_MAX)?;
    let mut padded = row.to_vec();
    padded.resize(padded_cols(row.len()), 0.0);
    for values in padded.chunks_exact(group) {
        let scale = f16::from_f32(amax(values) / Q6_MAX);
        for block in values.chunks_exact(Q6_BLOCK) {
            codes.extend_from_slice(&pack_q6_block(block, scale.to_f32()));
        }
        scales.push(scale);
    }
    Ok(())
}

/// Reads back `n_cols` values of a row written by [`quantize_q6_row`].
pub fn dequantize_q6_row(codes: &[u8], scales: &[f32], group: usize, n_cols: usize) -> Vec<f32> {
    let code_at = |col: usize| {
        let block = &codes[col / Q6_BLOCK * Q6_BLOCK_BYTES..];
        let element = col % Q6_BLOCK;
        let low = block[element / 2] >> (4 * (element % 2)) & 15;
        let high = block[16 + element / 4] >> (2 * (element % 4)) & 3;
        i32::from(low | high << 4) - Q6_BIAS
    };
    (0..n_cols)
        .map(|col| code_at(col) as f32 * scales[col / group])
        .collect()
}

fn pack_q6_block(values: &[f32], scale: f32) -> [u8; Q6_BLOCK_BYTES] {
    let mut block = [0u8; Q6_BLOCK_BYTES];
    for (element, &value) in values.iter().enumerate() {
        let code = (round_code(value, scale, Q6_MAX) + Q6_BIAS) as u8;
        // Little-endian words: eight nibbles of a word are four bytes, lower nibble first; bit pairs alike.
        block[element / 2] |= (code & 15) << (4 * (element % 2));
        block[16 + element / 4] |= (code >> 4) << (2 * (element % 4));
    }
    block
}

fn round_code(value: f32, scale: f32, max: f32) -> i32 {
    if scale == 0.0 {
        0
    } else {
        (value / scale).round_ties_even().clamp(-max, max) as i32
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
