//! RMSNorm and int8 quantisation (`shaders/norm_quantize.wgsl`).

use super::{Access, BufferId, Op, Step, Tuning, at_least, multiple};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;

/// Invocations of a workgroup.
const WORKGROUP: u32 = 256;

/// Columns of a block of `lib/row_totals_*.wgsl`.
const BLOCK: u32 = 512;

/// Quads of an invocation, blocks of 128 quads and their quarters, of a row that `workgroup` invocations quantise.
pub(super) fn row_sizes(
    k_padded: u32,
    workgroup: u32,
    tuning: &Tuning,
) -> [(&'static str, u32); 4] {
    let blocks = k_padded.div_ceil(BLOCK).max(1);
    [
        // Every quarter of every block has invocations that write its sum.
        ("ROW_STEPS", (blocks * BLOCK / 4).div_ceil(workgroup)),
        ("ROW_BLOCKS", blocks),
        ("ROW_UNITS", 4 * blocks),
        ("LANES", tuning.subgroup_lanes),
    ]
}

/// Buffers: `x`, `gain`, `q`, `rows`.
#[derive(Debug, Clone)]
pub struct NormQuantize {
    /// Elements of a row, a multiple of 4.
    pub width: u32,
    /// Elements of a quantised row, `width` padded with zeros to a multiple of 64.
    pub k_padded: u32,
    /// Epsilon of the norm.
    pub eps: f32,
    /// Whether the row is normalised before it is quantised.
    pub norm: bool,
    /// Largest number of tokens in a run.
    pub max_tokens: u32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    width: u32,
    k_padded: u32,
    eps: f32,
    pad: u32,
}

impl Op for NormQuantize {
    fn kernel(&self) -> Kernel {
        Kernel::NormQuantize
    }

    fn access(&self) -> &'static [Access] {
        &[
            Access::Read,
            Access::Read,
            Access::ReadWrite,
            Access::ReadWrite,
        ]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&Params {
            width: self.width,
            k_padded: self.k_padded,
            eps: self.eps,
            pad: 0,
        })
        .to_vec()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        vec![
            ("WG", f64::from(WORKGROUP)),
            ("NORM", f64::from(u8::from(self.norm))),
        ]
    }

    fn sizes(&self, tuning: &Tuning) -> Vec<(&'static str, u32)> {
        row_sizes(self.k_padded, WORKGROUP, tuning).to_vec()
    }

    fn grid(&self, step: &Step, _: &Tuning) -> [u32; 3] {
        [step.n_tokens, 1, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "norm_quantize";
        let (width, tokens) = (u64::from(self.width), u64::from(self.max_tokens));
        multiple(OP, "width", 4, width)?;
        multiple(OP, "k_padded", 64, u64::from(self.k_padded))?;
        at_least(OP, "k_padded", width, u64::from(self.k_padded))?;
        at_least(OP, "x bytes", tokens * width * 4, sizes[0])?;
        if self.norm {
            at_least(OP, "gain bytes", width * 4, sizes[1])?;
        }
        at_least(OP, "q bytes", tokens * u64::from(self.k_padded), sizes[2])?;
        at_least(OP, "rows bytes", tokens * 8, sizes[3])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let (width, k_padded) = (self.width as usize, self.k_padded as usize);
        let mut q = memory.take(buffers[2]);
        let mut rows = memory.take(buffers[3]);
        for t in 0..step.n_tokens as usize {
            let row = &memory.f32(buffers[0])[t * width..(t + 1) * width];
            let gain = self.norm.then(|| &memory.f32(buffers[1])[..width]);
            let q: &mut [i8] =
                &mut bytemuck::cast_slice_mut(&mut q)[t * k_padded..(t + 1) * k_padded];
            let scale = reference::norm_quantize(row, gain, self.eps, q);
            rows[2 * t] = scale.amax.to_bits();
            rows[2 * t + 1] = scale.sum_q.cast_unsigned();
        }
        memory.put(buffers[2], q);
        memory.put(buffers[3], rows);
    }

    fn bytes(&self, step: &Step) -> u64 {
        u64::from(step.n_tokens) * (u64::from(self.width) * 4 + u64::from(self.k_padded))
    }
}
