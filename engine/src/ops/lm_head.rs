//! LM head: float rows times the head's rows (`shaders/lm_head.wgsl`).

use super::embed::{RowLayout, RowsParams};
use super::{Access, BufferId, Op, Step, Tuning, at_least, grid_2d};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference::{self, RowTable};
use crate::shader::{Choice, Kernel};
use crate::variant::Rows;

/// Head rows of a workgroup: `WG / LANES * TEAM_ROWS` in the shader.
const ROWS_PER_WORKGROUP: u32 = 8;

/// Buffers: `y`, `table`, `scales`, `logits`.
///
/// A head above the binding limit is split by rows into parts with one dispatch each, which write their columns of `logits`.
#[derive(Debug, Clone)]
pub struct LmHead {
    /// Elements of a row, a multiple of 4; the stored rows are padded to a multiple of 64.
    pub hidden: u32,
    /// Logits of a position: rows of all parts together.
    pub vocab: u32,
    /// Token of the part's first row.
    pub first_row: u32,
    /// Rows of the part.
    pub n_rows: u32,
    /// Storage type of the rows.
    pub rows: Rows,
    /// Columns that share a scale: 32 or 64 in [`Rows::Q6`], 32 in [`Rows::Q4`]. Not used otherwise.
    pub group: u32,
    /// Largest number of positions whose logits are wanted.
    pub max_logits: u32,
}

impl LmHead {
    fn layout(&self) -> RowLayout {
        RowLayout::new(self.hidden, self.rows, self.group)
    }
}

impl Op for LmHead {
    fn kernel(&self) -> Kernel {
        Kernel::LmHead
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::ReadWrite]
    }

    fn params(&self) -> Vec<u8> {
        let params = RowsParams::new(
            self.layout(),
            self.hidden,
            self.first_row,
            self.n_rows,
            self.vocab,
        );
        bytemuck::bytes_of(&params).to_vec()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn grid(&self, step: &Step, _: &Tuning) -> [u32; 3] {
        let [x, y] = grid_2d(self.n_rows.div_ceil(ROWS_PER_WORKGROUP));
        [x, y, step.n_logits]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "lm_head";
        RowLayout::check(
            OP,
            (self.hidden, self.rows, self.group, self.n_rows),
            (sizes[1], sizes[2]),
        )?;
        let end = u64::from(self.first_row) + u64::from(self.n_rows);
        at_least(OP, "vocab", end, u64::from(self.vocab))?;
        let logits = u64::from(self.max_logits);
        at_least(OP, "y bytes", logits * u64::from(self.hidden) * 4, sizes[0])?;
        at_least(
            OP,
            "logits bytes",
            logits * u64::from(self.vocab) * 4,
            sizes[3],
        )
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let (hidden, vocab) = (self.hidden as usize, self.vocab as usize);
        let mut logits = memory.take(buffers[3]);
        let table = RowTable {
            words: memory.u32(buffers[1]),
            scales: memory.f32(buffers[2]),
            rows: self.rows,
            hidden,
            group: self.group as usize,
        };
        let n_logits = step.n_logits as usize;
        let y = &memory.f32(buffers[0])[..n_logits * hidden];
        let part = self.first_row as usize..(self.first_row + self.n_rows) as usize;
        let out: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut logits)[..n_logits * vocab];
        reference::lm_head(&table, y, vocab, part, out);
        memory.put(buffers[3], logits);
    }

    fn choice(&self, base: &Choice) -> Choice {
        Choice {
            rows: self.rows,
            ..*base
        }
    }

    fn bytes(&self, step: &Step) -> u64 {
        let (codes, scales) = self.layout().bytes(self.n_rows);
        codes
            + scales
            + u64::from(step.n_logits) * (u64::from(self.hidden) + u64::from(self.n_rows)) * 4
    }
}
