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
    /// GGUF: blocks of 32 signed bytes with a scale.
    Q8_0,
    /// GGUF: blocks of 256 6-bit values with a scale for each 16.
    Q6K,
    /// GGUF: blocks of 32 4-bit values with a scale.
    Q4_0,
}

impl RowCoding {
    /// Bytes of a row of `n_cols` values; `None` where the blocks of the coding do not divide the row.
    pub fn row_bytes(self, n_cols: u64) -> Option<u64> {
        let (elements, bytes) = self.block();
        if !n_cols.is_multiple_of(elements) {
            return None;
        }
        (n_cols / elements).checked_mul(bytes)
    }

    /// Elements and bytes of a block.
    pub const fn block(self) -> (u64, u64) {
        match self {
            RowCoding::Floats(float) => (1, float.bytes()),
            RowCoding::Q8_0 => (32, 34),
            RowCoding::Q6K => (256, 210),
            RowCoding::Q4_0 => (32, 18),
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

/// How the flattened codes of a matrix are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeBlocks {
    /// GGUF's I2_S: 2 bits a code, one scale for the matrix.
    I2s(I2sBlock),
    /// GGUF's TQ1_0: blocks of 256, 1.6 bits a code, with a scale each.
    Tq1,
    /// GGUF's TQ2_0: blocks of 256, 2 bits a code, with a scale each.
    Tq2,
}

impl CodeBlocks {
    /// Codes and bytes of a block.
    pub const fn block(self) -> (u64, u64) {
        match self {
            CodeBlocks::I2s(I2sBlock::Of128) => (128, 32),
            CodeBlocks::I2s(I2sBlock::Of64) => (64, 16),
            CodeBlocks::Tq1 => (256, 54),
            CodeBlocks::Tq2 => (256, 66),
        }
    }
}

/// The two forms of I2_S, which no file tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum I2sBlock {
    /// Four codes of a byte are 32 apart: all files until November 2025.
    Of128,
    /// They are 16 apart: ARM builds since.
    Of64,
}

/// Order of the rows of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    /// As in the package.
    Plain,
    /// The two rows of each rotary pair lie side by side: row `2 p + t` of a head holds row `t * head_dim / 2 + p`.
    RotaryPairs {
        /// Rows of a head.
        head_dim: u32,
    },
}

impl RowOrder {
    /// Where a row of the package lies in the source.
    pub fn source_row(self, row: u32) -> u32 {
        match self {
            RowOrder::Plain => row,
            RowOrder::RotaryPairs { head_dim } => {
                let (head, in_head) = (row / head_dim, row % head_dim);
                let half = head_dim / 2;
                head * head_dim + 2 * (in_head % half) + in_head / half
            }
        }
    }

    /// The rows of the source that hold these rows of the package.
    pub fn source_rows(self, first_row: u32, n_rows: u32) -> (u32, u32) {
        match self {
            RowOrder::Plain => (first_row, n_rows),
            RowOrder::RotaryPairs { head_dim } => {
                let first = first_row / head_dim * head_dim;
                let end = (first_row + n_rows).next_multiple_of(head_dim);
                (first, end - first)
            }
        }
    }
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
    /// Ternary codes packed as one flattened row.
    Codes {
        /// The codes.
        codes: ByteRange,
        /// How they are packed.
        blocks: CodeBlocks,
        /// The f32 scale of the matrix, where the blocks have none.
        scale: Option<ByteRange>,
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
    /// Order of its rows.
    pub order: RowOrder,
}
