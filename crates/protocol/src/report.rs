//! Results of the diagnostic requests.

use serde::{Deserialize, Serialize};

use crate::{ByteCount, KvType};

/// Result of compiling every kernel in every variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileReport {
    /// One entry for each kernel and variant.
    pub results: Vec<CompileResult>,
}

impl CompileReport {
    /// Number of combinations that were refused.
    #[must_use]
    pub fn n_failed(&self) -> usize {
        self.results
            .iter()
            .filter(|result| result.error.is_some())
            .count()
    }
}

/// One kernel in one variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileResult {
    /// Name of the kernel, the stem of its file.
    pub kernel: String,
    /// Name of the variant.
    pub variant: String,
    /// What the device said against it; `None` = compiled.
    pub error: Option<String>,
}

/// Result of comparing prefill with decode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EqualityReport {
    /// One entry for each prompt length, and one more for each that was also tried with a cut cache.
    pub results: Vec<EqualityResult>,
}

impl EqualityReport {
    /// Whether there are results and all of them are equal.
    #[must_use]
    pub fn all_equal(&self) -> bool {
        !self.results.is_empty()
            && self
                .results
                .iter()
                .all(|result| result.difference.is_none())
    }
}

/// Prefill against decode at one prompt length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EqualityResult {
    /// Prompt length in tokens.
    pub n_tokens: u32,
    /// Whether the prompt was read behind a cache that had been cut to its first tokens.
    pub truncated: bool,
    /// Where the first difference is; `None` = bit-identical.
    pub difference: Option<String>,
}

/// What the numeric self-test of a new device found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SelfTestReport {
    /// Name of the variant that passed and is in use.
    pub variant: String,
    /// Element type of the key-value cache that passed and is in use.
    pub kv: KvType,
    /// What it took, in milliseconds, tests of dropped variants included.
    pub millis: f64,
    /// Variants that failed in this worker and are not used any more.
    pub dropped: Vec<DroppedVariant>,
    /// Where prefill and decode leave different bits, if they do. Then prompts are read token by token, which is slower, so
    /// that an answer can be continued exactly.
    pub inexact: Option<String>,
}

/// A kernel variant that computes nonsense on this device, or does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedVariant {
    /// Its name, with the type of the cache.
    pub variant: String,
    /// What was wrong.
    pub problem: String,
}

/// What a benchmark measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BenchmarkStep {
    /// Nothing yet: the device is opened, if there is none, and everything is done once.
    WarmUp,
    /// Reading a prompt.
    Prefill,
    /// Making tokens.
    Decode,
}

/// How fast a model runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkReport {
    /// Name of the model.
    pub model: String,
    /// Whether it is made up, because none was loaded.
    pub is_made_up: bool,
    /// GPU bytes of its weights.
    pub weight_bytes: ByteCount,
    /// Tokens of a prompt that were read.
    pub prefill_tokens: u32,
    /// In this time.
    pub prefill_millis: f64,
    /// Tokens that were made behind the first one.
    pub decode_tokens: u32,
    /// In this time.
    pub decode_millis: f64,
}

impl BenchmarkReport {
    /// Tokens of a prompt a second.
    #[must_use]
    pub fn prefill_speed(&self) -> f64 {
        per_second(self.prefill_tokens, self.prefill_millis)
    }

    /// Tokens of an answer a second.
    #[must_use]
    pub fn decode_speed(&self) -> f64 {
        per_second(self.decode_tokens, self.decode_millis)
    }
}

/// How fast a made-up model of a published shape runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShapeReport {
    /// Name of the shape.
    pub shape: String,
    /// GPU bytes of its weights.
    pub weight_bytes: ByteCount,
    /// GPU bytes of the key-value cache.
    pub kv_bytes: ByteCount,
    /// GPU bytes of everything else.
    pub activation_bytes: ByteCount,
    /// What it took to make the weights and to put them on the device, in milliseconds.
    pub load_millis: f64,
    /// Reading prompts: from the first chunk to the first token of the answer.
    pub prefill: Vec<ShapeTime>,
    /// Making tokens, one after the other.
    pub decode: Vec<ShapeTime>,
}

/// One thing measured several times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShapeTime {
    /// Tokens in the cache at the beginning.
    pub context: u32,
    /// Tokens that were read or made.
    pub tokens: u32,
    /// What that took each time, in milliseconds.
    pub millis: Vec<f64>,
}

/// 0 where no time went by.
fn per_second(tokens: u32, millis: f64) -> f64 {
    if millis > 0.0 {
        f64::from(tokens) * 1000.0 / millis
    } else {
        0.0
    }
}

/// What the worker runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// What the browser tells about the adapter.
    pub adapter: AdapterInfo,
    /// Features that the adapter lists, sorted.
    pub adapter_features: Vec<String>,
    /// Features that the device was granted, sorted.
    pub device_features: Vec<String>,
    /// WGSL language features of the browser, sorted.
    pub language_features: Vec<String>,
    /// What the adapter offers, all of which was asked for, in the browser's order.
    #[serde(default)]
    pub adapter_limits: Vec<Limit>,
    /// What the device was granted, in the browser's order.
    pub limits: Vec<Limit>,
    /// The engine's own line about the device.
    pub engine: String,
    /// Name of the kernel variant in use.
    pub variant: String,
    /// Whether an earlier trial on this device has chosen it, and not the fixed table.
    #[serde(default)]
    pub is_tuned: bool,
    /// How many devices there have been, this one included.
    pub generation: u32,
}

/// A browser's `GPUAdapterInfo`; browsers may leave any of it empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AdapterInfo {
    /// Maker of the GPU.
    pub vendor: String,
    /// Family of the GPU.
    pub architecture: String,
    /// Identifier of the GPU.
    pub device: String,
    /// Description by the driver.
    pub description: String,
    /// Whether the adapter is the browser's software fallback, when it says so.
    pub is_fallback: Option<bool>,
}

/// One limit of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// WebGPU name.
    pub name: String,
    /// Its value.
    pub value: f64,
}
