//! Second half of the sampler: the next token from the logits (`shaders/sample.wgsl`).

use super::logit_scan::{found_of, n_segments};
use super::{Access, BufferId, Op, Step, Tuning, at_least};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;

/// Entries of the ring of results; the token at position `p` is in entry `p % RESULT_SLOTS`.
pub const RESULT_SLOTS: u32 = 64;

/// Largest number of recent tokens that the repetition penalty looks at.
pub const REPETITION_WINDOW_MAX: u32 = 256;

/// Contents of the `sampling` buffer.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct SamplingParams {
    /// Divides the logits; below 1e-4 the most likely token is taken.
    pub temperature: f32,
    /// Keeps the smallest set of most likely tokens with at least this share of the mass; 1 or more is off.
    pub top_p: f32,
    /// Keeps tokens with at least this share of the most likely one's probability; 0 is off.
    pub min_p: f32,
    /// Positive logits of recent tokens are divided by this, the others multiplied; 1 is off.
    pub repetition_penalty: f32,
    /// Keeps this many most likely tokens (and those that tie with the last); 0 is off.
    pub top_k: u32,
    /// Recent tokens that are penalised, at most [`REPETITION_WINDOW_MAX`].
    pub repetition_window: u32,
    /// Low half of the seed.
    pub seed_lo: u32,
    /// High half of the seed.
    pub seed_hi: u32,
}

/// Buffers: `sampling`, `logits`, `found` (from [`LogitScan`](super::LogitScan)), `weights`, `history`, `tokens`, `results`. The step is advanced by one token.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Logits of a position.
    pub vocab: u32,
    /// Positions of the cache; `history` holds one more.
    pub context: u32,
    /// The step buffer, which the CPU executor must advance; the GPU has it bound.
    pub step: BufferId,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    vocab: u32,
    context: u32,
    segments: u32,
    pad: u32,
}

impl Op for Sample {
    fn kernel(&self) -> Kernel {
        Kernel::Sample
    }

    fn access(&self) -> &'static [Access] {
        &[
            Access::Read,
            Access::Read,
            Access::Read,
            Access::ReadWrite,
            Access::ReadWrite,
            Access::ReadWrite,
            Access::ReadWrite,
        ]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&Params {
            vocab: self.vocab,
            context: self.context,
            segments: n_segments(self.vocab),
            pad: 0,
        })
        .to_vec()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn sizes(&self, tuning: &Tuning) -> Vec<(&'static str, u32)> {
        vec![("LANES", tuning.subgroup_lanes)]
    }

    fn grid(&self, _: &Step, _: &Tuning) -> [u32; 3] {
        [1, 1, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "sample";
        let vocab = u64::from(self.vocab);
        at_least(OP, "vocab", 1, vocab)?;
        at_least(
            OP,
            "sampling bytes",
            size_of::<SamplingParams>() as u64,
            sizes[0],
        )?;
        at_least(OP, "logits bytes", vocab * 4, sizes[1])?;
        let segments = u64::from(n_segments(self.vocab));
        at_least(OP, "found bytes", segments * 8, sizes[2])?;
        at_least(OP, "weights bytes", vocab * 4, sizes[3])?;
        let history = (u64::from(self.context) + 1) * 4;
        at_least(OP, "history bytes", history, sizes[4])?;
        at_least(OP, "tokens bytes", 4, sizes[5])?;
        at_least(OP, "results bytes", u64::from(RESULT_SLOTS) * 8, sizes[6])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let vocab = self.vocab as usize;
        let next = step.pos + step.n_tokens;
        let params: SamplingParams = bytemuck::cast_slice(&memory.u32(buffers[0])[..8])[0];
        let row = step.n_logits.saturating_sub(1) as usize;
        let logits = &memory.f32(buffers[1])[row * vocab..(row + 1) * vocab];
        let found = found_of(&memory.u32(buffers[2])[..n_segments(self.vocab) as usize * 2]);
        let sampled = reference::sample(logits, &found, &params, next);
        let mut history = memory.take(buffers[4]);
        if next <= self.context {
            history[next as usize] = sampled.id;
        }
        memory.put(buffers[4], history);

        let mut weights = memory.take(buffers[3]);
        weights[..sampled.weights.len()].copy_from_slice(&sampled.weights);
        memory.put(buffers[3], weights);
        let mut tokens = memory.take(buffers[5]);
        tokens[0] = sampled.id;
        memory.put(buffers[5], tokens);
        let mut results = memory.take(buffers[6]);
        let slot = (next % RESULT_SLOTS) as usize * 2;
        results[slot..slot + 2].copy_from_slice(&[sampled.id, sampled.status]);
        memory.put(buffers[6], results);
        let mut words = memory.take(self.step);
        let advanced = Step {
            pos: next,
            n_tokens: 1,
            logit_row: 0,
            n_logits: 1,
        };
        words[..4].copy_from_slice(bytemuck::cast_slice(&[advanced]));
        memory.put(self.step, words);
    }

    fn bytes(&self, _: &Step) -> u64 {
        u64::from(self.vocab) * 4
    }
}
