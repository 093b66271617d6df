//! First half of the sampler: penalty and the largest logits (`shaders/logit_scan.wgsl`).

use super::{
    Access, BufferId, Op, REPETITION_WINDOW_MAX, SamplingParams, Step, Tuning, at_least, grid_2d,
};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference::{self, Found};
use crate::shader::Kernel;

/// Logits of a segment, `SEGMENT` in the shader.
pub const LOGIT_SEGMENT: u32 = 512;

/// Segments of a vocabulary.
#[must_use]
pub(super) fn n_segments(vocab: u32) -> u32 {
    vocab.div_ceil(LOGIT_SEGMENT)
}

/// Buffers: `sampling`, `logits`, `history`, `found`.
#[derive(Debug, Clone)]
pub struct LogitScan {
    /// Logits of a position.
    pub vocab: u32,
    /// Positions of the cache; `history` holds one more.
    pub context: u32,
}

/// Bytes of `found`.
#[must_use]
pub fn found_bytes(vocab: u32) -> u64 {
    u64::from(n_segments(vocab)) * 8
}

/// Segments as the shader stores them.
fn found_words(found: &[Found]) -> impl Iterator<Item = u32> {
    found.iter().flat_map(|found| [found.key, found.id])
}

/// Segments from the words that the shader stores.
pub(super) fn found_of(words: &[u32]) -> Vec<Found> {
    words
        .chunks_exact(2)
        .map(|words| Found {
            key: words[0],
            id: words[1],
        })
        .collect()
}

impl Op for LogitScan {
    fn kernel(&self) -> Kernel {
        Kernel::LogitScan
    }

    fn access(&self) -> &'static [Access] {
        &[
            Access::Read,
            Access::ReadWrite,
            Access::Read,
            Access::ReadWrite,
        ]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::cast_slice(&[self.vocab, self.context, 0, 0]).to_vec()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn sizes(&self, tuning: &Tuning) -> Vec<(&'static str, u32)> {
        vec![("LANES", tuning.subgroup_lanes)]
    }

    fn grid(&self, _: &Step, _: &Tuning) -> [u32; 3] {
        let [x, y] = grid_2d(n_segments(self.vocab));
        [x, y, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "logit_scan";
        let vocab = u64::from(self.vocab);
        at_least(OP, "vocab", 1, vocab)?;
        let sampling = size_of::<SamplingParams>() as u64;
        at_least(OP, "sampling bytes", sampling, sizes[0])?;
        at_least(OP, "logits bytes", vocab * 4, sizes[1])?;
        let history = (u64::from(self.context) + 1) * 4;
        at_least(OP, "history bytes", history, sizes[2])?;
        at_least(OP, "found bytes", found_bytes(self.vocab), sizes[3])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let vocab = self.vocab as usize;
        let next = step.pos + step.n_tokens;
        let params: SamplingParams = bytemuck::cast_slice(&memory.u32(buffers[0])[..8])[0];
        let window = params
            .repetition_window
            .min(REPETITION_WINDOW_MAX)
            .min(next);
        let mut logits = memory.take(buffers[1]);
        let recent = &memory.u32(buffers[2])[(next - window) as usize..next as usize];
        let row = step.n_logits.saturating_sub(1) as usize;
        let floats: &mut [f32] =
            &mut bytemuck::cast_slice_mut(&mut logits)[row * vocab..(row + 1) * vocab];
        let segments = reference::logit_scan(floats, recent, params.repetition_penalty);
        let mut found = memory.take(buffers[3]);
        found
            .iter_mut()
            .zip(found_words(&segments))
            .for_each(|(to, from)| *to = from);
        memory.put(buffers[1], logits);
        memory.put(buffers[3], found);
    }

    fn bytes(&self, _: &Step) -> u64 {
        u64::from(self.vocab) * 4
    }
}
