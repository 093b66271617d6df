//! Embedding lookup (`shaders/embed.wgsl`).

use super::{Access, BufferId, Op, Step, Tuning, at_least, multiple};
use crate::Error;
use crate::exec::CpuMemory;
use crate::reference::{self, RowTable};
use crate::shader::{Choice, Kernel};
use crate::variant::Rows;

/// Invocations of a workgroup, `WG` in the shader; each writes eight columns.
const WORKGROUP: u32 = 64;

/// Buffers: `tokens`, `table`, `scales`, `x`.
///
/// A table above the binding limit is split by rows into parts with one dispatch each: a token outside
/// `first_row..first_row + n_rows` leaves its row of `x` alone.
#[derive(Debug, Clone)]
pub struct Embed {
    /// Elements of a row, a multiple of 4; the stored rows are padded to a multiple of 64.
    pub hidden: u32,
    /// Token of the part's first row.
    pub first_row: u32,
    /// Rows of the part.
    pub n_rows: u32,
    /// Storage type of the rows.
    pub rows: Rows,
    /// Columns that share a scale: 32 or 64 in [`Rows::Q6`], 32 in [`Rows::Q4`]. Not used otherwise.
    pub group: u32,
    /// Largest number of tokens in a run.
    pub max_tokens: u32,
}

/// Uniform of the kernels that read a [`Rows`] table.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct RowsParams {
    pub(super) hidden: u32,
    pub(super) first_row: u32,
    pub(super) n_rows: u32,
    pub(super) n_octets: u32,
    pub(super) scales_per_row: u32,
    pub(super) octets_per_scale: u32,
    pub(super) row_stride: u32,
    pub(super) pad: u32,
}

/// How one row of a table lies in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowLayout {
    pub(super) padded: u32,
    pub(super) words: u32,
    pub(super) scales: u32,
}

impl RowLayout {
    pub(super) fn new(hidden: u32, rows: Rows, group: u32) -> Self {
        let padded = hidden.next_multiple_of(64);
        let (words, scales) = match rows {
            Rows::F16 => (padded / 2, 0),
            Rows::Q8 => (padded / 4, 1),
            Rows::Q6 => (padded / 32 * 6, padded / group.max(1)),
            Rows::Q4 => (padded / 8, padded / group.max(1)),
        };
        Self {
            padded,
            words,
            scales,
        }
    }

    /// Bytes of codes and scales of `n_rows` rows.
    pub(super) fn bytes(self, n_rows: u32) -> (u64, u64) {
        let n_rows = u64::from(n_rows);
        (
            n_rows * u64::from(self.words) * 4,
            n_rows * u64::from(self.scales) * 4,
        )
    }

    /// Fails unless the group is one that the format has and the buffers hold the part.
    pub(super) fn check(
        op: &'static str,
        (hidden, rows, group, n_rows): (u32, Rows, u32, u32),
        (table, scales): (u64, u64),
    ) -> Result<(), Error> {
        multiple(op, "hidden", 4, u64::from(hidden))?;
        if rows == Rows::Q6 && group != 32 && group != 64 {
            return Err(Error::Shape {
                op,
                what: "q6 group (or 32)",
                expected: 64,
                got: u64::from(group),
            });
        }
        if rows == Rows::Q4 && group != 32 {
            return Err(Error::Shape {
                op,
                what: "q4 group",
                expected: 32,
                got: u64::from(group),
            });
        }
        let (codes, factors) = Self::new(hidden, rows, group).bytes(n_rows);
        at_least(op, "table bytes", codes, table)?;
        at_least(op, "scales bytes", factors, scales)
    }
}

impl RowsParams {
    /// `row_stride` is the width of the kernel's other matrix: unused by `embed`, the vocabulary in `lm_head`.
    pub(super) fn new(
        layout: RowLayout,
        hidden: u32,
        first_row: u32,
        n_rows: u32,
        row_stride: u32,
    ) -> Self {
        Self {
            hidden,
            first_row,
            n_rows,
            n_octets: layout.padded / 8,
            scales_per_row: layout.scales,
            octets_per_scale: layout.padded / 8 / layout.scales.max(1),
            row_stride,
            pad: 0,
        }
    }
}

impl Embed {
    fn layout(&self) -> RowLayout {
        RowLayout::new(self.hidden, self.rows, self.group)
    }
}

impl Op for Embed {
    fn kernel(&self) -> Kernel {
        Kernel::Embed
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::ReadWrite]
    }

    fn params(&self) -> Vec<u8> {
        let params = RowsParams::new(self.layout(), self.hidden, self.first_row, self.n_rows, 0);
        bytemuck::bytes_of(&params).to_vec()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn grid(&self, step: &Step, _: &Tuning) -> [u32; 3] {
        [
            (self.layout().padded / 8).div_ceil(WORKGROUP),
            step.n_tokens,
            1,
        ]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        const OP: &str = "embed";
        RowLayout::check(
            OP,
            (self.hidden, self.rows, self.group, self.n_rows),
            (sizes[1], sizes[2]),
        )?;
        let tokens = u64::from(self.max_tokens);
        at_least(OP, "tokens bytes", tokens * 4, sizes[0])?;
        at_least(OP, "x bytes", tokens * u64::from(self.hidden) * 4, sizes[3])
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        let hidden = self.hidden as usize;
        let mut x = memory.take(buffers[3]);
        let table = RowTable {
            words: memory.u32(buffers[1]),
            scales: memory.f32(buffers[2]),
            rows: self.rows,
            hidden,
            group: self.group as usize,
        };
        let tokens = &memory.u32(buffers[0])[..step.n_tokens as usize];
        for (token, out) in tokens.iter().zip(x.chunks_exact_mut(hidden)) {
            if let Some(row) = token
                .checked_sub(self.first_row)
                .filter(|&row| row < self.n_rows)
            {
                reference::embed(&table, row as usize, bytemuck::cast_slice_mut(out));
            }
        }
        memory.put(buffers[3], x);
    }

    fn choice(&self, base: &Choice) -> Choice {
        Choice {
            rows: self.rows,
            ..*base
        }
    }

    fn bytes(&self, step: &Step) -> u64 {
        let (codes, scales) = self.layout().bytes(1);
        u64::from(step.n_tokens) * (codes + scales + u64::from(self.hidden) * 4)
    }
}
