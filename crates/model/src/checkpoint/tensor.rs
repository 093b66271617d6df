//! Where a tensor's values lie and how they are coded.

use super::ScaleConvention;
use crate::source::ByteRange;

/// Element type of stored floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// Upper half of an IEEE single.
    Bf16,
}

impl FloatType {
    /// Bytes of one value.
    pub const fn bytes(self) -> u64 {
        match self {
            FloatType::F32 => 4,
            FloatType::F16 | FloatType::Bf16 => 2,
        }
    }
}

/// How rows of values are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowCoding {
    /// Plain floats.
    Floats(FloatType),
}

impl RowCoding {
    /// Bytes of a row of `n_cols` values; `None` where the blocks of the coding do not divide the row.
    pub fn row_bytes(self, n_cols: u64) -> Option<u64> {
        match self {
            RowCoding::Floats(float) => n_cols.checked_mul(float.bytes()),
        }
    }
}

/// Rows of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The values; with strides all bytes from the first value to the last one.
    pub range: ByteRange,
    /// Their coding.
    pub coding: RowCoding,
    /// Distances of values when they are not row after row.
    pub strides: Option<Strides>,
}

/// Distances in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strides {
    /// From one row to the next.
    pub row: u64,
    /// From one column to the next.
    pub col: u64,
}

/// How float matrices become ternary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterRule {
    /// Matrices that hold one magnitude besides zero are ternary already; others are rounded by their mean magnitude.
    Detect,
    /// All are rounded by their mean magnitude.
    AbsMean,
    /// All must be ternary already.
    Ternary,
}

/// Where a tensor's values lie and how they are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorData {
    /// Rows of values.
    Rows(Rows),
    /// Ternary codes packed along the rows, as Hugging Face does: with `r = ceil(n_rows / 4)`, row `i` is in packed row
    /// `i % r` at bits `2 * (i / r)`.
    HuggingFacePacked {
        /// The codes, `[ceil(n_rows / 4), n_cols] u8`.
        codes: ByteRange,
        /// The stored scale, one value.
        scale: ByteRange,
        /// Type of the scale.
        scale_dtype: FloatType,
        /// What the scale means.
        convention: ScaleConvention,
    },
}

/// A tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTensor {
    /// Canonical name.
    pub name: String,
    /// Name in the checkpoint, for messages.
    pub source_name: String,
    /// `[n_rows, n_cols]`.
    pub shape: [u32; 2],
    /// Its bytes.
    pub data: TensorData,
}
