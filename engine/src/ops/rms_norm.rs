//! Final norm of the rows whose logits are wanted (`shaders/rms_norm.wgsl`).

use super::{Access, BufferId, Op, Step, Tuning, at_least, multiple};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;

/// Invocations of a workgroup.
const WORKGROUP: u32 = 256;

/// Buffers: `x`, `gain`, `y`.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    /// Elements of a row, a multiple of 4.
    pub width: u32,
    /// Epsilon of the norm.
    pub eps: f32,
    /// Largest number of tokens in a run.
    pub max_tokens: u32,
    /// Largest number of rows whose logits are wanted.
    pub max_logits: u32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    width: u32,
    eps: f32,
    pad: [u32; 2],
}

impl Op for RmsNorm {
    fn kernel(&self) -> Kernel {
        Kernel::RmsNorm
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::ReadWrite]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&Params {
            width: self.width,
            eps: self.eps,
            pad: [0; 2],
        })
        .to_vec()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn sizes(&self, _: &Tuning) -> Vec<(&'static str, u32)> {
        vec![("STEPS", (self.width / 4).div_ceil(WORKGROUP))]
    }

    fn grid(&self, step: &Step, _: &Tuning) -> [u32; 3] {
        [step.n_logits, 1, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "rms_norm";
        let width = u64::from(self.width);
        multiple(OP, "width", 4, width)?;
        at_least(
            OP,
            "x bytes",
            u64::from(self.max_tokens) * width * 4,
            sizes[0],
        )?;
        at_least(OP, "gain bytes", width * 4, sizes[1])?;
        at_least(
            OP,
            "y bytes",
            u64::from(self.max_logits) * width * 4,
            sizes[2],
        )
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let width = self.width as usize;
        let mut y = memory.take(buffers[2]);
        for r in 0..step.n_logits as usize {
            let source = (step.logit_row as usize + r) * width;
            let x = &memory.f32(buffers[0])[source..source + width];
            let out = &mut bytemuck::cast_slice_mut(&mut y)[r * width..(r + 1) * width];
            reference::rms_norm(x, &memory.f32(buffers[1])[..width], self.eps, out);
        }
        memory.put(buffers[2], y);
    }

    fn bytes(&self, step: &Step) -> u64 {
        u64::from(step.n_logits) * u64::from(self.width) * 8
    }
}
