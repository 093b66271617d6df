//! Operations: typed descriptions of one dispatch each. An op knows its kernel, checks its buffers, fills the kernel's
//! parameters, and runs its CPU reference. The same stem names the shader, the op, the reference and the test.

mod attention;
mod attention_combine;
mod attention_loop;
mod embed;
mod lm_head;
mod logit_scan;
mod norm_gemv;
mod norm_quantize;
mod rms_norm;
mod rope_attention;
mod rope_kv;
mod sample;
mod ternary_gemm;
mod ternary_gemv;

pub use attention::{ATTENTION_CHUNK, Attention, CHUNKS_PER_GROUP, CHUNKS_PER_PAIR};
pub use attention_combine::AttentionCombine;
pub use attention_loop::AttentionLoop;
pub use embed::Embed;
pub use lm_head::LmHead;
pub use logit_scan::{LOGIT_SEGMENT, LogitScan, found_bytes};
pub(crate) use norm_gemv::MAX_STEPS;
pub use norm_gemv::{Merged, NormGemv};
pub use norm_quantize::NormQuantize;
pub use rms_norm::RmsNorm;
pub use rope_attention::RopeAttention;
pub use rope_kv::{RopeKv, rope_table};
pub(crate) use rope_kv::{cache_bytes, cache_rows};
pub use sample::{REPETITION_WINDOW_MAX, RESULT_SLOTS, Sample, SamplingParams};
pub use ternary_gemm::{GEMM_ROWS, GEMM_TOKENS, TernaryGemm};
pub use ternary_gemv::{Epilogue, TernaryGemv};

pub use crate::tuning::{Reach, Shares, Sharing, Tuning};

use crate::Error;
use crate::exec::CpuMemory;
use crate::shader::{Choice, Kernel};

/// A buffer of an executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub(crate) u32);

/// The moving part of a run: what `lib/step.wgsl` calls `Step`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Step {
    /// Position of the first token of the run.
    pub pos: u32,
    /// Tokens in the run.
    pub n_tokens: u32,
    /// First row of the run whose logits are wanted.
    pub logit_row: u32,
    /// Number of rows whose logits are wanted.
    pub n_logits: u32,
}

/// How a kernel uses a storage binding. Bindings 0 (params) and 1 (step) are uniforms in every kernel but `sample`,
/// which advances the step and therefore has it as read-write storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// One dispatch: what to run, without buffers.
pub trait Op: std::fmt::Debug + Send + Sync {
    /// The kernel.
    fn kernel(&self) -> Kernel;
    /// Storage bindings from binding 2 on, in order.
    fn access(&self) -> &'static [Access];
    /// Contents of the params uniform, a multiple of 16 bytes; nothing where the kernel has none.
    fn params(&self) -> Vec<u8>;
    /// Values of the kernel's `override` constants.
    fn constants(&self, tuning: &Tuning) -> Vec<(&'static str, f64)>;
    /// Values of the constants that size arrays and unrolled loops in the kernel's text.
    fn sizes(&self, _: &Tuning) -> Vec<(&'static str, u32)> {
        Vec::new()
    }
    /// Workgroups of the dispatch; all zero to skip it. No dimension may exceed [`MAX_GRID`].
    fn grid(&self, step: &Step, tuning: &Tuning) -> [u32; 3];
    /// Checks dimensions and buffer sizes (in bytes, in binding order).
    ///
    /// # Errors
    /// [`Error::Shape`] naming the first that does not fit.
    fn check(&self, sizes: &[u64]) -> Result<(), Error>;
    /// Runs the reference on the buffers, in binding order. `buffers[i]` belongs to `access()[i]`.
    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step);
    /// Which shader text is linked, where it depends on more than the device.
    fn choice(&self, base: &Choice) -> Choice {
        *base
    }
    /// Bytes that a perfect implementation reads and writes in this run, for bandwidth reports.
    fn bytes(&self, step: &Step) -> u64;
}

/// WebGPU's default limit of workgroups per dimension.
pub const MAX_GRID: u32 = 65_535;

/// Splits a one-dimensional count of workgroups over x and y within [`MAX_GRID`]; kernels rebuild the index as
/// `x + y * num_workgroups.x` and ignore the surplus.
#[must_use]
pub fn grid_2d(n_groups: u32) -> [u32; 2] {
    if n_groups <= MAX_GRID {
        [n_groups, 1]
    } else {
        let y = n_groups.div_ceil(MAX_GRID);
        [n_groups.div_ceil(y), y]
    }
}

/// Fails unless a buffer holds at least `needed` bytes.
pub(crate) fn at_least(
    op: &'static str,
    what: &'static str,
    needed: u64,
    got: u64,
) -> Result<(), Error> {
    if got < needed {
        return Err(Error::Shape {
            op,
            what,
            expected: needed,
            got,
        });
    }
    Ok(())
}

/// Fails unless `got` is a multiple of `of`.
pub(crate) fn multiple(
    op: &'static str,
    what: &'static str,
    of: u64,
    got: u64,
) -> Result<(), Error> {
    if of == 0 || !got.is_multiple_of(of) || got == 0 {
        return Err(Error::Shape {
            op,
            what,
            expected: of,
            got,
        });
    }
    Ok(())
}
