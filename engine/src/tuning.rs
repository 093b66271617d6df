//! Workgroup sizes and tiles that are tuned per device. Every choice gives the same bits.

use crate::ops::{ATTENTION_CHUNK, CHUNKS_PER_GROUP, Epilogue, MAX_STEPS, Step, TernaryGemv};

/// How the rows of a ternary product are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sharing {
    /// Invocations of a workgroup.
    pub workgroup: u32,
    /// Invocations that share a row, and split its quads of 64 columns.
    pub slices: u32,
    /// Rows of an invocation: what it multiplies with is loaded once for all of them.
    pub rows: u32,
}

impl Sharing {
    /// What every device allows.
    pub const PLAIN: Self = Self {
        workgroup: 256,
        slices: 16,
        rows: 1,
    };

    /// The same for rows of so many quads: no more slices than quads, in as large a workgroup, and each row's sum has an
    /// invocation of its own.
    fn of(self, quads: u32) -> Self {
        let most = self.slices.min(quads).max(1);
        let slices = (1..=most)
            .rev()
            .find(|slices| self.workgroup.is_multiple_of(*slices))
            .unwrap_or(1);
        Self {
            slices,
            rows: self.rows.min(slices),
            ..self
        }
    }

    /// The same for rows of so many quads, of which each slice gets as many as the others, as far as that goes: at most as many
    /// slices, and a workgroup that is made of them.
    fn even(self, quads: u32) -> Self {
        let quads = quads.max(1);
        let slices = quads.div_ceil(quads.div_ceil(self.slices));
        Self {
            workgroup: slices * self.lane_rows(),
            slices,
            rows: self.rows.min(slices),
        }
    }

    /// Rows that invocations side by side have.
    #[must_use]
    pub fn lane_rows(&self) -> u32 {
        self.workgroup / self.slices
    }

    /// Rows of a workgroup.
    #[must_use]
    pub fn rows_per_workgroup(&self) -> u32 {
        self.lane_rows() * self.rows
    }
}

/// Which products are shared out in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shares {
    /// Products that quantise no row ([`TernaryGemv`]): at most so many slices, and as many neighbours.
    pub gemv: Sharing,
    /// The same, of two matrices: the second where the first makes more than [`Shares::SMALL_WORKGROUPS`].
    pub gated_gemv: [Sharing; 2],
    /// Products that quantise their row ([`NormGemv`](crate::ops::NormGemv)). Workgroups are multiples of 32; the more rows one
    /// has, the less often the row is quantised. Rows that are too wide for it are shared out like those of two matrices.
    pub store: Sharing,
    /// The same, of two matrices.
    pub gated: Sharing,
    /// The same, added to the residual, in the order of preference: the first is taken that makes no more than
    /// [`Shares::WORKGROUPS`], which then all have room at once, else the last.
    pub add: [Sharing; 2],
    /// The same, of rows of more than [`Shares::LONG`] quads. Of both, no invocation may have more quads than [`Shares::HELD`], as
    /// long as there is another choice.
    pub long: [Sharing; 3],
}

impl Shares {
    /// Quads of a row that is not yet long.
    pub const LONG: u32 = 64;
    /// About as many as the card that was measured has multiprocessors.
    pub const WORKGROUPS: u32 = 128;
    /// Workgroups of 160 invocations that have room at once; a few more would have to wait for all of these.
    pub const SMALL_WORKGROUPS: u32 = 1536;
    /// Quads of all rows of an invocation for which it has registers.
    pub const HELD: u32 = 20;

    /// One for all.
    #[must_use]
    pub const fn all(sharing: Sharing) -> Self {
        Self {
            gemv: sharing,
            gated_gemv: [sharing; 2],
            store: sharing,
            gated: sharing,
            add: [sharing; 2],
            long: [sharing; 3],
        }
    }

    /// See [`Tuning::wide`].
    #[must_use]
    pub const fn wide() -> Self {
        const fn sharing(workgroup: u32, slices: u32, rows: u32) -> Sharing {
            Sharing {
                workgroup,
                slices,
                rows,
            }
        }
        Self {
            gemv: sharing(448, 56, 1),
            gated_gemv: [sharing(160, 20, 1), sharing(512, 64, 1)],
            store: sharing(128, 16, 2),
            gated: sharing(256, 16, 1),
            add: [sharing(384, 16, 1), sharing(512, 16, 1)],
            long: [
                sharing(256, 32, 3),
                sharing(256, 32, 4),
                sharing(512, 32, 2),
            ],
        }
    }

    /// How a product is shared out that quantises no row.
    pub(crate) fn of_gemv(&self, product: &TernaryGemv) -> Sharing {
        let quads = product.k_padded / 64;
        match product.epilogue {
            Epilogue::Store | Epilogue::Add => self.gemv.even(quads),
            Epilogue::Relu2 | Epilogue::Silu => {
                let [small, large] = self.gated_gemv.map(|sharing| sharing.even(quads));
                let workgroups = product.n_rows.div_ceil(small.rows_per_workgroup());
                if workgroups <= Self::SMALL_WORKGROUPS {
                    small
                } else {
                    large
                }
            }
        }
    }

    /// How a product is shared out that quantises its row, which has `k_padded` columns.
    pub(crate) fn of_fused(&self, epilogue: Epilogue, n_rows: u32, k_padded: u32) -> Sharing {
        let quads = k_padded / 64;
        let candidates: &[Sharing] = match epilogue {
            Epilogue::Store if k_padded.div_ceil(4 * self.store.workgroup) > MAX_STEPS => {
                &[self.gated]
            }
            Epilogue::Store => &[self.store],
            Epilogue::Relu2 | Epilogue::Silu => &[self.gated],
            Epilogue::Add if quads > Self::LONG => &self.long,
            Epilogue::Add => &self.add,
        };
        let mut candidates = candidates.iter().map(|sharing| sharing.of(quads));
        let last = candidates.next_back().unwrap_or(Sharing::PLAIN);
        let suits = |sharing: &Sharing| {
            n_rows.div_ceil(sharing.rows_per_workgroup()) <= Self::WORKGROUPS
                && quads.div_ceil(sharing.slices) * sharing.rows <= Self::HELD
        };
        candidates.find(suits).unwrap_or(last)
    }
}

/// Choices for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuning {
    /// How products are shared out when one token is computed.
    pub shares: Shares,
    /// Lanes of every subgroup of the device, 0 where they differ or are not known.
    pub subgroup_lanes: u32,
    /// Invocations of a GEMM workgroup.
    pub gemm_workgroup: u32,
    /// Query heads that share a workgroup of attention, and with it the reading of keys and values; at most 4.
    pub attention_heads: u32,
    /// The position from which on a fused step shares workgroups of attention in this way, and merges what they leave in a dispatch;
    /// before it, each has one head. At most that where the second group begins, since a product merges no more than one.
    pub attention_sharing: u32,
    /// Whether a workgroup of one head has a pair of chunks (512 invocations).
    pub attention_pairs: bool,
    /// Whether attention is computed by few invocations that loop: [`AttentionLoop`](crate::ops::AttentionLoop) instead of
    /// [`Attention`](crate::ops::Attention). Of no effect on fused decode steps.
    pub attention_loops: bool,
    /// Whether a decode step does its small work inside its neighbours instead of in dispatches of its own: norms in the
    /// products that read them, rotation and append in attention. It costs arithmetic and saves dispatches.
    pub fused: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            shares: Shares::all(Sharing::PLAIN),
            subgroup_lanes: 0,
            gemm_workgroup: 64,
            attention_heads: 4,
            attention_sharing: 1024,
            attention_pairs: false,
            attention_loops: false,
            fused: true,
        }
    }
}

impl Tuning {
    /// What was measured to be best on a card with 132 multiprocessors of NVIDIA's; for workgroups of 512.
    #[must_use]
    pub fn wide() -> Self {
        Self {
            shares: Shares::wide(),
            // With six pairs or less, a dispatch that merges them costs more than it saves in the product.
            attention_sharing: 768,
            attention_pairs: true,
            ..Self::default()
        }
    }

    /// The position from which on workgroups of attention are shared.
    pub(crate) fn sharing_position(&self) -> u32 {
        self.attention_sharing
            .min(ATTENTION_CHUNK * CHUNKS_PER_GROUP)
    }
}

/// Positions at which an op runs. Few chunks of attention need many workgroups and are merged by the product that reads them, many
/// chunks are read faster by workgroups that share them and have a dispatch that merges them; a step has the ops for both, and
/// skips those of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All.
    All,
    /// Those before [`Tuning::attention_sharing`].
    Short,
    /// All others.
    Long,
}

impl Reach {
    /// Whether the step is at one of them.
    pub(crate) fn has(self, step: &Step, tuning: &Tuning) -> bool {
        let is_short = step.pos < tuning.sharing_position();
        match self {
            Self::All => true,
            Self::Short => is_short,
            Self::Long => !is_short,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn sharing(workgroup: u32, slices: u32, rows: u32) -> Sharing {
        Sharing {
            workgroup,
            slices,
            rows,
        }
    }

    fn product(epilogue: Epilogue, n_rows: u32, k_padded: u32) -> TernaryGemv {
        TernaryGemv {
            n_rows,
            k_padded,
            rows_per_tile: 8,
            epilogue,
        }
    }

    #[test]
    fn rows_added_to_the_residual_fill_the_card_once() {
        let shares = Shares::wide();
        // Columns of `o` and `down`, rows: 2b-4t, 3b, llama3-8b.
        for (n_rows, k_padded, expected) in [
            (2560, 2560, sharing(384, 16, 1)),
            (2560, 6912, sharing(256, 32, 3)),
            (3200, 3200, sharing(512, 16, 1)),
            (3200, 8640, sharing(256, 32, 4)),
            (4096, 4096, sharing(512, 16, 1)),
            (4096, 14_336, sharing(512, 32, 2)),
        ] {
            let got = shares.of_fused(Epilogue::Add, n_rows, k_padded);
            assert_eq!(got, expected, "{n_rows} rows of {k_padded}");
            assert!(n_rows.div_ceil(got.rows_per_workgroup()) <= Shares::WORKGROUPS);
        }
    }

    #[test]
    fn rows_too_wide_for_a_small_workgroup_get_a_larger_one() {
        let shares = Shares::wide();
        let got = |k_padded| shares.of_fused(Epilogue::Store, 4096, k_padded);
        assert_eq!(got(8192), sharing(128, 16, 2));
        assert_eq!(got(8256), sharing(256, 16, 1));
    }

    #[test]
    fn slices_of_a_product_alone_get_equally_many_quads() {
        let shares = Shares::wide();
        for (k_padded, slices) in [
            (64, 1),
            (576, 9),
            (2560, 40),
            (3200, 50),
            (4096, 32),
            (6912, 54),
            (8640, 45),
            (14_336, 56),
        ] {
            let got = shares.of_gemv(&product(Epilogue::Store, 1000, k_padded));
            assert_eq!(got, sharing(8 * slices, slices, 1), "{k_padded} columns");
        }
    }

    #[test]
    fn gate_and_up_alone_have_room_at_once_or_many_slices() {
        for (n_rows, k_padded, expected) in [
            (6912, 2560, sharing(160, 20, 1)),
            (8640, 3200, sharing(136, 17, 1)),
            (14_336, 4096, sharing(512, 64, 1)),
        ] {
            let got = Shares::wide().of_gemv(&product(Epilogue::Silu, n_rows, k_padded));
            assert_eq!(got, expected, "{n_rows} rows of {k_padded}");
        }
    }

    #[test]
    fn every_row_of_a_workgroup_has_an_invocation_for_its_sum() {
        for workgroup in [32, 96, 128, 256, 384, 512] {
            for slices in 1..=64 {
                for rows in 1..=8 {
                    let shares = Shares::all(sharing(workgroup, slices, rows));
                    if workgroup % slices != 0 {
                        continue;
                    }
                    for quads in [1, 2, 3, 9, 40, 108] {
                        let fused = shares.of_fused(Epilogue::Store, 100, 64 * quads);
                        let alone = shares.of_gemv(&product(Epilogue::Store, 100, 64 * quads));
                        for got in [fused, alone] {
                            assert!(got.rows_per_workgroup() <= got.workgroup, "{got:?}");
                            assert_eq!(got.slices * got.lane_rows(), got.workgroup, "{got:?}");
                            assert!(got.slices <= quads, "{got:?}");
                        }
                        assert_eq!(fused.workgroup, workgroup);
                    }
                }
            }
        }
    }
}
