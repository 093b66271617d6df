//! What a model needs, and what is stored.

use serde::{Deserialize, Serialize};

use crate::ByteCount;

/// Whether a model of this address came out of files that a person chose, or would.
#[must_use]
pub fn is_of_files(model_url: &str) -> bool {
    model_url.starts_with("files:")
}

/// A package before it is loaded: what it is, what it needs, how much of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOffer {
    /// Address of the model in the spelling by which it is loaded, stored and deleted: of a package its folder.
    pub model_url: String,
    /// Name as the package has it.
    pub name: String,
    /// SPDX licence expression of the weights, when known.
    pub license: Option<String>,
    /// Bytes to be fetched in all: tokenizer and weights of a package, or the files that it is converted from.
    pub download_bytes: ByteCount,
    /// How many of them are stored and need not be fetched.
    pub stored_bytes: ByteCount,
    /// Whether everything is stored, so that loading needs no network.
    pub complete: bool,
    /// Most tokens of context that the model defines.
    pub max_context: u32,
    /// GPU bytes of the weights.
    pub weight_bytes: ByteCount,
    /// Tokens of context that it gets when nobody chooses another: what it fits with, or the engine's default.
    pub context: u32,
    /// GPU bytes of the key-value cache at this context, in the type that was asked for.
    pub kv_bytes: ByteCount,
    /// The same at other contexts: 2048 and 4096 tokens, where the model has more, and its longest one.
    pub kv_at: Vec<KvNeed>,
    /// GPU bytes of everything else.
    pub other_bytes: ByteCount,
    /// Whether it fits this device.
    pub fit: Fit,
    /// Room that the browser does not give for the download, as far as it tells.
    pub missing_bytes: ByteCount,
    /// In which precisions embedding and head can be stored, where the model is converted on this device; else none.
    pub precisions: Vec<PrecisionOffer>,
    /// Whether it can be kept.
    pub storage: StorageState,
}

/// GPU bytes of a key-value cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvNeed {
    /// At this context, in tokens.
    pub context: u32,
    /// Bytes.
    pub bytes: ByteCount,
}

/// How precisely embedding and head of a converted model are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Precision {
    /// 8 bits.
    #[default]
    Q8,
    /// 6 bits, with a scale for every 64 values.
    Q6,
    /// 4 bits, with a scale for every 32 values.
    Q4,
}

impl Precision {
    /// All of them, the most precise one first.
    pub const ALL: [Self; 3] = [Self::Q8, Self::Q6, Self::Q4];
}

/// A model in one precision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrecisionOffer {
    /// Which.
    pub precision: Precision,
    /// Its address: another precision is another model.
    pub model_url: String,
    /// GPU bytes of its weights.
    pub weight_bytes: ByteCount,
}

/// Whether a model fits a device. Browsers do not tell how much memory a page may use, so this is advice, not a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fit {
    /// It fits at the default context.
    Fits,
    /// It fits if the context is at most this many tokens.
    FitsWithContext(u32),
    /// It does not fit.
    TooLarge {
        /// Technical line: needed and available.
        detail: String,
    },
    /// The browser tells nothing to judge by.
    Unknown,
}

/// Whether models can be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StorageState {
    /// There is a database. Whether the browser may evict it is for the page to ask (`navigator.storage.persist`).
    Durable,
    /// There is none (private mode, denied): a model can be run from memory, and is gone with the page.
    Unavailable {
        /// Technical line.
        detail: String,
    },
}

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageReport {
    /// The models that are stored, whole or in part, by URL.
    pub models: Vec<StoredModel>,
    /// Bytes that the browser counts for this origin, everything included, when it says.
    pub usage_bytes: Option<ByteCount>,
    /// Bytes that the browser allows this origin, when it says.
    pub quota_bytes: Option<ByteCount>,
    /// Whether there is a database.
    pub state: StorageState,
}

/// One stored model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredModel {
    /// Its address, as an offer has it.
    pub model_url: String,
    /// Name as the package has it.
    pub name: String,
    /// Bytes that are stored. What two models share counts for both.
    pub stored_bytes: ByteCount,
    /// Bytes of the whole package.
    pub total_bytes: ByteCount,
    /// Files of weights that are stored.
    #[serde(default)]
    pub shards: u32,
    /// Whether everything is stored.
    pub complete: bool,
}
