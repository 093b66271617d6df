//! What can go wrong while reading, converting or checking model files.

mod archive;
mod container;
mod hub;
mod shown;

use std::path::PathBuf;

pub use self::{archive::ArchiveError, container::ContainerError, hub::HubError};
use shown::shown_up_to;
pub(crate) use shown::{shown, shown_shape};

/// Error of every fallible function of this crate. Names that come from files are shortened and escaped, so that each message
/// is one line of bounded length.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, `rename`, `list`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that must be there is not.
    #[error("file {file} is missing: it is needed for {purpose}")]
    FileMissing {
        /// File name.
        file: String,
        /// What it is needed for.
        purpose: &'static str,
    },
    /// A file has another length than it should have.
    #[error("file {file}: length must be {expected} bytes, got {got}")]
    FileLength {
        /// File name.
        file: String,
        /// What is allowed, for example `at most 4096`.
        expected: String,
        /// Length found.
        got: u64,
    },
    /// The bytes of a file are not the ones that the manifest describes.
    #[error(
        "file {file}: SHA-256 must be {expected}, got {got}; the file is damaged, fetch or convert it again"
    )]
    FileHash {
        /// File name.
        file: String,
        /// Hash in the manifest.
        expected: String,
        /// Hash of the file.
        got: String,
    },
    /// A file of a checkpoint is not the one that its publisher describes.
    #[error(
        "file {file}: its publisher states the SHA-256 {}, what came has {got}; it was damaged on its way or replaced meanwhile, fetch it again",
        shown(published)
    )]
    SourceHash {
        /// File name.
        file: String,
        /// Hash that the publisher states.
        published: String,
        /// Hash of what came.
        got: String,
    },
    /// Bytes that are read a second time are not those of the first time.
    #[error("file {0}: other bytes came than before; it was replaced meanwhile, fetch it again")]
    SourceChanged(String),
    /// A JSON file does not have the form that it should have.
    #[error("file {file} is not valid: {}", shown_up_to(&source.to_string(), 400))]
    Json {
        /// File name.
        file: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The folder holds a model in a form that this version cannot read.
    #[error("{found} cannot be read by this version; supported: {supported}")]
    Unsupported {
        /// What was found.
        found: String,
        /// What could be read instead.
        supported: &'static str,
    },
    /// The files leave something open that changes the answers, and only a person can say it.
    #[error("file {file} does not say {what}; say it with {option}")]
    NotStated {
        /// File name.
        file: String,
        /// What is not said.
        what: &'static str,
        /// The option that says it.
        option: &'static str,
    },
    /// A key of a JSON file is missing.
    #[error("file {file}: key {key} is missing; it must be stated because models differ in it")]
    KeyMissing {
        /// File name.
        file: String,
        /// The key, with its parents.
        key: String,
    },
    /// A key of a JSON file has a value that is not allowed.
    #[error("file {file}: {key} must be {expected}, got {got}")]
    KeyValue {
        /// File name.
        file: String,
        /// The key, with its parents.
        key: String,
        /// What is allowed.
        expected: String,
        /// The value found.
        got: String,
    },
    /// The header of a safetensors file does not fit the file.
    #[error(
        "file {file}: header length {header_bytes} does not fit the file of {file_bytes} bytes (limit {limit}); the file is truncated or damaged"
    )]
    HeaderLength {
        /// File name.
        file: String,
        /// Length that the file claims.
        header_bytes: u64,
        /// Length of the file.
        file_bytes: u64,
        /// Largest header that is read.
        limit: u64,
    },
    /// A GGUF file, a zip archive or a pickle that cannot be read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// An archive of a package that cannot be read or written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// An address or a repository that cannot be used.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A tensor's byte range is not inside the file's data.
    #[error(
        "file {file}, tensor {tensor}: bytes {begin}..{end} reach past the end of the data, {data_bytes} bytes; the file is truncated or damaged"
    )]
    TensorRange {
        /// File name.
        file: String,
        /// Tensor name.
        tensor: String,
        /// First byte, counted from the start of the data.
        begin: u64,
        /// Byte after the last one.
        end: u64,
        /// Bytes of data in the file.
        data_bytes: u64,
    },
    /// A tensor's byte range is not as long as its shape needs.
    #[error(
        "file {file}, tensor {tensor}: {dtype} {shape} needs {} bytes, its range holds {got}",
        expected.map_or("too many".to_string(), |n| n.to_string())
    )]
    TensorSize {
        /// File name.
        file: String,
        /// Tensor name.
        tensor: String,
        /// Element type.
        dtype: &'static str,
        /// Shape.
        shape: String,
        /// Bytes needed; `None` if that is no whole number below 2^64.
        expected: Option<u64>,
        /// Bytes of the range.
        got: u64,
    },
    /// Tensors of a file overlap, or bytes between them belong to none.
    #[error(
        "file {file}, tensor {tensor}: offset must be {expected}, where the tensor before it ends, got {got} ({kind})"
    )]
    TensorOffset {
        /// File name.
        file: String,
        /// Tensor name.
        tensor: String,
        /// Offset at which it must begin.
        expected: u64,
        /// Offset at which it begins.
        got: u64,
        /// `overlap` or `gap`.
        kind: &'static str,
    },
    /// The tensors of a file end before the file does.
    #[error("file {file}: its tensors end at byte {expected} of the data, which has {got} bytes")]
    TrailingBytes {
        /// File name.
        file: String,
        /// End of the last tensor.
        expected: u64,
        /// Bytes of data.
        got: u64,
    },
    /// The index of a sharded checkpoint names a file that could lie outside the folder.
    #[error(
        "file {file}: shard name {name} is refused; it must be a plain file name ending in {suffix}"
    )]
    ShardName {
        /// The index file.
        file: String,
        /// The name in it.
        name: String,
        /// How names must end.
        suffix: &'static str,
    },
    /// A sharded checkpoint's index and files disagree about a tensor.
    #[error("tensor {tensor}: the index places it in {expected}, but {got}")]
    ShardIndex {
        /// Tensor name.
        tensor: String,
        /// File that the index names.
        expected: String,
        /// What is the case instead.
        got: String,
    },
    /// The model needs a tensor that is not there.
    #[error("tensor {tensor} is missing; the architecture needs it with shape {shape}")]
    TensorMissing {
        /// Tensor name.
        tensor: String,
        /// Shape that the architecture gives it.
        shape: String,
    },
    /// A tensor that the architecture has no place for.
    #[error(
        "tensor {tensor} has no place in a {family} model; leaving it out would give wrong answers"
    )]
    TensorUnexpected {
        /// Tensor name.
        tensor: String,
        /// The architecture.
        family: String,
    },
    /// A tensor has the wrong shape.
    #[error("tensor {tensor}: shape must be {expected}, got {got}")]
    TensorShape {
        /// Tensor name.
        tensor: String,
        /// Shape that the architecture gives it.
        expected: String,
        /// Shape found.
        got: String,
    },
    /// A tensor has the wrong element type.
    #[error("tensor {tensor}: element type must be {expected}, got {got}")]
    TensorDtype {
        /// Tensor name.
        tensor: String,
        /// What is allowed.
        expected: &'static str,
        /// Type found.
        got: String,
    },
    /// The tokenizer knows more tokens than the embedding has rows.
    #[error(
        "file {file}: the tokenizer has {tokens} tokens, but the embedding has {vocab} rows; they do not belong together"
    )]
    TokenizerSize {
        /// File name.
        file: String,
        /// Highest id + 1.
        tokens: u64,
        /// Rows of the embedding.
        vocab: u32,
    },
    /// A manifest says something impossible.
    #[error("manifest.json: {field} must be {expected}, got {got}")]
    Manifest {
        /// Where, for example `tensors[3].pieces[0].offset`.
        field: String,
        /// What is allowed.
        expected: String,
        /// The value found.
        got: String,
    },
    /// The place for the output is taken.
    #[error("{} exists already; remove it or choose another place", path.display())]
    OutputExists {
        /// The path.
        path: PathBuf,
    },
    /// A conversion was ended before all its steps had run.
    #[error(
        "the conversion is not finished: {missing} of {shards} shards are incomplete; run every step first"
    )]
    Incomplete {
        /// Shards that still miss pieces.
        missing: usize,
        /// Shards of the package.
        shards: usize,
    },
    /// The caller asked to stop.
    #[error("stopped before the end; nothing was kept")]
    Cancelled,
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
    /// A float matrix that should be ternary already and is not.
    #[error(
        "tensor {tensor}: it must hold one magnitude besides zero to be ternary, got {got}; {hint}"
    )]
    NotTernary {
        /// Tensor name in the checkpoint.
        tensor: String,
        /// What it holds.
        got: String,
        /// What to do.
        hint: &'static str,
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
