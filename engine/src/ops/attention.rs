//! Causal attention over chunks of the context (`shaders/attention.wgsl`).

use super::rope_kv::cache_bytes;
use super::{Access, BufferId, Op, Step, Tuning, at_least, multiple};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::{Choice, Kernel};
use crate::variant::KvType;

/// Positions of a chunk: the context is always walked in these steps, so that a position's result does not depend on the run
/// it is computed in.
pub const ATTENTION_CHUNK: u32 = 256;

/// Largest head dimension: a workgroup of [`ATTENTION_CHUNK`] invocations covers a head in quads.
const MAX_HEAD_DIM: u32 = 4 * ATTENTION_CHUNK;

/// Buffers: `q`, `k_cache`, `v_cache`, `partials`. The chunks of a row are merged by
/// [`AttentionCombine`](super::AttentionCombine).
#[derive(Debug, Clone)]
pub struct Attention {
    /// Query heads, a multiple of `kv_heads`.
    pub heads: u32,
    /// Key and value heads; query head `i` uses head `i / (heads / kv_heads)`.
    pub kv_heads: u32,
    /// Elements of a head, a multiple of 4.
    pub head_dim: u32,
    /// Positions of the cache.
    pub context: u32,
    /// Element type of the cache.
    pub kv: KvType,
    /// Largest number of tokens in a run.
    pub max_tokens: u32,
}

/// Uniform of `attention` and `attention_combine`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct AttentionParams {
    pub(super) heads: u32,
    pub(super) group: u32,
    pub(super) head_dim: u32,
    pub(super) context: u32,
    pub(super) n_chunks: u32,
    pub(super) scale: f32,
    pub(super) pad: [u32; 2],
}

impl Attention {
    /// Chunks of the whole context.
    #[must_use]
    pub fn n_chunks(&self) -> u32 {
        self.context.div_ceil(ATTENTION_CHUNK)
    }

    /// Bytes of `partials`: `[max_tokens][heads][n_chunks][head_dim + 2] f32`.
    #[must_use]
    pub fn partials_bytes(&self) -> u64 {
        let rows = u64::from(self.max_tokens) * u64::from(self.heads) * u64::from(self.n_chunks());
        rows * (u64::from(self.head_dim) + 2) * 4
    }

    pub(super) fn params_bytes(&self) -> Vec<u8> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a head dimension is far below 2^24"
        )]
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        let params = AttentionParams {
            heads: self.heads,
            group: self.heads / self.kv_heads.max(1),
            head_dim: self.head_dim,
            context: self.context,
            n_chunks: self.n_chunks(),
            scale,
            pad: [0; 2],
        };
        bytemuck::bytes_of(&params).to_vec()
    }

    pub(super) fn check_heads(&self, op: &'static str) -> Result<(), Error> {
        multiple(op, "heads", u64::from(self.kv_heads), u64::from(self.heads))?;
        multiple(op, "head_dim", 4, u64::from(self.head_dim))?;
        at_least(
            op,
            "largest head_dim",
            u64::from(self.head_dim),
            u64::from(MAX_HEAD_DIM),
        )
    }

    /// Floats of one chunk's result.
    fn partial_len(&self) -> usize {
        self.head_dim as usize + 2
    }

    /// Runs the chunks of one token for the query heads of one key-value head. `k` and `v`: `[n_positions, head_dim]`.
    fn run_group(&self, kv_head: usize, q: &[f32], (k, v): (&[f32], &[f32]), partials: &mut [f32]) {
        let head_dim = self.head_dim as usize;
        let group = (self.heads / self.kv_heads) as usize;
        let chunk_len = ATTENTION_CHUNK as usize * head_dim;
        for head in kv_head * group..(kv_head + 1) * group {
            let q = &q[head * head_dim..(head + 1) * head_dim];
            let out = &mut partials[head * self.n_chunks() as usize * self.partial_len()..];
            let chunks = k.chunks(chunk_len).zip(v.chunks(chunk_len));
            for ((k, v), partial) in chunks.zip(out.chunks_exact_mut(self.partial_len())) {
                reference::attention(q, k, v, partial);
            }
        }
    }
}

impl Op for Attention {
    fn kernel(&self) -> Kernel {
        Kernel::Attention
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::ReadWrite]
    }

    fn params(&self) -> Vec<u8> {
        self.params_bytes()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn grid(&self, step: &Step, _: &Tuning) -> [u32; 3] {
        [
            self.heads,
            (step.pos + step.n_tokens).div_ceil(ATTENTION_CHUNK),
            step.n_tokens,
        ]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "attention";
        self.check_heads(OP)?;
        let width = u64::from(self.heads) * u64::from(self.head_dim);
        at_least(
            OP,
            "q bytes",
            u64::from(self.max_tokens) * width * 4,
            sizes[0],
        )?;
        let cache = cache_bytes(self.kv_heads, self.context, self.head_dim, self.kv);
        at_least(OP, "k_cache bytes", cache, sizes[1])?;
        at_least(OP, "v_cache bytes", cache, sizes[2])?;
        at_least(OP, "partials bytes", self.partials_bytes(), sizes[3])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let head_dim = self.head_dim as usize;
        let width = self.heads as usize * head_dim;
        let per_token = self.heads as usize * self.n_chunks() as usize * self.partial_len();
        let n_tokens = step.n_tokens as usize;
        let longest = (step.pos as usize + n_tokens).min(self.context as usize);
        let mut partials = memory.take(buffers[3]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(&mut partials);
        for kv_head in 0..self.kv_heads as usize {
            let start = kv_head * self.context as usize * head_dim;
            let k = reference::load_kv(memory.u32(buffers[1]), self.kv, start, longest * head_dim);
            let v = reference::load_kv(memory.u32(buffers[2]), self.kv, start, longest * head_dim);
            for t in 0..n_tokens {
                let visible = (step.pos as usize + t + 1).min(longest) * head_dim;
                let q = &memory.f32(buffers[0])[t * width..(t + 1) * width];
                let out = &mut out[t * per_token..(t + 1) * per_token];
                self.run_group(kv_head, q, (&k[..visible], &v[..visible]), out);
            }
        }
        memory.put(buffers[3], partials);
    }

    fn choice(&self, base: &Choice) -> Choice {
        Choice {
            kv: self.kv,
            ..*base
        }
    }

    fn bytes(&self, step: &Step) -> u64 {
        let context = step.pos + step.n_tokens;
        let q = u64::from(step.n_tokens) * u64::from(self.heads) * u64::from(self.head_dim) * 4;
        cache_bytes(2 * self.kv_heads, context, self.head_dim, self.kv) + q
    }
}
