//! What is measured of a model, and what comes out.

use super::check::Check;
use super::kernels::KernelTime;
use super::read::ReadSpeed;
use super::timer::Clock;
use serde::Serialize;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tokens in the cache when decoding is timed.
    pub contexts: Vec<u32>,
    /// Lengths of the prompts whose prefill is timed.
    pub prompts: Vec<u32>,
    /// Tokens decoded in each timing.
    pub decode_tokens: u32,
    /// Timings of which the median counts.
    pub repetitions: u32,
    /// Bytes of the read kernel's buffer; must exceed the cache by far.
    pub read_bytes: u64,
    /// Buffers above this size are left out of the check against the CPU.
    pub check_bytes: u64,
    /// Clock in seconds.
    pub clock: Clock,
}

/// How long loading took.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LoadTime {
    /// Seconds from the manifest to a session that can prefill.
    pub seconds: f64,
    /// Of these, seconds that getting the shards took (reading files, or making synthetic weights).
    pub source_seconds: f64,
    /// Bytes of the shards.
    pub bytes: u64,
}

/// Decode speed with a number of tokens in the cache.
#[derive(Debug, Clone, Serialize)]
pub struct DecodeSpeed {
    /// Tokens in the cache at the start.
    pub context: u32,
    /// Tokens timed.
    pub tokens: u32,
    /// Tokens a second as the caller of `next_token` sees them.
    pub tokens_per_second: f64,
    /// Seconds of the GPU for one step, without submit and read-back.
    pub gpu_seconds: f64,
    /// Bytes that a step must move: every weight once, the cache once.
    pub bytes: u64,
    /// Share of the read kernel's speed that the step reaches on the GPU.
    pub gpu_read_ratio: f64,
    /// The same for the whole loop, as `tokens_per_second` counts it.
    pub loop_read_ratio: f64,
}

/// Prefill speed of a prompt into an empty cache.
#[derive(Debug, Clone, Serialize)]
pub struct PrefillSpeed {
    /// Tokens of the prompt.
    pub tokens: u32,
    /// Seconds until the first token of the answer is known.
    pub first_token_seconds: f64,
    /// Prompt tokens a second, by that time.
    pub tokens_per_second: f64,
}

/// Everything measured. All times in seconds, all sizes in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Adapter, driver and kernel variant.
    pub device: String,
    /// Adapter name.
    pub adapter: String,
    /// Whether the adapter computes in software: then no time means anything for a GPU.
    pub software: bool,
    /// Name of the model.
    pub model: String,
    /// Positions of the cache.
    pub context: u32,
    /// Cache element type.
    pub kv: &'static str,
    /// Weights on the GPU.
    pub weight_bytes: u64,
    /// Cache on the GPU.
    pub kv_bytes: u64,
    /// Everything else that the session holds on the GPU.
    pub activation_bytes: u64,
    /// Sum of these: the most that the session ever holds, since it allocates nothing later.
    pub peak_gpu_bytes: u64,
    /// Loading, where it was timed.
    pub load: Option<LoadTime>,
    /// The yardstick: the faster of two measurements, one before and one after the model's.
    pub read: ReadSpeed,
    /// The slower one's share of the faster one; far below 1 the device was not in a steady state.
    pub read_steadiness: f64,
    /// Dispatches of a decoded token.
    pub dispatches_per_token: u32,
    /// Submits of a decoded token.
    pub submits_per_token: f64,
    /// Decode by context.
    pub decode: Vec<DecodeSpeed>,
    /// Prefill by length.
    pub prefill: Vec<PrefillSpeed>,
    /// Seconds of a whole prefill chunk on the GPU, and its tokens.
    pub prefill_chunk: (u32, f64),
    /// Times by kind of dispatch.
    pub kernels: Vec<KernelTime>,
    /// Kernels against their CPU references.
    pub checks: Vec<Check>,
    /// Whether a prompt that went through prefill and the same prompt token by token chose the same tokens.
    pub same_tokens: bool,
    /// Whether everything that was checked was right; without it no time counts.
    pub verified: bool,
}
