//! Norm, quantisation and ternary product of one row in one dispatch (`shaders/norm_gemv.wgsl`).

use super::attention_combine::pieces;
use super::norm_quantize::row_sizes;
use super::{
    ATTENTION_CHUNK, Access, Attention, BufferId, CHUNKS_PER_GROUP, CHUNKS_PER_PAIR, Epilogue, Op,
    Reach, Sharing, Step, TernaryGemv, Tuning, at_least, grid_2d, multiple,
};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference;
use crate::shader::Kernel;

/// Quads of columns that an invocation may keep in registers.
pub(crate) const MAX_STEPS: u32 = 16;

/// The row is what attention has left, in parts of one group at most, that are merged when they are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Query heads.
    pub heads: u32,
    /// Elements of a head, a multiple of 4.
    pub head_dim: u32,
    /// Positions of the cache.
    pub context: u32,
    /// Whether the parts are pairs of chunks.
    pub pairs: bool,
}

impl Merged {
    fn attention(&self) -> Attention {
        Attention::in_parts(self.heads, self.head_dim, self.context)
    }

    fn row(&self, partials: &[f32], step: &Step) -> Vec<f32> {
        let attention = self.attention();
        let (head_dim, len) = (self.head_dim as usize, attention.partial_len());
        let n_chunks = attention.n_chunks();
        let used = (step.pos / ATTENTION_CHUNK + 1).min(n_chunks);
        let used = used.div_ceil(CHUNKS_PER_PAIR / pieces(self.pairs)) as usize;
        let mut row = vec![0.0; self.heads as usize * head_dim];
        let heads = partials.chunks_exact(n_chunks as usize * len);
        for (parts, out) in heads.zip(row.chunks_exact_mut(head_dim)) {
            reference::attention_combine(&parts[..used * len], self.pairs, out);
        }
        row
    }
}

/// Buffers: `w`, `gamma`, `x` (or the partials of [`Merged`]), `gain`, `y`.
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
    /// What the row is merged of, unless it lies there as it is.
    pub merged: Option<Merged>,
    /// The positions at which it runs: the short ones, where it merges and the context has more than a group of chunks.
    pub reach: Reach,
}

impl NormGemv {
    /// Whether a device with this much workgroup memory can quantise such a row in a workgroup of such a product: what becomes of
    /// it, its rows (they matter where it is added), and the columns.
    #[must_use]
    pub fn fits(
        (epilogue, n_rows, k_padded): (Epilogue, u32, u32),
        tuning: &Tuning,
        workgroup_bytes: u32,
    ) -> bool {
        let sharing = tuning.shares.of_fused(epilogue, n_rows, k_padded);
        let [(_, steps), (_, blocks), ..] = row_sizes(k_padded, sharing.workgroup, tuning);
        // What row_totals and reduce take, whichever of their rivals is linked in.
        let shared = 4 * (32 * blocks + 2 * 32 * 32 + 1);
        let subgroup = 4 * (4 * 9 * blocks + 9 * 32 + 256);
        let totals = shared.max(subgroup);
        // The codes, the sums of each row of an invocation, and of a second matrix one a row at least. Devices may start each of
        // seven variables at a multiple of 16 bytes.
        let up = match epilogue.n_matrices() {
            1 => sharing.rows_per_workgroup(),
            _ => sharing.workgroup * sharing.rows,
        };
        let sums = 4 * (sharing.workgroup * sharing.rows + up) + 7 * 16;
        let own = k_padded.saturating_add(sums);
        own.saturating_add(totals) <= workgroup_bytes && steps <= MAX_STEPS
    }

    fn sharing(&self, tuning: &Tuning) -> Sharing {
        let product = &self.product;
        tuning
            .shares
            .of_fused(product.epilogue, product.n_rows, product.k_padded)
    }
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
            Access::ReadWrite,
        ]
    }

    fn params(&self) -> Vec<u8> {
        // All of them are constants: a uniform would be waited for.
        Vec::new()
    }

    fn constants(&self, tuning: &Tuning) -> Vec<(&'static str, f64)> {
        let mut constants = self.product.layout_constants();
        constants.extend([
            ("WG", f64::from(self.sharing(tuning).workgroup)),
            ("NORM", f64::from(u8::from(self.norm))),
            ("EPS", f64::from(self.eps)),
            ("WIDTH", f64::from(self.width)),
        ]);
        if let Some(merged) = &self.merged {
            constants.extend([
                ("MERGE", 1.0),
                ("N_CHUNKS", f64::from(merged.attention().n_chunks())),
            ]);
        }
        constants
    }

    fn sizes(&self, tuning: &Tuning) -> Vec<(&'static str, u32)> {
        let sharing = self.sharing(tuning);
        let mut sizes = row_sizes(self.product.k_padded, sharing.workgroup, tuning).to_vec();
        sizes.extend(self.product.sharing_sizes(&sharing));
        if let Some(merged) = &self.merged {
            let quads = merged.head_dim / 4;
            sizes.extend([
                ("HEAD_QUADS", quads),
                ("PIECES", pieces(merged.pairs)),
                ("PART", quads + 1),
            ]);
        }
        sizes
    }

    fn grid(&self, step: &Step, tuning: &Tuning) -> [u32; 3] {
        if !self.reach.has(step, tuning) {
            return [0; 3];
        }
        let rows = self.sharing(tuning).rows_per_workgroup();
        let [x, y] = grid_2d(self.product.n_rows.div_ceil(rows));
        [x, y, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "norm_gemv";
        let width = u64::from(self.width);
        multiple(OP, "width", 4, width)?;
        at_least(OP, "k_padded", width, u64::from(self.product.k_padded))?;
        match &self.merged {
            None => at_least(OP, "x bytes", width * 4, sizes[2])?,
            Some(merged) => {
                multiple(OP, "head_dim", 4, u64::from(merged.head_dim))?;
                // More than a group would be merged in another order than prefill has.
                if self.reach != Reach::Short {
                    let most = u64::from(ATTENTION_CHUNK * CHUNKS_PER_GROUP);
                    at_least(
                        OP,
                        "positions that are merged",
                        u64::from(merged.context),
                        most,
                    )?;
                }
                let merged_width = u64::from(merged.heads) * u64::from(merged.head_dim);
                if merged_width != width {
                    return Err(Error::Shape {
                        op: OP,
                        what: "width of the merged heads",
                        expected: width,
                        got: merged_width,
                    });
                }
                at_least(
                    OP,
                    "partials bytes",
                    merged.attention().partials_bytes(),
                    sizes[2],
                )?;
            }
        }
        if self.norm {
            at_least(OP, "gain bytes", width * 4, sizes[3])?;
        }
        let (k_padded, y_bytes) = (u64::from(self.product.k_padded), sizes[4]);
        // The quantised row never leaves the workgroup.
        self.product
            .check_for(OP, 1, &[sizes[0], sizes[1], k_padded, 8, y_bytes])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let width = self.width as usize;
        let mut y = memory.take(buffers[4]);
        let x = match &self.merged {
            None => memory.f32(buffers[2])[..width].to_vec(),
            Some(merged) => merged.row(memory.f32(buffers[2]), step),
        };
        let matrix = self.product.matrix(memory, buffers);
        let gain = self.norm.then(|| &memory.f32(buffers[3])[..width]);
        let out = &mut bytemuck::cast_slice_mut(&mut y)[..matrix.n_rows];
        reference::norm_gemv(&x, gain, self.eps, &matrix, self.product.epilogue, out);
        memory.put(buffers[4], y);
    }

    fn bytes(&self, step: &Step) -> u64 {
        let rows = 1 + u64::from(self.norm);
        self.product.bytes(step) - u64::from(self.product.k_padded)
            + u64::from(self.width) * 4 * rows
    }
}
