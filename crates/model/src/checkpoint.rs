//! Original checkpoints: what they contain and where, whatever their format.
//!
//! `find` recognises the format by its files and their first bytes. A reader for each format turns headers into a
//! [`Checkpoint`], which says for each tensor of the architecture which bytes hold it and how they are coded. Nothing here
//! reads a file; see `Known`.

mod config;
pub(crate) mod find;
mod gguf;
pub(crate) mod huggingface;
mod index;
mod json;
mod known;
mod matching;
mod pickle;
mod pytorch;
mod safetensors;
mod sentencepiece_model;
mod stored;
mod tensor;
pub(crate) mod text;
pub(crate) mod tokenizer;
mod vocabulary;
mod zip;

pub use config::ScaleConvention;
pub use known::Need;
pub(crate) use known::{Known, Stop};
pub use tensor::{
    CodeBlocks, FloatType, I2sBlock, MasterRule, RowCoding, RowOrder, Rows, SourceTensor, Strides,
    TensorData,
};

use find::Found;

use crate::manifest::TextInfo;
use crate::{Activation, Architecture};

/// What a person says about a checkpoint that its files leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// What the stored scales of packed codes mean.
    pub scale: Option<ScaleConvention>,
    /// What float matrices are.
    pub masters: Option<MasterRule>,
    /// Form of I2_S codes.
    pub i2s: Option<I2sBlock>,
    /// Activation of the feed-forward network, for GGUF files.
    pub activation: Option<Activation>,
}

/// Everything that a conversion needs to know about a checkpoint before it reads weights.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Name of the format, for the manifest.
    pub kind: &'static str,
    /// Shape and graph.
    pub architecture: Architecture,
    /// How multipliers come from what is stored: `multiply`, `divide` or `floats`.
    pub convention: &'static str,
    /// How float matrices become ternary, where there are any.
    pub masters: MasterRule,
    /// The tensors, in the order of [`Architecture::tensors`].
    pub tensors: Vec<SourceTensor>,
    /// Tokenizer and conversation facts. The tokenizer's hash is empty until it is copied.
    pub text: Option<TextInfo>,
    /// The tokenizer, where it is not a file of the checkpoint but was made from what the checkpoint says.
    pub tokenizer: Option<Vec<u8>>,
    /// Licence that the checkpoint states.
    pub license: Option<String>,
    /// Names of the files that hold or describe the model, in the order in which the manifest lists them.
    pub files: Vec<String>,
    /// What was taken for granted because no file says it, for people.
    pub notes: Vec<String>,
}

/// Recognises the format and reads what the headers say. `chosen` is the file of the weights, if a person named it.
pub(crate) fn read_checkpoint(
    known: &Known,
    chosen: Option<&str>,
    overrides: &Overrides,
) -> Result<Checkpoint, Stop> {
    match find::find(known, chosen)? {
        Found::Safetensors(files) => huggingface::read_safetensors(known, &files, overrides),
        Found::Pytorch(files) => huggingface::read_pytorch(known, &files, overrides),
        Found::Gguf(file) => gguf::read(known, &file, overrides),
    }
}

/// The bytes of a `tokenizer.json` that gives the same ids as a SentencePiece model (`tokenizer.model`), with BOS in front.
///
/// # Errors
/// If the model is damaged, no BPE, or changes characters.
pub fn tokenizer_from_sentencepiece(model: &[u8]) -> Result<Vec<u8>, crate::Error> {
    let mut model = sentencepiece_model::read(model)?;
    model.eos = None;
    Ok(model.to_json())
}
