//! Norm, quantisation and ternary product of one row in one dispatch (`shaders/norm_gemv.wgsl`).

use super::{Access, BufferId, Op, Step, TernaryGemv, Tuning, at_least, grid_2d, multiple};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;

/// Invocations of a workgroup: as many as norm_quantize has, since the order of the norm's sum depends on it.
const WORKGROUP: u32 = 256;

/// Vectors of four columns that an invocation may keep in registers.
const MAX_STEPS: u32 = 16;

/// Quads of a matrix that an invocation may load ahead.
const MAX_AHEAD: u32 = 4;

/// Workgroup memory of the reductions, in bytes: 272 words in `lib/sum.wgsl`, 328 in `lib/reduce_subgroup.wgsl`, fewer in
/// `lib/reduce_shared.wgsl`.
const REDUCE_BYTES: u32 = 4 * (272 + 328);

/// Buffers: `w`, `gamma`, `x`, `delta`, `gain`, `x_out`, `y`. Without `add_delta`, `x_out` is not written.
#[derive(Debug, Clone)]
pub struct NormGemv {
    /// The product.
    pub product: TernaryGemv,
    /// Elements of the row, a multiple of 4.
    pub width: u32,
    /// Epsilon of the norm.
    pub eps: f32,
    /// Whether the row is normalised before it is quantised.
    pub norm: bool,
    /// Whether `delta` is added to `x` first.
    pub add_delta: bool,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    product: [u32; 4],
    width: u32,
    eps: f32,
    pad: [u32; 2],
}

impl NormGemv {
    /// Whether a device with this much workgroup memory can quantise the row in a workgroup.
    #[must_use]
    pub fn fits(k_padded: u32, workgroup_bytes: u32) -> bool {
        k_padded.saturating_mul(2).saturating_add(REDUCE_BYTES) <= workgroup_bytes
            && steps(k_padded) <= MAX_STEPS
    }

    fn ahead(&self, tuning: &Tuning) -> u32 {
        let quads = self.product.k_padded / 64;
        quads.div_ceil(self.product.slices(tuning)).min(MAX_AHEAD)
    }
}

/// Vectors of four columns of an invocation.
fn steps(k_padded: u32) -> u32 {
    (k_padded / 4).div_ceil(WORKGROUP)
}

impl Op for NormGemv {
    fn kernel(&self) -> Kernel {
        Kernel::NormGemv
    }

    fn access(&self) -> &'static [Access] {
        &[
            Access::Read,
            Access::Read,
            Access::Read,
            Access::Read,
            Access::Read,
            Access::ReadWrite,
            Access::ReadWrite,
        ]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&Params {
            product: self.product.params_words(),
            width: self.width,
            eps: self.eps,
            pad: [0; 2],
        })
        .to_vec()
    }

    fn constants(&self, tuning: &Tuning) -> Vec<(&'static str, f64)> {
        vec![
            ("WG", f64::from(WORKGROUP)),
            ("SLICES", f64::from(self.product.slices(tuning))),
            ("R", f64::from(self.product.rows_per_tile)),
            ("EPILOGUE", f64::from(self.product.epilogue.code())),
            ("NORM", f64::from(u8::from(self.norm))),
            ("ADD_DELTA", f64::from(u8::from(self.add_delta))),
            ("Q_WORDS", f64::from(self.product.k_padded / 4)),
            ("Q_QUADS", f64::from(self.product.k_padded / 64)),
        ]
    }

    fn sizes(&self, tuning: &Tuning) -> Vec<(&'static str, u32)> {
        vec![
            ("STEPS", steps(self.product.k_padded)),
            ("AHEAD", self.ahead(tuning)),
        ]
    }

    fn grid(&self, _: &Step, tuning: &Tuning) -> [u32; 3] {
        let rows_per_group = WORKGROUP / self.product.slices(tuning);
        let [x, y] = grid_2d(self.product.n_rows.div_ceil(rows_per_group));
        [x, y, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "norm_gemv";
        let width = u64::from(self.width);
        multiple(OP, "width", 4, width)?;
        at_least(OP, "k_padded", width, u64::from(self.product.k_padded))?;
        at_least(OP, "x bytes", width * 4, sizes[2])?;
        if self.add_delta {
            at_least(OP, "delta bytes", width * 4, sizes[3])?;
            at_least(OP, "x_out bytes", width * 4, sizes[5])?;
        }
        if self.norm {
            at_least(OP, "gain bytes", width * 4, sizes[4])?;
        }
        let (k_padded, y_bytes) = (u64::from(self.product.k_padded), sizes[6]);
        // The quantised row never leaves the workgroup.
        self.product
            .check_for(OP, 1, &[sizes[0], sizes[1], k_padded, 8, y_bytes])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], _: &Step) {
        let width = self.width as usize;
        let mut x = memory.f32(buffers[2])[..width].to_vec();
        if self.add_delta {
            let delta = &memory.f32(buffers[3])[..width];
            x.iter_mut().zip(delta).for_each(|(x, d)| *x += d);
            let mut x_out = memory.take(buffers[5]);
            x_out[..width].copy_from_slice(bytemuck::cast_slice(&x));
            memory.put(buffers[5], x_out);
        }
        let mut y = memory.take(buffers[6]);
        let matrix = self.product.matrix(memory, buffers);
        let gain = self.norm.then(|| &memory.f32(buffers[4])[..width]);
        let out = &mut bytemuck::cast_slice_mut(&mut y)[..matrix.n_rows];
        reference::norm_gemv(&x, gain, self.eps, &matrix, self.product.epilogue, out);
        memory.put(buffers[6], y);
    }

    fn bytes(&self, step: &Step) -> u64 {
        let rows = 1 + u64::from(self.norm) + 2 * u64::from(self.add_delta);
        self.product.bytes(step) - u64::from(self.product.k_padded)
            + u64::from(self.width) * 4 * rows
    }
}
