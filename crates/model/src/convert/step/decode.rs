//! Stored rows to f32.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use crate::checkpoint::{FloatType, RowCoding, Strides};

/// The values of little-endian floats.
pub(crate) fn read_floats(bytes: &[u8], dtype: FloatType) -> Vec<f32> {
    match dtype {
        FloatType::F32 => bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        FloatType::F16 => {
            let halves: Vec<f16> = bytes
                .chunks_exact(2)
                .map(|b| f16::from_le_bytes([b[0], b[1]]))
                .collect();
            let mut values = vec![0.0; halves.len()];
            halves.convert_to_f32_slice(&mut values);
            values
        }
        // A bf16 is the upper half of an f32.
        FloatType::Bf16 => bytes
            .chunks_exact(2)
            .map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16))
            .collect(),
    }
}

/// The values of rows.
pub(crate) fn read_rows(bytes: &[u8], coding: RowCoding) -> Vec<f32> {
    match coding {
        RowCoding::Floats(float) => read_floats(bytes, float),
        RowCoding::Q8_0 => blocks(bytes, coding, |block, values| {
            let (scale, codes) = block.split_at(2);
            let scale = half(scale);
            values.extend(codes.iter().map(|&code| f32::from(code as i8) * scale));
        }),
        RowCoding::Q4_0 => blocks(bytes, coding, |block, values| {
            let (scale, codes) = block.split_at(2);
            let scale = half(scale);
            let value = |nibble: u8| (f32::from(nibble) - 8.0) * scale;
            values.extend(codes.iter().map(|code| value(code & 15)));
            values.extend(codes.iter().map(|code| value(code >> 4)));
        }),
        RowCoding::Q6K => blocks(bytes, coding, push_q6k),
    }
}

fn blocks(bytes: &[u8], coding: RowCoding, push: impl Fn(&[u8], &mut Vec<f32>)) -> Vec<f32> {
    let (elements, block_bytes) = coding.block();
    let blocks = bytes.chunks_exact(block_bytes as usize);
    let mut values = Vec::with_capacity(blocks.len() * elements as usize);
    blocks.for_each(|block| push(block, &mut values));
    values
}

fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// 256 values: low four bits `[128]`, high two bits `[64]`, sixteen signed scales, one f16 scale of all.
fn push_q6k(block: &[u8], values: &mut Vec<f32>) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, scale) = rest.split_at(16);
    let scale = half(scale);
    for e in 0..256 {
        let (h, g, l) = (e / 128, e % 128 / 32, e % 32);
        let low = low[64 * h + 32 * (g & 1) + l] >> (4 * (g >> 1)) & 15;
        let high = high[32 * h + l] >> (2 * g) & 3;
        let code = f32::from(low | high << 4) - 32.0;
        values.push(scale * f32::from(scales[e / 16] as i8) * code);
    }
}

/// Values `[n_rows, n_cols]` out of floats with strides, beginning at row `first_row`.
///
/// # Panics
/// If the last value lies behind the bytes: readers of checkpoints compare strides with the stored length.
pub(crate) fn gather(
    bytes: &[u8],
    float: FloatType,
    strides: Strides,
    rows: std::ops::Range<u32>,
    n_cols: u32,
) -> Vec<f32> {
    let size = float.bytes() as usize;
    let mut values = Vec::with_capacity(rows.len() * n_cols as usize);
    for row in rows {
        let row_start = u64::from(row) * strides.row;
        for col in 0..u64::from(n_cols) {
            let at = (row_start + col * strides.col) as usize * size;
            values.extend(read_floats(&bytes[at..at + size], float));
        }
    }
    values
}
