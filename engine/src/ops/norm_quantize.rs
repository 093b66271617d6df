//! Residual add, RMSNorm and int8 quantisation (`shaders/norm_quantize.wgsl`).

use super::{Access, BufferId, Op, Step, Tuning, at_least, multiple};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;

/// Buffers: `x`, `delta`, `gain`, `q`, `rows`.
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
    /// Whether `delta` is added to `x` first.
    pub add_delta: bool,
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
            Access::ReadWrite,
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
            ("NORM", f64::from(u8::from(self.norm))),
            ("ADD_DELTA", f64::from(u8::from(self.add_delta))),
        ]
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
        if self.add_delta {
            at_least(OP, "delta bytes", tokens * width * 4, sizes[1])?;
        }
        if self.norm {
            at_least(OP, "gain bytes", width * 4, sizes[2])?;
        }
        at_least(OP, "q bytes", tokens * u64::from(self.k_padded), sizes[3])?;
        at_least(OP, "rows bytes", tokens * 8, sizes[4])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let (width, k_padded) = (self.width as usize, self.k_padded as usize);
        let mut x = memory.take(buffers[0]);
        let mut q = memory.take(buffers[3]);
        let mut rows = memory.take(buffers[4]);
        for t in 0..step.n_tokens as usize {
            let row: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut x)[t * width..(t + 1) * width];
            if self.add_delta {
                let delta = &memory.f32(buffers[1])[t * width..(t + 1) * width];
                row.iter_mut().zip(delta).for_each(|(x, d)| *x += d);
            }
            let gain = self.norm.then(|| &memory.f32(buffers[2])[..width]);
            let q: &mut [i8] =
                &mut bytemuck::cast_slice_mut(&mut q)[t * k_padded..(t + 1) * k_padded];
            let scale = reference::norm_quantize(row, gain, self.eps, q);
            rows[2 * t] = scale.amax.to_bits();
            rows[2 * t + 1] = scale.sum_q.cast_unsigned();
        }
        memory.put(buffers[0], x);
        memory.put(buffers[3], q);
        memory.put(buffers[4], rows);
    }

    fn bytes(&self, step: &Step) -> u64 {
        let moved = if self.add_delta { 3 } else { 1 };
        u64::from(step.n_tokens) * (u64::from(self.width) * 4 * moved + u64::from(self.k_padded))
    }
}
