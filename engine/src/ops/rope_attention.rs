//! Rotary positions, append to the cache and chunks of attention of one token (`shaders/rope_attention.wgsl`).

use super::attention::TEAM;
use super::rope_kv::{RopeKv, cache_bytes, cache_rows};
use super::{
    ATTENTION_CHUNK, Access, Attention, BufferId, CHUNKS_PER_PAIR, Op, Reach, Step, Tuning,
    at_least, multiple,
};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::{Choice, Kernel};
use crate::variant::KvType;

/// Buffers: `qkv`, `table`, `k_cache`, `v_cache`, `partials`. What it leaves is merged by
/// [`AttentionCombine`](super::AttentionCombine) or [`NormGemv`](super::NormGemv).
#[derive(Debug, Clone)]
pub struct RopeAttention {
    /// Query heads, a multiple of `kv_heads`.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Elements of a head, a multiple of 4, at most 256.
    pub head_dim: u32,
    /// Where the row's keys start; the queries are its first `heads * head_dim`.
    pub k_offset: u32,
    /// Where the row's values start.
    pub v_offset: u32,
    /// Positions of the cache and of the table.
    pub context: u32,
    /// Element type of the cache.
    pub kv: KvType,
    /// The positions at which it runs: at short ones with one query head a workgroup, else by [`Tuning::attention_heads`].
    pub reach: Reach,
    /// Whether a workgroup computes a pair of chunks of one head, side by side, and leaves one part: fewer to merge, for twice the
    /// invocations.
    pub pairs: bool,
}

impl RopeAttention {
    /// What the tuning means for its workgroups.
    fn tuned(&self, tuning: &Tuning) -> Tuning {
        let attention_heads = match self.reach {
            _ if self.pairs => 1,
            Reach::Short => 1,
            Reach::All | Reach::Long => tuning.attention_heads,
        };
        Tuning {
            attention_heads,
            ..*tuning
        }
    }

    /// Teams of a workgroup, each of which has a chunk.
    fn teams(&self) -> u32 {
        if self.pairs { CHUNKS_PER_PAIR } else { 1 }
    }

    fn heads_per_workgroup(&self, tuning: &Tuning) -> u32 {
        self.attention().heads_per_workgroup(&self.tuned(tuning))
    }

    fn attention(&self) -> Attention {
        Attention {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            context: self.context,
            kv: self.kv,
            max_tokens: 1,
        }
    }

    /// The op that appends the token's key and value in the same way.
    fn rope_kv(&self) -> RopeKv {
        RopeKv {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            stride: 0,
            k_offset: self.k_offset,
            v_offset: self.v_offset,
            context: self.context,
            max_tokens: 1,
            kv: self.kv,
        }
    }
}

impl Op for RopeAttention {
    fn kernel(&self) -> Kernel {
        Kernel::RopeAttention
    }

    fn access(&self) -> &'static [Access] {
        &[
            Access::Read,
            Access::Read,
            Access::ReadWrite,
            Access::ReadWrite,
            Access::ReadWrite,
        ]
    }

    fn params(&self) -> Vec<u8> {
        // All of them are constants: a uniform would be waited for.
        Vec::new()
    }

    fn constants(&self, tuning: &Tuning) -> Vec<(&'static str, f64)> {
        let params = self.attention().params_of();
        // Of one head there are few keys, and registers for all.
        let values_late = self.heads_per_workgroup(tuning) > 1;
        vec![
            ("WG", f64::from(TEAM * self.teams())),
            ("VALUES_LATE", f64::from(u8::from(values_late))),
            ("KV_HEADS", f64::from(self.kv_heads)),
            ("GROUP", f64::from(params.group)),
            ("CONTEXT", f64::from(self.context)),
            ("SCALE", f64::from(params.scale)),
            ("N_CHUNKS", f64::from(params.n_chunks)),
            ("K_OFFSET", f64::from(self.k_offset)),
            ("V_OFFSET", f64::from(self.v_offset)),
        ]
    }

    fn sizes(&self, tuning: &Tuning) -> Vec<(&'static str, u32)> {
        self.attention()
            .sizes_of(self.heads_per_workgroup(tuning), self.teams())
    }

    fn grid(&self, step: &Step, tuning: &Tuning) -> [u32; 3] {
        if !self.reach.has(step, tuning) {
            return [0; 3];
        }
        let parts = (step.pos / ATTENTION_CHUNK + 1).div_ceil(self.teams());
        [self.heads / self.heads_per_workgroup(tuning), parts, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "rope_attention";
        self.attention().check_heads(OP)?;
        let head_dim = u64::from(self.head_dim);
        multiple(OP, "k_offset", 2, u64::from(self.k_offset))?;
        multiple(OP, "v_offset", 2, u64::from(self.v_offset))?;
        let kv_width = u64::from(self.kv_heads) * head_dim;
        for end in [
            u64::from(self.heads) * head_dim,
            u64::from(self.k_offset) + kv_width,
            u64::from(self.v_offset) + kv_width,
        ] {
            at_least(OP, "qkv bytes", end * 4, sizes[0])?;
        }
        let table = u64::from(self.context) * head_dim * 4;
        at_least(OP, "table bytes", table, sizes[1])?;
        let cache = cache_bytes(self.kv_heads, self.context, self.head_dim, self.kv);
        at_least(OP, "k_cache bytes", cache, sizes[2])?;
        at_least(OP, "v_cache bytes", cache, sizes[3])?;
        let partials = self.attention().partials_bytes();
        at_least(OP, "partials bytes", partials, sizes[4])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let (head_dim, position) = (self.head_dim as usize, step.pos as usize);
        if step.pos >= self.context {
            return;
        }
        let mut caches = [memory.take(buffers[2]), memory.take(buffers[3])];
        let mut words = memory.take(buffers[4]);
        let row = memory.f32(buffers[0]);
        let angles = &memory.f32(buffers[1])[position * head_dim..(position + 1) * head_dim];
        self.rope_kv().append(row, angles, &mut caches, position);
        let per_head = self.attention().n_chunks() as usize * self.attention().partial_len();
        let rows = cache_rows(self.kv_heads, self.context, self.head_dim, self.kv);
        let out: &mut [f32] = bytemuck::cast_slice_mut(&mut words);
        for (head, out) in out
            .chunks_exact_mut(per_head)
            .enumerate()
            .take(self.heads as usize)
        {
            let kv_head = head / (self.heads / self.kv_heads) as usize;
            let first = kv_head * self.context as usize;
            let query = (&row[head * head_dim..(head + 1) * head_dim], angles);
            let [k_cache, v_cache] = &caches;
            let caches = (k_cache.as_slice(), v_cache.as_slice());
            let positions = (rows, first, position + 1);
            reference::rope_attention(query, caches, positions, self.pairs, out);
        }
        let [k_cache, v_cache] = caches;
        memory.put(buffers[2], k_cache);
        memory.put(buffers[3], v_cache);
        memory.put(buffers[4], words);
    }

    fn choice(&self, base: &Choice) -> Choice {
        self.attention().choice(base)
    }

    fn bytes(&self, step: &Step) -> u64 {
        self.attention().bytes(step) + cache_bytes(2 * self.kv_heads, 1, self.head_dim, self.kv)
    }
}
