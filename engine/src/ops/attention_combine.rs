//! Merge of the attention chunks of a row (`shaders/attention_combine.wgsl`).

use super::{ATTENTION_CHUNK, Access, Attention, BufferId, Op, Step, Tuning, at_least};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;
use crate::variant::KvType;

/// Buffers: `partials`, `out`. Merges what [`Attention`] with the same fields left; the key-value heads do not matter here.
#[derive(Debug, Clone)]
pub struct AttentionCombine {
    /// Query heads.
    pub heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Positions of the cache.
    pub context: u32,
    /// Largest number of tokens in a run.
    pub max_tokens: u32,
}

impl AttentionCombine {
    fn attention(&self) -> Attention {
        Attention {
            heads: self.heads,
            kv_heads: self.heads,
            head_dim: self.head_dim,
            context: self.context,
            kv: KvType::default(),
            max_tokens: self.max_tokens,
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
        self.attention().params_bytes()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn grid(&self, step: &Step, _: &Tuning) -> [u32; 3] {
        [self.heads, step.n_tokens, 1]
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
        at_least(
            OP,
            "out bytes",
            u64::from(self.max_tokens) * width * 4,
            sizes[1],
        )
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let head_dim = self.head_dim as usize;
        let n_chunks = self.attention().n_chunks() as usize;
        let mut words = memory.take(buffers[1]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(&mut words);
        let rows = memory
            .f32(buffers[0])
            .chunks_exact(n_chunks * (head_dim + 2));
        let n_rows = step.n_tokens as usize * self.heads as usize;
        for (row, (partials, out)) in rows
            .zip(out.chunks_exact_mut(head_dim))
            .enumerate()
            .take(n_rows)
        {
            let position = step.pos as usize + row / self.heads as usize;
            let used = (position / ATTENTION_CHUNK as usize + 1).min(n_chunks);
            reference::attention_combine(&partials[..used * (head_dim + 2)], out);
        }
        memory.put(buffers[1], words);
    }

    fn bytes(&self, step: &Step) -> u64 {
        let chunks = u64::from((step.pos + step.n_tokens).div_ceil(ATTENTION_CHUNK));
        let head_dim = u64::from(self.head_dim);
        u64::from(step.n_tokens) * u64::from(self.heads) * (chunks * (head_dim + 2) + head_dim) * 4
    }
}
