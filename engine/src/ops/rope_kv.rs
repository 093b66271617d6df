//! Rotary positions and the append to the key-value cache (`shaders/rope_kv.wgsl`).

use super::{Access, BufferId, Op, Step, Tuning, at_least, multiple};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference::{self, KvRows};
use crate::shader::{Choice, Kernel};
use crate::variant::KvType;

/// Invocations of a workgroup, `WG` in the shader; each writes four elements.
const WORKGROUP: u32 = 64;

/// Buffers: `qkv`, `table`, `q`, `k_cache`, `v_cache`.
#[derive(Debug, Clone)]
pub struct RopeKv {
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Elements of a head, a multiple of 4.
    pub head_dim: u32,
    /// Elements of a row of `qkv`; the queries are its first `heads * head_dim`.
    pub stride: u32,
    /// Where a row's keys start.
    pub k_offset: u32,
    /// Where a row's values start.
    pub v_offset: u32,
    /// Positions of the cache and of the table.
    pub context: u32,
    /// Element type of the cache.
    pub kv: KvType,
    /// Largest number of tokens in a run.
    pub max_tokens: u32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    stride: u32,
    k_offset: u32,
    v_offset: u32,
    context: u32,
    pad: u32,
}

/// `[context][head_dim / 2][2]`: cosine and sine of `position * theta^(-2j / head_dim)`, computed in f64 because WGSL bounds
/// the error of its own functions only near zero.
#[must_use]
pub fn rope_table(theta: f64, head_dim: u32, context: u32) -> Vec<f32> {
    let pairs = head_dim / 2;
    let frequencies: Vec<f64> = (0..pairs)
        .map(|j| theta.powf(-2.0 * f64::from(j) / f64::from(head_dim)))
        .collect();
    (0..context)
        .flat_map(|position| {
            frequencies
                .iter()
                .map(move |frequency| f64::from(position) * frequency)
        })
        .flat_map(|angle| [narrow(angle.cos()), narrow(angle.sin())])
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a cosine, rounded to f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// Bytes of one cache (keys or values) of a layer.
pub(crate) fn cache_bytes(kv_heads: u32, context: u32, head_dim: u32, kv: KvType) -> u64 {
    let row = u64::from(head_dim) * kv.element_bytes() + kv.scale_bytes();
    u64::from(kv_heads) * u64::from(context) * row
}

/// The rows of one cache.
pub(crate) const fn cache_rows(kv_heads: u32, context: u32, head_dim: u32, kv: KvType) -> KvRows {
    KvRows {
        kv,
        head_dim: head_dim as usize,
        n_rows: kv_heads as usize * context as usize,
    }
}

impl RopeKv {
    fn quads(&self) -> u32 {
        (self.heads + 2 * self.kv_heads) * (self.head_dim / 4)
    }

    /// Appends the key and the value of one row of `qkv` to the caches of keys and values.
    pub(super) fn append(
        &self,
        row: &[f32],
        angles: &[f32],
        [k_cache, v_cache]: &mut [Vec<u32>; 2],
        position: usize,
    ) {
        let head_dim = self.head_dim as usize;
        let rows = cache_rows(self.kv_heads, self.context, self.head_dim, self.kv);
        for head in 0..self.kv_heads as usize {
            let at = head * self.context as usize + position;
            let k = &row[self.k_offset as usize + head * head_dim..][..head_dim];
            let v = &row[self.v_offset as usize + head * head_dim..][..head_dim];
            rows.store(k_cache, at, &reference::rope(k, angles));
            rows.store(v_cache, at, v);
        }
    }
}

impl Op for RopeKv {
    fn kernel(&self) -> Kernel {
        Kernel::RopeKv
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
        let params = Params {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            stride: self.stride,
            k_offset: self.k_offset,
            v_offset: self.v_offset,
            context: self.context,
            pad: 0,
        };
        bytemuck::bytes_of(&params).to_vec()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn grid(&self, step: &Step, _: &Tuning) -> [u32; 3] {
        [self.quads().div_ceil(WORKGROUP), step.n_tokens, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "rope_kv";
        let (head_dim, tokens) = (u64::from(self.head_dim), u64::from(self.max_tokens));
        multiple(OP, "head_dim", 4, head_dim)?;
        let stride = u64::from(self.stride);
        let kv_width = u64::from(self.kv_heads) * head_dim;
        at_least(OP, "stride", u64::from(self.heads) * head_dim, stride)?;
        at_least(OP, "stride", u64::from(self.k_offset) + kv_width, stride)?;
        at_least(OP, "stride", u64::from(self.v_offset) + kv_width, stride)?;
        at_least(OP, "qkv bytes", tokens * stride * 4, sizes[0])?;
        at_least(
            OP,
            "table bytes",
            u64::from(self.context) * head_dim * 4,
            sizes[1],
        )?;
        at_least(
            OP,
            "q bytes",
            tokens * u64::from(self.heads) * head_dim * 4,
            sizes[2],
        )?;
        let cache = cache_bytes(self.kv_heads, self.context, self.head_dim, self.kv);
        at_least(OP, "k_cache bytes", cache, sizes[3])?;
        at_least(OP, "v_cache bytes", cache, sizes[4])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let (head_dim, stride) = (self.head_dim as usize, self.stride as usize);
        let (heads, context) = (self.heads as usize, self.context as usize);
        let mut q = memory.take(buffers[2]);
        let mut caches = [memory.take(buffers[3]), memory.take(buffers[4])];
        for t in 0..step.n_tokens as usize {
            let position = step.pos as usize + t;
            if position >= context {
                break;
            }
            let row = &memory.f32(buffers[0])[t * stride..(t + 1) * stride];
            let angles = &memory.f32(buffers[1])[position * head_dim..(position + 1) * head_dim];
            let out: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut q)
                [t * heads * head_dim..(t + 1) * heads * head_dim];
            for (x, out) in row
                .chunks_exact(head_dim)
                .zip(out.chunks_exact_mut(head_dim))
            {
                out.copy_from_slice(&reference::rope(x, angles));
            }
            self.append(row, angles, &mut caches, position);
        }
        let [k_cache, v_cache] = caches;
        memory.put(buffers[2], q);
        memory.put(buffers[3], k_cache);
        memory.put(buffers[4], v_cache);
    }

    fn choice(&self, base: &Choice) -> Choice {
        Choice {
            kv: self.kv,
            ..*base
        }
    }

    fn bytes(&self, step: &Step) -> u64 {
        let written = cache_bytes(2 * self.kv_heads, 1, self.head_dim, self.kv);
        let floats = u64::from(self.quads()) * 4 + u64::from(self.heads) * u64::from(self.head_dim);
        u64::from(step.n_tokens) * (floats * 4 + written)
    }
}
