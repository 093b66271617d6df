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
