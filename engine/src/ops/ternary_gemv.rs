//! Ternary matrix times one int8 row (`shaders/ternary_gemv.wgsl`).

use super::{Access, BufferId, Op, Sharing, Step, Tuning, at_least, grid_2d, multiple};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference::{self, TernaryMatrix};
use crate::shader::Kernel;

/// Quads of a matrix that an invocation may load ahead.
const MAX_AHEAD: u32 = 8;

/// What becomes of the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// They are stored.
    Store,
    /// They are added to what is there: the residual.
    Add,
    /// `relu(gate)^2 * up` is stored.
    Relu2,
    /// `silu(gate) * up` is stored.
    Silu,
}

impl Epilogue {
    /// Value of the kernel's `EPILOGUE` constant.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Store => 0,
            Self::Add => 1,
            Self::Relu2 => 2,
            Self::Silu => 3,
        }
    }

    /// Matrices that are read: two when gated.
    #[must_use]
    pub const fn n_matrices(self) -> u32 {
        if matches!(self, Self::Store | Self::Add) {
            1
        } else {
            2
        }
    }
}

/// Shape of the product. Buffers: `w`, `gamma`, `q`, `rows`, `y`.
#[derive(Debug, Clone)]
pub struct TernaryGemv {
    /// Outputs.
    pub n_rows: u32,
    /// Columns after padding, a multiple of 64.
    pub k_padded: u32,
    /// Rows interleaved in a tile.
    pub rows_per_tile: u32,
    /// What becomes of the products.
    pub epilogue: Epilogue,
}

impl TernaryGemv {
    /// Rows after padding to whole tiles.
    #[must_use]
    pub fn rows_padded(&self) -> u32 {
        self.n_rows.next_multiple_of(self.rows_per_tile)
    }

    /// Bytes of `w`.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        u64::from(self.rows_padded()) * u64::from(self.k_padded) / 4
            * u64::from(self.epilogue.n_matrices())
    }

    /// How a workgroup shares its rows.
    pub(super) fn sharing_sizes(&self, sharing: &Sharing) -> [(&'static str, u32); 7] {
        let quads = self.k_padded / 64;
        [
            ("SLICES", sharing.slices),
            (
                "UP_SLICES",
                if self.epilogue.n_matrices() == 2 {
                    sharing.slices
                } else {
                    1
                },
            ),
            ("EACH", sharing.rows),
            ("LANE_ROWS", sharing.lane_rows()),
            ("ROWS", sharing.rows_per_workgroup()),
            ("QUADS", quads),
            ("AHEAD", quads.div_ceil(sharing.slices).min(MAX_AHEAD)),
        ]
    }

    /// Where weights and results lie.
    pub(super) fn layout_constants(&self) -> Vec<(&'static str, f64)> {
        let [n_rows, _, up_offset, up_gamma] = self.params_words();
        vec![
            ("R", f64::from(self.rows_per_tile)),
            ("EPILOGUE", f64::from(self.epilogue.code())),
            ("N_ROWS", f64::from(n_rows)),
            ("UP_OFFSET", f64::from(up_offset)),
            ("UP_GAMMA", f64::from(up_gamma)),
        ]
    }

    /// `n_rows`, `n_quads`, `up_offset`, `up_gamma`.
    pub(super) fn params_words(&self) -> [u32; 4] {
        let n_quads = self.k_padded / 64;
        let up_gamma = self.rows_padded();
        [self.n_rows, n_quads, up_gamma * n_quads, up_gamma]
    }

    pub(super) fn params_bytes(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.params_words()).to_vec()
    }

    pub(super) fn check_for(
        &self,
        op: &'static str,
        max_tokens: u64,
        sizes: &[u64],
    ) -> Result<(), Error> {
        let k_padded = u64::from(self.k_padded);
        multiple(op, "k_padded", 64, k_padded)?;
        if !self.rows_per_tile.is_power_of_two() || self.rows_per_tile > 64 {
            let got = u64::from(self.rows_per_tile);
            return Err(Error::Shape {
                op,
                what: "rows_per_tile (a power of two)",
                expected: 64,
                got,
            });
        }
        at_least(op, "w bytes", self.weight_bytes(), sizes[0])?;
        let gammas = u64::from(self.rows_padded()) * u64::from(self.epilogue.n_matrices());
        at_least(op, "gamma bytes", gammas * 4, sizes[1])?;
        at_least(op, "q bytes", max_tokens * k_padded, sizes[2])?;
        at_least(op, "rows bytes", max_tokens * 8, sizes[3])?;
        at_least(
            op,
            "y bytes",
            max_tokens * u64::from(self.n_rows) * 4,
            sizes[4],
        )
    }

    /// The matrix as the reference takes it; the first two buffers are codes and multipliers.
    pub(super) fn matrix<'a>(
        &self,
        memory: &'a CpuMemory,
        buffers: &[BufferId],
    ) -> TernaryMatrix<'a> {
        TernaryMatrix {
            words: memory.u32(buffers[0]),
            gamma: memory.f32(buffers[1]),
            n_rows: self.n_rows as usize,
            k_padded: self.k_padded as usize,
            rows_per_tile: self.rows_per_tile as usize,
        }
    }

    pub(super) fn run_rows(&self, memory: &mut CpuMemory, buffers: &[BufferId], n_tokens: usize) {
        let mut y = memory.take(buffers[4]);
        let (n_rows, k_padded) = (self.n_rows as usize, self.k_padded as usize);
        let matrix = self.matrix(memory, buffers);
        for t in 0..n_tokens {
            let q: &[i8] =
                &bytemuck::cast_slice(memory.u32(buffers[2]))[t * k_padded..(t + 1) * k_padded];
            let rows = memory.u32(buffers[3]);
            let scale = reference::RowScale {
                amax: f32::from_bits(rows[2 * t]),
                sum_q: rows[2 * t + 1].cast_signed(),
            };
            let out = &mut bytemuck::cast_slice_mut(&mut y)[t * n_rows..(t + 1) * n_rows];
            reference::ternary_gemv(&matrix, q, scale, self.epilogue, out);
        }
        memory.put(buffers[4], y);
    }
}

impl Op for TernaryGemv {
    fn kernel(&self) -> Kernel {
        Kernel::TernaryGemv
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
        let mut constants = self.layout_constants();
        constants.push(("WG", f64::from(tuning.shares.of_gemv(self).workgroup)));
        constants
    }

    fn sizes(&self, tuning: &Tuning) -> Vec<(&'static str, u32)> {
        self.sharing_sizes(&tuning.shares.of_gemv(self)).to_vec()
    }

    fn grid(&self, _: &Step, tuning: &Tuning) -> [u32; 3] {
        let rows = tuning.shares.of_gemv(self).rows_per_workgroup();
        let [x, y] = grid_2d(self.n_rows.div_ceil(rows));
        [x, y, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        self.check_for("ternary_gemv", 1, sizes)
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], _: &Step) {
        self.run_rows(memory, buffers, 1);
    }

    fn bytes(&self, _: &Step) -> u64 {
        self.weight_bytes() + u64::from(self.k_padded) + u64::from(self.n_rows) * 4
    }
}
