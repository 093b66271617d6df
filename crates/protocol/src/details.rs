//! What is known of a stored model, and what a check of its files found.

use serde::{Deserialize, Serialize};

use crate::{ByteCount, Fault};

/// Everything that the store knows of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelDetails {
    /// Its address, as an offer has it.
    pub model_url: String,
    /// Name as the package has it.
    pub name: String,
    /// SPDX licence expression of the weights, when known.
    pub license: Option<String>,
    /// Kind of checkpoint that it was made of, for example `huggingface-packed`.
    pub kind: String,
    /// The commit of the hub that its files are of, when it was fetched by one.
    pub revision: Option<String>,
    /// The files that it was made of.
    pub sources: Vec<SourceFile>,
    /// Shape of the network.
    pub shape: ModelShape,
    /// Bytes by what they are, as they are stored.
    pub parts: PartBytes,
    /// GPU memory at some lengths of the context.
    pub memory: Vec<MemoryAt>,
    /// The files that are stored of it or should be: manifest, tokenizer, weights. Files with the same contents are named once.
    pub files: Vec<PackageFile>,
    /// Whether all of them are stored.
    pub complete: bool,
}

/// A file that a model was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: ByteCount,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
    /// Who says that this is its hash.
    pub origin: HashOrigin,
}

/// Who says what the hash of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HashOrigin {
    /// The publisher states it, and what was fetched was compared with it.
    Published,
    /// It was computed here when the file was read first; nobody else was asked.
    Computed,
    /// Whoever made the package states it.
    Stated,
}

/// Shape of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelShape {
    /// `bitnet` (with sub-norms) or `llama`.
    pub family: String,
    /// Number of layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Width of the feed-forward product.
    pub ffn: u32,
    /// Number of query heads.
    pub heads: u32,
    /// Number of key-value heads.
    pub kv_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Number of tokens that it knows.
    pub vocab: u32,
    /// Most tokens of context that it defines.
    pub context: u32,
    /// Whether the LM head is the embedding.
    pub tied: bool,
}

/// Bytes of a package by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartBytes {
    /// Ternary codes.
    pub codes: ByteCount,
    /// Embedding, and the LM head where it is another table.
    pub tables: ByteCount,
    /// Norms.
    pub norms: ByteCount,
    /// The tokenizer.
    pub tokenizer: ByteCount,
}

/// GPU memory at one length of the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryAt {
    /// Tokens of context.
    pub context: u32,
    /// Bytes of the weights.
    pub weight_bytes: ByteCount,
    /// Bytes of the key-value cache, in 16-bit floats.
    pub kv_bytes: ByteCount,
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: ByteCount,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
    /// Whether it is stored.
    pub is_stored: bool,
}

/// What a check of a stored model found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Files that were read and compared.
    pub files: u32,
    /// Their bytes.
    pub bytes: ByteCount,
    /// Names of those that were wrong or missing and are right now.
    pub repaired: Vec<String>,
    /// Names of those that are still wrong or missing.
    pub broken: Vec<String>,
    /// Why they could not be repaired; present when there are any.
    pub fault: Option<Fault>,
}

impl VerifyReport {
    /// Whether every file is right now.
    #[must_use]
    pub const fn is_right(&self) -> bool {
        self.broken.is_empty()
    }
}
