//! What a session needs to know beside the model, and what it reports.

use crate::KvType;
use crate::ops::SamplingParams;

/// What a session needs to know beside the model.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Positions that the cache holds; clamped to the model's own.
    pub context: u32,
    /// Element type of the cache.
    pub kv: KvType,
    /// Tokens of one prefill submit, at most 1024; 0 for what suits the device.
    pub prefill_chunk: u32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            context: 4096,
            kv: KvType::F16,
            prefill_chunk: 0,
        }
    }
}

/// How the next token is chosen. The default is greedy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 takes the most likely token; otherwise logits are divided by it.
    pub temperature: f32,
    /// Only this many most likely tokens; 0 for all.
    pub top_k: u32,
    /// Only the smallest set of most likely tokens with this much probability; 1 for all.
    pub top_p: f32,
    /// Only tokens at least this likely relative to the most likely; 0 for all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of recent tokens; 1 for none.
    pub repetition_penalty: f32,
    /// How many of the last tokens count as recent, at most 256.
    pub repetition_window: u32,
    /// Seed. Together with the position it decides every draw, so the same tokens and seed give the same answer.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window: 64,
            seed: 0,
        }
    }
}

impl Sampling {
    /// What the sampling kernel reads.
    pub(super) fn params(&self) -> SamplingParams {
        SamplingParams {
            temperature: self.temperature,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            top_k: self.top_k,
            repetition_window: self.repetition_window,
            seed_lo: (self.seed & 0xFFFF_FFFF) as u32,
            seed_hi: (self.seed >> 32) as u32,
        }
    }
}

/// GPU bytes of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReport {
    /// Weights.
    pub weight_bytes: u64,
    /// Key-value cache.
    pub kv_bytes: u64,
    /// Everything else: activations, logits, tables.
    pub activation_bytes: u64,
}
