//! Causal attention over chunks of the context (`shaders/attention.wgsl`).

use super::rope_kv::{cache_bytes, cache_rows};
use super::{Access, BufferId, Op, Step, Tuning, at_least, multiple};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::{Choice, Kernel};
use crate::variant::KvType;

/// Positions of a chunk: the context is always walked in these steps, so that a position's result does not depend on the run
/// it is computed in.
pub const ATTENTION_CHUNK: u32 = 64;

/// Chunks of a pair: neighbours that are merged before others are.
pub const CHUNKS_PER_PAIR: u32 = 2;

/// Chunks of a group: eight pairs in a row, merged before groups are.
pub const CHUNKS_PER_GROUP: u32 = 16;

/// Largest head dimension: a quad of it for each of 64 invocations, see `lib/attention.wgsl`.
const MAX_HEAD_DIM: u32 = 256;

/// Invocations that compute a chunk.
pub(super) const TEAM: u32 = 256;

/// Largest number of query heads of a workgroup: the arrays of `lib/attention.wgsl` have room for them.
const MAX_HEADS: u32 = 4;

/// Buffers: `q`, `k_cache`, `v_cache`, `out`.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Query heads, a multiple of `kv_heads`.
    pub heads: u32,
    /// Key and value heads; query head `i` uses head `i / (heads / kv_heads)`.
    pub kv_heads: u32,
    /// Elements of a head, a multiple of 4, at most 256.
    pub head_dim: u32,
    /// Positions of the cache.
    pub context: u32,
    /// Element type of the cache.
    pub kv: KvType,
    /// Largest number of tokens in a run.
    pub max_tokens: u32,
}

/// Uniform of `attention` and `attention_loop`; other kernels have some of it as constants.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct AttentionParams {
    pub(super) heads: u32,
    pub(super) group: u32,
    pub(super) head_dim: u32,
    pub(super) context: u32,
    pub(super) scale: f32,
    pub(super) n_chunks: u32,
    pad: [u32; 2],
}

impl Attention {
    /// As a merge of its parts sees it: neither the key-value heads nor their type matter there.
    pub(super) fn in_parts(heads: u32, head_dim: u32, context: u32) -> Self {
        Self {
            heads,
            kv_heads: heads,
            head_dim,
            context,
            kv: KvType::default(),
            max_tokens: 1,
        }
    }

    /// Chunks of the whole context.
    #[must_use]
    pub fn n_chunks(&self) -> u32 {
        self.context.div_ceil(ATTENTION_CHUNK)
    }

    /// Floats of one chunk's result.
    pub(super) fn partial_len(&self) -> usize {
        self.head_dim as usize + 4
    }

    /// Bytes of the results for one token: `[heads][n_chunks][head_dim + 4] f32`.
    #[must_use]
    pub fn partials_bytes(&self) -> u64 {
        u64::from(self.heads) * u64::from(self.n_chunks()) * self.partial_len() as u64 * 4
    }

    /// Query heads of a workgroup: the largest divisor of a key-value head's group that the tuning allows.
    pub(super) fn heads_per_workgroup(&self, tuning: &Tuning) -> u32 {
        let group = self.heads / self.kv_heads.max(1);
        let most = tuning.attention_heads.clamp(1, MAX_HEADS);
        (1..=most.min(group))
            .rev()
            .find(|n| group.is_multiple_of(*n))
            .unwrap_or(1)
    }

    pub(super) fn params_of(&self) -> AttentionParams {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a head dimension is far below 2^24"
        )]
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        AttentionParams {
            heads: self.heads,
            group: self.heads / self.kv_heads.max(1),
            head_dim: self.head_dim,
            context: self.context,
            scale,
            n_chunks: self.n_chunks(),
            pad: [0; 2],
        }
    }

    /// Sizes of `lib/attention.wgsl`: workgroups of so many query heads, and of so many teams.
    pub(super) fn sizes_of(&self, heads: u32, teams: u32) -> Vec<(&'static str, u32)> {
        let quads = self.head_dim / 4;
        let slices = TEAM / quads;
        // More at once would take more workgroup memory than every device has.
        let joined = if heads.is_multiple_of(2) { 2 } else { 1 };
        vec![
            ("HEADS", heads),
            ("TEAMS", teams),
            ("UNITS", heads * teams),
            ("JOINED", joined),
            ("JOIN_ROUNDS", heads / joined),
            ("JOIN_UNITS", joined * teams),
            ("QUADS", quads),
            ("KEY_STEPS", quads.div_ceil(TEAM / ATTENTION_CHUNK)),
            ("SLICES", slices),
            ("OTHER_SLICES", slices - 1),
            ("VALUE_STEPS", ATTENTION_CHUNK.div_ceil(slices)),
        ]
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
}

impl Op for Attention {
    fn kernel(&self) -> Kernel {
        Kernel::Attention
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::ReadWrite]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.params_of()).to_vec()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn sizes(&self, tuning: &Tuning) -> Vec<(&'static str, u32)> {
        self.sizes_of(self.heads_per_workgroup(tuning), 1)
    }

    fn grid(&self, step: &Step, tuning: &Tuning) -> [u32; 3] {
        [
            self.heads / self.heads_per_workgroup(tuning),
            step.n_tokens,
            1,
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
        at_least(
            OP,
            "out bytes",
            u64::from(self.max_tokens) * width * 4,
            sizes[3],
        )
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let head_dim = self.head_dim as usize;
        let group = (self.heads / self.kv_heads) as usize;
        let rows = cache_rows(self.kv_heads, self.context, self.head_dim, self.kv);
        let longest = (step.pos + step.n_tokens).min(self.context) as usize;
        let n_tokens = longest.saturating_sub(step.pos as usize);
        let mut words = memory.take(buffers[3]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(&mut words);
        for kv_head in 0..self.kv_heads as usize {
            let first = kv_head * self.context as usize;
            let k = rows.load(memory.u32(buffers[1]), first, longest);
            let v = rows.load(memory.u32(buffers[2]), first, longest);
            for t in 0..n_tokens {
                let visible = (step.pos as usize + t + 1) * head_dim;
                for head in kv_head * group..(kv_head + 1) * group {
                    let at = (t * self.heads as usize + head) * head_dim;
                    let q = &memory.f32(buffers[0])[at..at + head_dim];
                    let out = &mut out[at..at + head_dim];
                    reference::attention(q, &k[..visible], &v[..visible], out);
                }
            }
        }
        memory.put(buffers[3], words);
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
