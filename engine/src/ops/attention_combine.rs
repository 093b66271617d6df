//! Merge of the attention chunks of a token (`shaders/attention_combine.wgsl`).

use super::{
    ATTENTION_CHUNK, Access, Attention, BufferId, CHUNKS_PER_GROUP, CHUNKS_PER_PAIR, Op, Step,
    Tuning, at_least,
};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;

/// Invocations of a workgroup.
const WORKGROUP: u32 = 256;

/// Buffers: `partials`, `out` (only written when it finishes). Merges what [`RopeAttention`](super::RopeAttention) with the same
/// fields left; the key-value heads do not matter here.
#[derive(Debug, Clone)]
pub struct AttentionCombine {
    /// Query heads.
    pub heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Positions of the cache.
    pub context: u32,
    /// Whether all is merged, into `out`, which gives the bits of [`Attention`] (no model needs that, but tests do); else to groups,
    /// behind the chunks, where there is more than one of them.
    pub finish: bool,
    /// Whether the parts are pairs of chunks.
    pub pairs: bool,
}

/// Parts of a pair.
pub(super) fn pieces(pairs: bool) -> u32 {
    if pairs { 1 } else { CHUNKS_PER_PAIR }
}

impl AttentionCombine {
    fn attention(&self) -> Attention {
        Attention::in_parts(self.heads, self.head_dim, self.context)
    }

    fn used_chunks(&self, step: &Step) -> u32 {
        (step.pos / ATTENTION_CHUNK + 1).min(self.attention().n_chunks())
    }
}

impl Op for AttentionCombine {
    fn kernel(&self) -> Kernel {
        Kernel::AttentionCombine
    }

    fn access(&self) -> &'static [Access] {
        &[Access::ReadWrite, Access::ReadWrite]
    }

    fn params(&self) -> Vec<u8> {
        // All of them are constants: a uniform would be waited for.
        Vec::new()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        vec![
            ("FINISH", f64::from(u8::from(self.finish))),
            ("N_HEADS", f64::from(self.heads)),
            ("N_CHUNKS", f64::from(self.attention().n_chunks())),
        ]
    }

    fn sizes(&self, _: &Tuning) -> Vec<(&'static str, u32)> {
        let pieces = pieces(self.pairs);
        let (pairs, quads) = (CHUNKS_PER_GROUP / CHUNKS_PER_PAIR, self.head_dim / 4);
        let slots = (WORKGROUP / quads).min(pairs);
        vec![
            ("QUADS", quads),
            ("PIECES", pieces),
            ("IN_GROUP", pairs * pieces),
            ("PAIRS", pairs),
            ("SLOTS", slots),
            ("ROUNDS", pairs.div_ceil(slots)),
            ("PART", quads + 1),
        ]
    }

    fn grid(&self, step: &Step, _: &Tuning) -> [u32; 3] {
        let used = self.used_chunks(step);
        match self.finish {
            true => [self.heads, 1, 1],
            false if used > CHUNKS_PER_GROUP => [self.heads, used.div_ceil(CHUNKS_PER_GROUP), 1],
            // One group is merged where it is read.
            false => [0; 3],
        }
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "attention_combine";
        self.attention().check_heads(OP)?;
        at_least(
            OP,
            "partials bytes",
            self.attention().partials_bytes(),
            sizes[0],
        )?;
        let width = u64::from(self.heads) * u64::from(self.head_dim);
        if self.finish {
            at_least(OP, "out bytes", width * 4, sizes[1])?;
        }
        Ok(())
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let head_dim = self.head_dim as usize;
        let attention = self.attention();
        let len = attention.partial_len();
        let chunks_per_part = (CHUNKS_PER_PAIR / pieces(self.pairs)) as usize;
        let used = (self.used_chunks(step) as usize).div_ceil(chunks_per_part);
        let (n_chunks, n_groups) = (attention.n_chunks() as usize, attention.n_groups() as usize);
        let mut words = memory.take(buffers[0]);
        let partials: &mut [f32] = bytemuck::cast_slice_mut(&mut words);
        let (chunks, groups) = partials.split_at_mut(self.heads as usize * n_chunks * len);
        let rows = chunks.chunks_exact(n_chunks * len);
        if self.finish {
            let mut out_words = memory.take(buffers[1]);
            let out: &mut [f32] = bytemuck::cast_slice_mut(&mut out_words);
            for (row, out) in rows.zip(out.chunks_exact_mut(head_dim)) {
                reference::attention_combine(&row[..used * len], self.pairs, out);
            }
            memory.put(buffers[1], out_words);
        } else if self.used_chunks(step) > CHUNKS_PER_GROUP {
            for (row, groups) in rows.zip(groups.chunks_exact_mut(n_groups * len)) {
                reference::combine_groups(&row[..used * len], self.pairs, head_dim, groups);
            }
        }
        memory.put(buffers[0], words);
    }

    fn bytes(&self, step: &Step) -> u64 {
        let chunks = u64::from(step.pos / ATTENTION_CHUNK + 1);
        let len = self.attention().partial_len() as u64;
        u64::from(self.heads) * (chunks * len + u64::from(self.head_dim)) * 4
    }
}
