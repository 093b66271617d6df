//! Original checkpoints: what they contain and where, whatever their format.
//!
//! A format is a `Kind`: it recognises its files and turns their headers into a [`Checkpoint`], which says for each tensor
//! of the architecture which bytes hold it and how they are coded. Nothing here reads a file; see `Known`.

mod config;
mod huggingface;
mod index;
mod known;
mod safetensors;
pub(crate) mod text;
pub(crate) mod tokenizer;

pub use config::ScaleConvention;
pub use known::Need;
pub(crate) use known::{Known, Stop};

use crate::Architecture;
use crate::manifest::TextInfo;
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

/// Where a tensor's values lie and how they are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorData {
    /// Row-major floats.
    Floats {
        /// The values.
        range: ByteRange,
        /// Their type.
        dtype: FloatType,
    },
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

/// Everything that a conversion needs to know about a checkpoint before it reads weights.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Name of the format, for the manifest.
    pub kind: &'static str,
    /// Shape and graph.
    pub architecture: Architecture,
    /// How stored scales become multipliers.
    pub convention: ScaleConvention,
    /// The tensors, in the order of [`Architecture::tensors`].
    pub tensors: Vec<SourceTensor>,
    /// Tokenizer and conversation facts. The tokenizer's hash is empty until it is copied.
    pub text: Option<TextInfo>,
    /// Licence that the checkpoint states.
    pub license: Option<String>,
    /// Names of the files that hold or describe the model, in the order in which the manifest lists them.
    pub files: Vec<String>,
}

/// A checkpoint format.
pub(crate) trait Kind {
    /// Whether the files are of this format.
    fn matches(&self, known: &Known) -> Result<bool, Stop>;

    /// Reads what the headers say.
    fn read(&self, known: &Known) -> Result<Checkpoint, Stop>;
}

/// The formats, in the order in which they are tried.
const KINDS: [&dyn Kind; 1] = [&huggingface::HuggingFacePacked];

/// Recognises the format and reads what the headers say.
pub(crate) fn read_checkpoint(known: &Known) -> Result<Checkpoint, Stop> {
    for kind in KINDS {
        if kind.matches(known)? {
            return kind.read(known);
        }
    }
    Err(huggingface::explain_unknown_files(known)?.into())
}
