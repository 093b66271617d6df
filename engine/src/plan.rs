//! The plan of a model: activation buffers and the dispatches of one run, as data, built once per session.

mod dispatches;
mod fused;
#[cfg(test)]
mod memory;
mod need;

use crate::exec::{Compiling, Dispatch, Executor, Program};
use crate::ops::{
    Attention, BufferId, RESULT_SLOTS, SamplingParams, cache_bytes, found_bytes, rope_table,
};
use crate::session::SessionConfig;
use crate::shader::Choice;
use crate::weights::Weights;
use crate::{Error, KvType, Variant};
use model::layout::{padded_cols, padded_rows};
use model::{Architecture, Manifest};

use dispatches::Builder;
use need::Buffers;

pub use need::memory_need;

/// Largest number of rows whose logits are computed at once.
pub(crate) const MAX_LOGIT_ROWS: u32 = 8;

/// Key and value cache of one layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KvBuffers {
    pub k: BufferId,
    pub v: BufferId,
}

/// Buffers that the session itself reads or writes.
#[derive(Debug, Clone)]
pub(crate) struct Io {
    pub step: BufferId,
    pub tokens: BufferId,
    pub sampling: BufferId,
    pub history: BufferId,
    pub results: BufferId,
    pub logits: BufferId,
    pub found: BufferId,
    pub sample_weights: BufferId,
    pub kv: Vec<KvBuffers>,
}

/// Programs and buffers of one model at one context length.
#[derive(Debug)]
pub(crate) struct Plan {
    pub arch: Architecture,
    pub context: u32,
    pub kv_type: KvType,
    pub chunk: u32,
    pub io: Io,
    /// All layers for one token.
    pub decode: Program,
    /// All layers for up to `chunk` tokens.
    pub prefill: Program,
    /// Final norm and LM head of the wanted rows.
    pub head: Program,
    /// Picks the next token and advances the step.
    pub sample: Program,
    pub kv_bytes: u64,
}

/// Activation buffers, sized for a whole chunk.
struct Scratch {
    x: BufferId,
    q: BufferId,
    rows: BufferId,
    qkv: BufferId,
    q_rotated: BufferId,
    partials: BufferId,
    attn: BufferId,
    inner: BufferId,
    normed: BufferId,
    rope: BufferId,
    dummy: BufferId,
}

/// What depends on model and settings, but not on buffers.
struct Shape<'a> {
    arch: &'a Architecture,
    tile: u32,
    context: u32,
    chunk: u32,
    kv: KvType,
}

impl<'a> Shape<'a> {
    fn new(manifest: &'a Manifest, config: &SessionConfig, executor: &Executor) -> Self {
        let arch = &manifest.architecture;
        let context = config.context.clamp(1, arch.context.max(1));
        let chunk = match config.prefill_chunk {
            0 => executor.prefill_chunk(),
            chunk => chunk.min(1024),
        };
        Self {
            arch,
            tile: manifest.ternary.rows_per_tile,
            context,
            chunk: chunk.min(context),
            kv: config.kv,
        }
    }

    fn builder(&self, executor: &Executor, scratch: Scratch, io: Io) -> Builder<'a> {
        Builder {
            arch: self.arch,
            tile: self.tile,
            context: self.context,
            chunk: self.chunk,
            kv: self.kv,
            scratch,
            io,
            loops_attention: executor.loops_attention(),
            pairs_attention: executor.pairs_attention(),
        }
    }

    /// Which shader texts are linked.
    fn choice(&self, executor: &Executor, weights: &Weights) -> Choice {
        let variant = executor
            .device()
            .map_or(Variant::PORTABLE, crate::Device::variant);
        Choice {
            variant,
            kv: self.kv,
            rows: weights.embed.rows,
        }
    }
}

/// The dispatches of a decode step, a chunk of prefill, the head and the sampler.
fn lists(executor: &Executor, builder: &Builder<'_>, weights: &Weights) -> [Vec<Dispatch>; 4] {
    let decode = if fused::suits(builder.arch, executor) {
        builder.fused_body(weights)
    } else {
        builder.body(weights, 1)
    };
    let prefill = builder.body(weights, builder.chunk);
    [decode, prefill, builder.head(weights), builder.sample()]
}

impl Plan {
    /// Begins to compile the kernels that [`Plan::build`] will need. It takes no memory for buffers, so that there is room for
    /// weights on their way.
    pub(crate) fn compile(
        executor: &mut Executor,
        manifest: &Manifest,
        weights: &Weights,
        config: &SessionConfig,
    ) -> Result<Compiling, Error> {
        let shape = Shape::new(manifest, config, executor);
        let (scratch, io) = (Scratch::nowhere(), Io::nowhere(shape.arch));
        let builder = shape.builder(executor, scratch, io);
        let dispatches = lists(executor, &builder, weights).into_iter().flatten();
        let base = shape.choice(executor, weights);
        executor.compile(dispatches, &base)
    }

    pub(crate) async fn build(
        executor: &mut Executor,
        manifest: &Manifest,
        weights: &Weights,
        config: &SessionConfig,
    ) -> Result<Self, Error> {
        let shape = Shape::new(manifest, config, executor);
        let Shape {
            arch,
            context,
            chunk,
            ..
        } = shape;
        let before = executor.allocated_bytes();
        let kv = kv_buffers(executor, arch, context, config.kv)?;
        let kv_bytes = executor.allocated_bytes() - before;
        let io = io_buffers(executor, arch, context, chunk, kv)?;
        let scratch = Scratch::allocate(executor, arch, shape.tile, context, chunk)?;
        let table = rope_table(arch.rope_theta, arch.head_dim, context);
        executor.write(scratch.rope, 0, bytemuck::cast_slice(&table))?;
        let builder = shape.builder(executor, scratch, io);
        let base = shape.choice(executor, weights);
        let step = builder.io.step;
        let [decode, prefill, head, sample] = lists(executor, &builder, weights);
        let decode = executor.prepare(decode, step, &base).await?;
        let prefill = executor.prepare(prefill, step, &base).await?;
        let head = executor.prepare(head, step, &base).await?;
        let sample = executor.prepare(sample, step, &base).await?;
        Ok(Self {
            arch: arch.clone(),
            context,
            kv_type: config.kv,
            chunk,
            io: builder.io,
            decode,
            prefill,
            head,
            sample,
            kv_bytes,
        })
    }
}

/// In the place of a buffer that is not there yet.
const NOWHERE: BufferId = BufferId(u32::MAX);

impl Io {
    fn nowhere(arch: &Architecture) -> Self {
        let layer = KvBuffers {
            k: NOWHERE,
            v: NOWHERE,
        };
        Self {
            step: NOWHERE,
            tokens: NOWHERE,
            sampling: NOWHERE,
            history: NOWHERE,
            results: NOWHERE,
            logits: NOWHERE,
            found: NOWHERE,
            sample_weights: NOWHERE,
            kv: vec![layer; arch.layers as usize],
        }
    }
}

fn kv_buffers(
    executor: &mut impl Buffers,
    arch: &Architecture,
    context: u32,
    kv: KvType,
) -> Result<Vec<KvBuffers>, Error> {
    let bytes = cache_bytes(arch.kv_heads, context, arch.head_dim, kv);
    (0..arch.layers)
        .map(|n| {
            Ok(KvBuffers {
                k: executor.create_buffer(&format!("layers.{n}.k_cache"), bytes)?,
                v: executor.create_buffer(&format!("layers.{n}.v_cache"), bytes)?,
            })
        })
        .collect()
}

fn io_buffers(
    executor: &mut impl Buffers,
    arch: &Architecture,
    context: u32,
    chunk: u32,
    kv: Vec<KvBuffers>,
) -> Result<Io, Error> {
    let words = |n: u32| u64::from(n) * 4;
    Ok(Io {
        step: executor.create_buffer("step", 16)?,
        tokens: executor.create_buffer("tokens", words(chunk))?,
        sampling: executor.create_buffer("sampling", size_of::<SamplingParams>() as u64)?,
        history: executor.create_buffer("history", words(context + 1))?,
        results: executor.create_buffer("results", words(2 * RESULT_SLOTS))?,
        logits: executor.create_buffer("logits", words(arch.vocab) * u64::from(MAX_LOGIT_ROWS))?,
        found: executor.create_buffer("found", found_bytes(arch.vocab))?,
        sample_weights: executor.create_buffer("sample_weights", words(arch.vocab))?,
        kv,
    })
}

impl Scratch {
    const fn nowhere() -> Self {
        Self {
            x: NOWHERE,
            q: NOWHERE,
            rows: NOWHERE,
            qkv: NOWHERE,
            q_rotated: NOWHERE,
            partials: NOWHERE,
            attn: NOWHERE,
            inner: NOWHERE,
            normed: NOWHERE,
            rope: NOWHERE,
            dummy: NOWHERE,
        }
    }

    fn allocate(
        executor: &mut impl Buffers,
        arch: &Architecture,
        tile: u32,
        context: u32,
        chunk: u32,
    ) -> Result<Self, Error> {
        let heads = arch.heads * arch.head_dim;
        let widest = arch.hidden.max(heads).max(arch.ffn);
        let per_token = |n: u32| u64::from(chunk) * u64::from(n) * 4;
        let partials = Attention {
            heads: arch.heads,
            kv_heads: arch.kv_heads,
            head_dim: arch.head_dim,
            context,
            kv: KvType::default(),
            max_tokens: 1,
        }
        .partials_bytes();
        let qkv = pad_rows(heads, tile) + 2 * pad_rows(arch.kv_heads * arch.head_dim, tile);
        Ok(Self {
            x: executor.create_buffer("x", per_token(arch.hidden))?,
            q: executor
                .create_buffer("q", u64::from(chunk) * padded_cols(widest as usize) as u64)?,
            rows: executor.create_buffer("rows", per_token(2))?,
            qkv: executor.create_buffer("qkv", per_token(qkv))?,
            q_rotated: executor.create_buffer("q_rotated", per_token(heads))?,
            partials: executor.create_buffer("partials", partials)?,
            attn: executor.create_buffer("attn", per_token(heads))?,
            inner: executor.create_buffer("inner", per_token(arch.ffn))?,
            normed: executor.create_buffer(
                "normed",
                u64::from(MAX_LOGIT_ROWS) * u64::from(arch.hidden) * 4,
            )?,
            rope: executor
                .create_buffer("rope", u64::from(context) * u64::from(arch.head_dim) * 4)?,
            dummy: executor.create_buffer("dummy", 16)?,
        })
    }
}

fn pad_rows(n: u32, tile: u32) -> u32 {
    u32::try_from(padded_rows(n as usize, tile as usize))
        .expect("the manifest was validated: sizes fit u32")
}

fn pad_cols(n: u32) -> u32 {
    u32::try_from(padded_cols(n as usize)).expect("the manifest was validated: sizes fit u32")
}
