//! Merge of the attention chunks of a token (`shaders/attention_combine.wgsl`).

use super::{
    ATTENTION_CHUNK, Access, Attention, BufferId, CHUNKS_PER_GROUP, CHUNKS_PER_PAIR, Op, Reach,
    Step, Tuning, at_least,
};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;

/// Quads of a head that a workgroup has. Few, for many workgroups.
const COLUMNS: u32 = 4;
/// Most groups that are merged at once: those of 4096 positions, by 128 invocations.
const GROUPS: u32 = 4;

/// Buffers: `partials`, `out`. Merges what [`RopeAttention`](super::RopeAttention) with the same
/// fields left; the key-value heads do not matter here.
#[derive(Debug, Clone)]
pub struct AttentionCombine {
    /// Query heads.
    pub heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Positions of the cache.
    pub context: u32,
    /// Whether the parts are pairs of chunks (in no model, but tests merge those too).
    pub pairs: bool,
    /// The positions at which it runs.
    pub reach: Reach,
}

const PAIRS_PER_GROUP: u32 = CHUNKS_PER_GROUP / CHUNKS_PER_PAIR;

/// How a workgroup is made up: an invocation has a pair of one of the groups that are merged at once, and a quad of it.
struct Workgroup {
    columns: u32,
    groups: u32,
    invocations: u32,
}

/// Parts of a pair.
pub(super) fn pieces(pairs: bool) -> u32 {
    if pairs { 1 } else { CHUNKS_PER_PAIR }
}

impl AttentionCombine {
    fn attention(&self) -> Attention {
        Attention::in_parts(self.heads, self.head_dim, self.context)
    }

    fn quads(&self) -> u32 {
        self.head_dim / 4
    }

    fn workgroup(&self) -> Workgroup {
        let columns = COLUMNS.min(self.quads());
        let groups = self.attention().n_chunks().div_ceil(CHUNKS_PER_GROUP);
        let groups = groups.min(GROUPS);
        Workgroup {
            columns,
            groups,
            invocations: groups * PAIRS_PER_GROUP * columns,
        }
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
        &[Access::Read, Access::ReadWrite]
    }

    fn params(&self) -> Vec<u8> {
        // All of them are constants: a uniform would be waited for.
        Vec::new()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        let shape = self.workgroup();
        vec![
            ("WG", f64::from(shape.invocations)),
            ("N_CHUNKS", f64::from(self.attention().n_chunks())),
        ]
    }

    fn sizes(&self, _: &Tuning) -> Vec<(&'static str, u32)> {
        let shape = self.workgroup();
        vec![
            ("QUADS", self.quads()),
            ("COLUMNS", shape.columns),
            ("PIECES", pieces(self.pairs)),
            ("PAIRS", PAIRS_PER_GROUP),
            ("OTHER_PAIRS", PAIRS_PER_GROUP - 1),
            ("GROUPS", shape.groups),
            ("PART", self.quads() + 1),
        ]
    }

    fn grid(&self, step: &Step, tuning: &Tuning) -> [u32; 3] {
        if !self.reach.has(step, tuning) {
            return [0; 3];
        }
        [
            self.heads,
            self.quads().div_ceil(self.workgroup().columns),
            1,
        ]
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
        at_least(OP, "out bytes", width * 4, sizes[1])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let attention = self.attention();
        let (head_dim, len) = (self.head_dim as usize, attention.partial_len());
        let chunks_per_part = CHUNKS_PER_PAIR / pieces(self.pairs);
        let used = self.used_chunks(step).div_ceil(chunks_per_part) as usize;
        let mut words = memory.take(buffers[1]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(&mut words);
        let rows = memory
            .f32(buffers[0])
            .chunks_exact(attention.n_chunks() as usize * len);
        for (row, out) in rows.zip(out.chunks_exact_mut(head_dim)) {
            reference::attention_combine(&row[..used * len], self.pairs, out);
        }
        memory.put(buffers[1], words);
    }

    fn bytes(&self, step: &Step) -> u64 {
        let chunks = u64::from(step.pos / ATTENTION_CHUNK + 1);
        let len = self.attention().partial_len() as u64;
        u64::from(self.heads) * (chunks * len + u64::from(self.head_dim)) * 4
    }
}
