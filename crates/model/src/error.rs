//! What can go wrong while reading, converting or checking model files.

/// Error of every fallible function of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A piece's bytes are not what its encoding and its number of rows need.
    #[error(
        "tensor {tensor}, rows from {first_row}: a piece of {n_rows} rows needs {expected} bytes, got {got}; the package is damaged"
    )]
    PieceLength {
        /// Canonical tensor name.
        tensor: String,
        /// First row of the piece.
        first_row: u32,
        /// Rows of the piece.
        n_rows: u32,
        /// Bytes that the encoding needs.
        expected: u64,
        /// Bytes that the manifest states.
        got: u64,
    },
    /// A piece reaches past the end of its shard.
    #[error(
        "tensor {tensor}, rows from {first_row}: bytes {offset} + {bytes} reach past the end of shard {shard}, which has {shard_bytes} bytes; the package is damaged"
    )]
    PieceOutsideShard {
        /// Canonical tensor name.
        tensor: String,
        /// First row of the piece.
        first_row: u32,
        /// Index of the shard.
        shard: u32,
        /// Byte offset of the piece.
        offset: u64,
        /// Length of the piece.
        bytes: u64,
        /// Length of the shard.
        shard_bytes: u64,
    },
    /// A ternary code that is not 0, 1 or 2, or padding that is not 1.
    #[error(
        "tensor {tensor}, row {row}, column {col}: ternary code must be {expected}, got {got}; the weights are damaged"
    )]
    TernaryCode {
        /// Tensor name, canonical in a package, the source's own in a checkpoint.
        tensor: String,
        /// Row of the code.
        row: u64,
        /// Column of the code.
        col: u64,
        /// What is allowed there.
        expected: &'static str,
        /// The stored code, or for T5 the stored byte.
        got: u8,
    },
    /// A scale that is not a finite number of the allowed sign.
    #[error(
        "tensor {tensor}, row {row}: scale must be {expected}, got {got}; the weights are damaged"
    )]
    Scale {
        /// Tensor name.
        tensor: String,
        /// Row of the scale; 0 for the scale of a whole tensor.
        row: u64,
        /// What is allowed there.
        expected: &'static str,
        /// The stored value.
        got: f32,
    },
    /// A float that the target encoding cannot hold.
    #[error(
        "tensor {tensor}, row {row}, column {col}: {encoding} needs finite values up to {limit}, got {got}"
    )]
    Value {
        /// Tensor name.
        tensor: String,
        /// Row of the value.
        row: u64,
        /// Column of the value.
        col: u64,
        /// Target encoding.
        encoding: &'static str,
        /// Largest magnitude that the encoding can hold.
        limit: f32,
        /// The value found.
        got: f32,
    },
}
