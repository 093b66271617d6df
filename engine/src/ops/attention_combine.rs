//! Merge of the attention chunks of a token (`shaders/attention_combine.wgsl`).

use super::{ATTENTION_CHUNK, Access, Attention, BufferId, Op, Step, Tuning, at_least};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;
use crate::variant::KvType;

/// Buffers: `partials`, `out`. Merges what [`RopeAttention`](super::RopeAttention) with the same fields left; the key-value
/// heads do not matter here.
#[derive(Debug, Clone)]
pub struct AttentionCombine {
    /// Query heads.
    pub heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Positions of the cache.
    pub context: u32,
}

impl AttentionCombine {
    fn attention(&self) -> Attention {
        Attention {
            heads: self.heads,
            kv_heads: self.heads,
            head_dim: self.head_dim,
            context: self.context,
            kv: KvType::default(),
            max_tokens: 1,
        }
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
        bytemuck::bytes_of(&self.attention().params_of()).to_vec()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn grid(&self, _: &Step, _: &Tuning) -> [u32; 3] {
        [self.heads, 1, 1]
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
        let head_dim = self.head_dim as usize;
        let attention = self.attention();
        let len = attention.partial_len();
        let used = (step.pos / ATTENTION_CHUNK + 1).min(attention.n_chunks()) as usize;
        let mut words = memory.take(buffers[1]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(&mut words);
        let rows = memory
            .f32(buffers[0])
            .chunks_exact(attention.n_chunks() as usize * len);
        for (partials, out) in rows
            .zip(out.chunks_exact_mut(head_dim))
            .take(self.heads as usize)
        {
            reference::attention_combine(&partials[..used * len], out);
        }
        memory.put(buffers[1], words);
    }

    fn bytes(&self, step: &Step) -> u64 {
        let chunks = u64::from(step.pos / ATTENTION_CHUNK + 1);
        let len = self.attention().partial_len() as u64;
        u64::from(self.heads) * (chunks * len + u64::from(self.head_dim)) * 4
    }
}
