//! What is swept: matrices of published models, and every way to lay threads over a tile of rows.

use serde::Serialize;

/// One ternary matrix of a model, fused as the engine fuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// Model shape that it belongs to.
    pub shape: &'static str,
    /// Which product it is.
    pub name: &'static str,
    /// Rows (outputs).
    pub n_rows: u32,
    /// Columns (inputs), a multiple of 64.
    pub n_cols: u32,
}

impl Matrix {
    const fn new(shape: &'static str, name: &'static str, n_rows: u32, n_cols: u32) -> Self {
        Self {
            shape,
            name,
            n_rows,
            n_cols,
        }
    }

    /// Quads (64 codes) of a row.
    #[must_use]
    pub const fn n_quads(&self) -> u32 {
        self.n_cols / 64
    }

    /// Bytes of one copy in B2.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.n_rows as u64 * self.n_cols as u64 / 4
    }
}

/// The matrices of one layer of the 2B-4T, 3B and 8B models.
pub const MATRICES: [Matrix; 12] = [
    Matrix::new("2b-4t", "qkv", 3840, 2560),
    Matrix::new("2b-4t", "o", 2560, 2560),
    Matrix::new("2b-4t", "gate_up", 13824, 2560),
    Matrix::new("2b-4t", "down", 2560, 6912),
    Matrix::new("3b", "qkv", 9600, 3200),
    Matrix::new("3b", "o", 3200, 3200),
    Matrix::new("3b", "gate_up", 17280, 3200),
    Matrix::new("3b", "down", 3200, 8640),
    Matrix::new("llama3-8b", "qkv", 6144, 4096),
    Matrix::new("llama3-8b", "o", 4096, 4096),
    Matrix::new("llama3-8b", "gate_up", 28672, 4096),
    Matrix::new("llama3-8b", "down", 4096, 14336),
];

/// Small matrices that a software adapter can sweep in seconds; they check the kernels, their times mean nothing.
pub const TINY_MATRICES: [Matrix; 2] = [
    Matrix::new("tiny", "wide", 192, 320),
    Matrix::new("tiny", "tall", 64, 832),
];

/// Row interleavings that are tried.
pub const TILES: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

/// How neighbouring threads of a workgroup are laid over a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mapping {
    /// Neighbours take neighbouring quads of a row; the rows of a thread are adjacent.
    Columns,
    /// Neighbours take neighbouring quads of a row; the rows of a thread are `lanes` apart.
    ColumnsStrided,
    /// Neighbours take neighbouring rows of one quad column.
    Rows,
}

/// Int8 dot product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dot {
    /// `dot4I8Packed`.
    Packed,
    /// Lanes unpacked to i32.
    Scalar,
    /// Codes put into f32 mantissas, f32 fma.
    Float,
}

/// One point of the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Kernel {
    /// Rows interleaved in the pack.
    pub rows_per_tile: u32,
    /// Thread order.
    pub mapping: Mapping,
    /// Threads along rows.
    pub lanes: u32,
    /// Threads along the columns of a row.
    pub slices: u32,
    /// Rows of a thread.
    pub rows_per_thread: u32,
    /// Quads of a row that a thread loads before it uses them; more than one only with one row a thread.
    pub unroll: u32,
    /// Activations copied to workgroup memory first.
    pub staged: bool,
    /// Subgroup shuffles before workgroup memory.
    pub subgroup: bool,
    /// Dot product.
    pub dot: Dot,
}

impl Kernel {
    /// Threads of a workgroup.
    #[must_use]
    pub const fn workgroup(&self) -> u32 {
        self.lanes * self.slices
    }

    /// Rows of a workgroup.
    #[must_use]
    pub const fn rows_per_workgroup(&self) -> u32 {
        self.lanes * self.rows_per_thread
    }

    /// Whether a subgroup of `subgroup_size` can fold any partial sums of this kernel.
    #[must_use]
    pub fn can_shuffle(&self, subgroup_size: u32) -> bool {
        self.lanes.is_power_of_two()
            && self.slices.is_power_of_two()
            && self.slices > 1
            && self.folded(subgroup_size) > 1
    }

    /// Partial sums of a row that lie in one subgroup.
    fn folded(&self, subgroup_size: u32) -> u32 {
        match self.mapping {
            Mapping::Rows => (subgroup_size / self.lanes).clamp(1, self.slices),
            Mapping::Columns | Mapping::ColumnsStrided => subgroup_size.min(self.slices),
        }
    }

    /// The override numbers of the shader for a matrix of `n_cols` columns.
    pub(super) fn constants(&self, subgroup_size: u32, n_cols: u32) -> Vec<(&'static str, f64)> {
        let folded = if self.subgroup {
            self.folded(subgroup_size)
        } else {
            1
        };
        let groups = self.slices / folded;
        let mut constants = vec![
            ("TILE", self.rows_per_tile),
            ("LANES", self.lanes),
            ("SLICES", self.slices),
            ("ROWS", self.rows_per_thread),
            ("ROW_FASTEST", u32::from(self.mapping == Mapping::Rows)),
            ("ADJACENT", u32::from(self.mapping == Mapping::Columns)),
            ("WG", self.workgroup()),
            ("GROUPS", groups),
            ("UNROLL", self.unroll),
            ("PARTIALS", groups * self.rows_per_workgroup()),
        ];
        if self.subgroup {
            let first = if self.mapping == Mapping::Rows {
                self.lanes
            } else {
                1
            };
            constants.extend([("SHUFFLE_FIRST", first), ("SHUFFLE_END", first * folded)]);
        }
        if self.staged {
            constants.push(("ACT_LEN", n_cols / 16));
        }
        constants
            .into_iter()
            .map(|(name, value)| (name, f64::from(value)))
            .collect()
    }
}

/// First round: every thread layout for one interleaving, activations from storage, packed dot, the cheaper reduction.
pub(super) fn first_round(rows_per_tile: u32, subgroup_size: Option<u32>) -> Vec<Kernel> {
    let mut kernels = Vec::new();
    let mut add = |mapping, lanes: u32, slices: u32, rows_per_thread: u32| {
        let mut kernel = Kernel {
            rows_per_tile,
            mapping,
            lanes,
            slices,
            rows_per_thread,
            unroll: 1,
            staged: false,
            subgroup: false,
            dot: Dot::Packed,
        };
        // Every matrix has a multiple of 64 rows, so no workgroup hangs over the end.
        if lanes > 0 && slices > 0 && kernel.rows_per_workgroup() <= 64 {
            kernel.subgroup = mapping != Mapping::Rows
                && subgroup_size.is_some_and(|size| kernel.can_shuffle(size));
            kernels.push(kernel);
        }
    };
    for workgroup in [32, 64, 128, 256] {
        for slices in [4, 8, 16, 32, 64] {
            for rows in [1, 2, 4, 8]
                .into_iter()
                .filter(|rows| *rows <= rows_per_tile)
            {
                add(Mapping::Columns, workgroup / slices, slices, rows);
            }
            for rows in [2, 4] {
                add(Mapping::ColumnsStrided, workgroup / slices, slices, rows);
            }
        }
        for lanes in [4, 8, 16, 32, 64]
            .into_iter()
            .filter(|lanes| *lanes <= rows_per_tile.max(4))
        {
            for rows in [1, 2, 4] {
                add(Mapping::Rows, lanes, workgroup / lanes, rows);
            }
        }
    }
    // The rows of the common models have 40, 50, 64, 108 or 135 quads: slices that divide some of them.
    for rows in [1, 2] {
        for (lanes, slices) in [(4, 20), (4, 40), (8, 20), (16, 5), (16, 10), (32, 5)] {
            if lanes <= rows_per_tile.max(4) {
                add(Mapping::Rows, lanes, slices, rows);
            }
        }
    }
    kernels.sort_unstable();
    kernels.dedup();
    kernels
}

/// Second round: a finalist with both activation sources, both reductions, all dot products and more loads in flight.
pub(super) fn variations(kernel: Kernel, subgroup_size: Option<u32>) -> Vec<Kernel> {
    let can_shuffle = subgroup_size.is_some_and(|size| kernel.can_shuffle(size));
    let mut kernels = Vec::new();
    for subgroup in [false, true]
        .into_iter()
        .filter(|subgroup| !subgroup || can_shuffle)
    {
        for dot in [Dot::Packed, Dot::Scalar, Dot::Float] {
            kernels.push(Kernel {
                subgroup,
                dot,
                ..kernel
            });
        }
        // Without a packed dot product the unpacking of activations costs, and several rows of a thread share it.
        if kernel.mapping == Mapping::Rows {
            for dot in [Dot::Scalar, Dot::Float] {
                kernels.extend([1, 2, 4].map(|rows_per_thread| Kernel {
                    subgroup,
                    dot,
                    rows_per_thread,
                    ..kernel
                }));
            }
        }
        kernels.push(Kernel {
            subgroup,
            staged: true,
            ..kernel
        });
        if kernel.rows_per_thread == 1 {
            kernels.extend([2, 4].map(|unroll| Kernel {
                subgroup,
                unroll,
                ..kernel
            }));
        }
    }
    kernels.retain(|kernel| kernel.rows_per_workgroup() <= 64);
    kernels
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_matrix_fits_every_kernel_without_a_rest() {
        for matrix in MATRICES.iter().chain(&TINY_MATRICES) {
            assert_eq!(matrix.n_cols % 64, 0, "{matrix:?}");
            for rows_per_tile in TILES {
                assert_eq!(matrix.n_rows % rows_per_tile, 0, "{matrix:?}");
                for kernel in first_round(rows_per_tile, Some(32)) {
                    assert_eq!(
                        matrix.n_rows % kernel.rows_per_workgroup(),
                        0,
                        "{matrix:?} {kernel:?}"
                    );
                    assert!(kernel.workgroup() <= 256, "{kernel:?}");
                }
            }
        }
    }

    #[test]
    fn shuffles_leave_whole_groups() {
        let kernel = *first_round(8, Some(32))
            .iter()
            .find(|k| k.mapping == Mapping::Rows && k.slices == 8 && k.lanes == 8)
            .unwrap();
        let constants = Kernel {
            subgroup: true,
            ..kernel
        }
        .constants(32, 320);
        let get = |name: &str| constants.iter().find(|(n, _)| *n == name).unwrap().1;
        assert_eq!(
            (get("GROUPS"), get("SHUFFLE_FIRST"), get("SHUFFLE_END")),
            (2.0, 8.0, 32.0)
        );
    }
}
