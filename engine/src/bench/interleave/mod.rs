//! The sweep behind `rows_per_tile`: which interleaving of the rows of B2 lets a simple GEMV read fastest.
//!
//! Native only: it makes thousands of pipelines, on all cores. Codes are filled in on the GPU, so that every interleaving
//! holds the same matrix; copies of the matrix are cycled through, so that no cache holds the set; each dispatch writes the
//! buffer of the one before, so that a barrier lies between them as in a real decode step.

mod expected;
mod measure;
mod pipelines;
mod plan;
mod stage;

pub use plan::{Dot, Kernel, MATRICES, Mapping, Matrix, TILES, TINY_MATRICES};

use crate::Error;
use crate::bench::rig::Rig;
use measure::Measure;
use pipelines::Pipelines;
use serde::Serialize;
use stage::Stage;
use std::collections::BTreeMap;

/// Interleavings of the tiny sweep.
const TINY_TILES: [u32; 2] = [1, 8];

/// What to sweep.
#[derive(Debug, Clone)]
pub struct Options {
    /// Substring of the adapter's name.
    pub adapter: Option<String>,
    /// Bytes of copies of a matrix that are cycled through; must exceed the cache by far.
    pub set_bytes: u64,
    /// Timed passes over the set; one more goes before them to warm up.
    pub passes: u32,
    /// The tiny matrices instead of the published ones.
    pub tiny: bool,
    /// Seconds since any fixed moment.
    pub clock: fn() -> f64,
}

/// The plain read of one matrix: the yardstick of its kernels.
#[derive(Debug, Clone, Serialize)]
pub struct ReadRow {
    /// Matrix whose bytes were read.
    #[serde(flatten)]
    pub matrix: Matrix,
    /// Bytes of a dispatch.
    pub bytes: u64,
    /// Copies cycled through.
    pub copies: u32,
    /// Threads of a workgroup of the fastest read kernel.
    pub workgroup: u32,
    /// `vec4<u32>` loads of each of its threads.
    pub loads: u32,
    /// Seconds of a dispatch, barrier included.
    pub seconds: f64,
    /// Whether the xor of all words was right.
    pub verified: bool,
}

/// One kernel on one matrix.
#[derive(Debug, Clone, Serialize)]
pub struct KernelRow {
    /// 1 = every layout on the first shape, 2 = finalists on all shapes.
    pub round: u32,
    /// Matrix.
    #[serde(flatten)]
    pub matrix: Matrix,
    /// Kernel.
    #[serde(flatten)]
    pub kernel: Kernel,
    /// Seconds of a dispatch, barrier included.
    pub seconds: f64,
    /// Read kernel's seconds over this kernel's: 1 = as fast as reading.
    pub read_ratio: f64,
    /// Whether both checked copies equal the CPU's integers.
    pub verified: bool,
}

/// How one kernel does on whole layers.
#[derive(Debug, Clone, Serialize)]
pub struct Ranked {
    /// Kernel.
    #[serde(flatten)]
    pub kernel: Kernel,
    /// Read seconds over kernel seconds of a layer, by shape.
    pub layer_ratios: BTreeMap<&'static str, f64>,
    /// Their mean.
    pub mean_ratio: f64,
}

/// What one interleaving reaches.
#[derive(Debug, Clone, Serialize)]
pub struct TileSummary {
    /// Rows interleaved.
    pub rows_per_tile: u32,
    /// The best single kernels for all shapes, one per mapping and dot product.
    pub single: Vec<Ranked>,
    /// Layer ratios when each matrix takes its own best kernel.
    pub best_each: BTreeMap<&'static str, f64>,
}

/// Everything measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Adapter name.
    pub adapter: String,
    /// Driver name and version.
    pub driver: String,
    /// Whether the device timed itself.
    pub timestamps: bool,
    /// Subgroup size used, none where it varies or subgroups are missing.
    pub subgroup_size: Option<u32>,
    /// Seconds of an empty dependent dispatch.
    pub empty_dispatch_seconds: f64,
    /// Bytes a second of the read kernel over the whole set in one dispatch.
    pub read_bytes_per_second: f64,
    /// Yardsticks.
    pub reads: Vec<ReadRow>,
    /// By interleaving.
    pub tiles: Vec<TileSummary>,
    /// Kernels whose integers were wrong; empty on a sound device.
    pub wrong: Vec<KernelRow>,
    /// All measurements.
    pub rows: Vec<KernelRow>,
}

/// Runs both rounds. `progress` hears a line now and then.
///
/// # Errors
/// [`Error::NoAdapter`], [`Error::NoDevice`], [`Error::Validation`] or [`Error::DeviceLost`].
pub fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Report, Error> {
    let rig = Rig::new(options.adapter.as_deref(), options.clock)?;
    let matrices: &[Matrix] = if options.tiny {
        &TINY_MATRICES
    } else {
        &MATRICES
    };
    let pipelines = Pipelines::new(&rig)?;
    let subgroup_size = pipelines.subgroup_size();
    let mut reads = Vec::new();
    let first_shape: Vec<_> = matrices
        .iter()
        .filter(|matrix| matrix.shape == matrices[0].shape)
        .copied()
        .collect();
    // A software adapter compiles each kernel for a large part of a second, so the tiny sweep takes a sample.
    let every = if options.tiny { 16 } else { 1 };
    let tiles: &[u32] = if options.tiny { &TINY_TILES } else { &TILES };
    let candidates: Vec<_> = tiles
        .iter()
        .flat_map(|&tile| plan::first_round(tile, subgroup_size))
        .step_by(every)
        .collect();
    progress(&format!(
        "{}: round 1, {} kernels on {} matrices",
        rig.info.name,
        candidates.len(),
        first_shape.len()
    ));
    let mut rows = sweep(
        &rig,
        &pipelines,
        options,
        1,
        &first_shape,
        &candidates,
        &mut reads,
        progress,
    )?;
    let finalists = finalists(&rows, subgroup_size, if options.tiny { 1 } else { 6 });
    for kernel in &finalists {
        log::debug!("finalist {kernel:?}");
    }
    progress(&format!(
        "round 2, {} kernels on {} matrices",
        finalists.len(),
        matrices.len()
    ));
    rows.extend(sweep(
        &rig, &pipelines, options, 2, matrices, &finalists, &mut reads, progress,
    )?);
    let stage = Stage::new(&rig, &matrices[0], options.set_bytes)?;
    let measure = Measure {
        rig: &rig,
        pipelines: &pipelines,
        passes: options.passes,
    };
    let empty_dispatch_seconds = measure.empty_dispatch(&stage)?;
    let read_bytes_per_second = measure.read_everything(&stage)?;
    for row in &mut rows {
        let yardstick = reads
            .iter()
            .filter(|read| read.matrix == row.matrix && read.verified)
            .map(|read| read.seconds);
        row.read_ratio = yardstick.fold(f64::INFINITY, f64::min) / row.seconds;
    }
    let second: Vec<_> = rows
        .iter()
        .filter(|row| row.round == 2 && row.verified)
        .cloned()
        .collect();
    Ok(Report {
        adapter: rig.info.name.clone(),
        driver: format!("{} {}", rig.info.driver, rig.info.driver_info),
        timestamps: rig.has_timestamps(),
        subgroup_size,
        empty_dispatch_seconds,
        read_bytes_per_second,
        tiles: tiles.iter().map(|&tile| summarise(tile, &second)).collect(),
        wrong: rows.iter().filter(|row| !row.verified).cloned().collect(),
        reads,
        rows,
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "one internal call site per round; the arguments are the sweep's axes"
)]
fn sweep(
    rig: &Rig,
    pipelines: &Pipelines,
    options: &Options,
    round: u32,
    matrices: &[Matrix],
    kernels: &[Kernel],
    reads: &mut Vec<ReadRow>,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<KernelRow>, Error> {
    let mut rows = Vec::new();
    let measure = Measure {
        rig,
        pipelines,
        passes: options.passes,
    };
    for matrix in matrices {
        let stage = Stage::new(rig, matrix, options.set_bytes)?;
        pipelines.prepare(rig, kernels, matrix.n_cols)?;
        let tiles = if options.tiny {
            &TINY_TILES[..]
        } else {
            &TILES
        };
        for (idx, &tile) in tiles.iter().enumerate() {
            stage.fill(rig, pipelines, tile)?;
            // The yardstick at the start and at the end, so that a drifting clock shows.
            if idx == 0 {
                measure.warm_up(&stage)?;
            }
            if idx == 0 || idx == tiles.len() - 1 {
                reads.push(measure.read(&stage)?);
            }
            for kernel in kernels.iter().filter(|kernel| kernel.rows_per_tile == tile) {
                let (seconds, verified) = measure.kernel(&stage, kernel)?;
                rows.push(KernelRow {
                    round,
                    matrix: *matrix,
                    kernel: *kernel,
                    seconds,
                    read_ratio: f64::NAN,
                    verified,
                });
            }
        }
        progress(&format!("{} {} done", matrix.shape, matrix.name));
    }
    Ok(rows)
}

/// The best layouts of each interleaving and mapping, in all their variations.
fn finalists(rows: &[KernelRow], subgroup_size: Option<u32>, n_best: usize) -> Vec<Kernel> {
    let mut seconds: BTreeMap<Kernel, f64> = BTreeMap::new();
    for row in rows {
        // A wrong kernel never gets on.
        let cost = if row.verified {
            row.seconds
        } else {
            f64::INFINITY
        };
        *seconds.entry(row.kernel).or_default() += cost;
    }
    let mut kernels = Vec::new();
    for tile in TILES {
        for mapping in [Mapping::Columns, Mapping::ColumnsStrided, Mapping::Rows] {
            let mut group: Vec<_> = seconds
                .iter()
                .filter(|(k, s)| k.rows_per_tile == tile && k.mapping == mapping && s.is_finite())
                .collect();
            group.sort_by(|a, b| a.1.total_cmp(b.1));
            kernels.extend(
                group
                    .iter()
                    .take(n_best)
                    .flat_map(|(kernel, _)| plan::variations(**kernel, subgroup_size)),
            );
        }
    }
    kernels.sort_unstable();
    kernels.dedup();
    kernels
}

/// Layer ratios of `rows`, by shape: the summed read seconds over the summed kernel seconds.
fn layer_ratios<'a>(rows: impl Iterator<Item = &'a KernelRow>) -> BTreeMap<&'static str, f64> {
    let mut sums: BTreeMap<&'static str, (f64, f64)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row.matrix.shape).or_default();
        sum.0 += row.read_ratio * row.seconds;
        sum.1 += row.seconds;
    }
    sums.into_iter()
        .map(|(shape, (read, kernel))| (shape, read / kernel))
        .collect()
}

fn mean(ratios: &BTreeMap<&'static str, f64>) -> f64 {
    ratios.values().sum::<f64>() / ratios.len().max(1) as f64
}

fn summarise(rows_per_tile: u32, rows: &[KernelRow]) -> TileSummary {
    let mut by_kernel: BTreeMap<Kernel, Vec<&KernelRow>> = BTreeMap::new();
    let mut best: BTreeMap<(&str, &str), &KernelRow> = BTreeMap::new();
    for row in rows
        .iter()
        .filter(|row| row.kernel.rows_per_tile == rows_per_tile)
    {
        by_kernel.entry(row.kernel).or_default().push(row);
        let slot = best
            .entry((row.matrix.shape, row.matrix.name))
            .or_insert(row);
        if row.seconds < slot.seconds {
            *slot = row;
        }
    }
    let mut single: BTreeMap<(Mapping, Dot), Ranked> = BTreeMap::new();
    for (kernel, rows) in by_kernel {
        let layer_ratios = layer_ratios(rows.into_iter());
        let ranked = Ranked {
            kernel,
            mean_ratio: mean(&layer_ratios),
            layer_ratios,
        };
        let slot = single
            .entry((kernel.mapping, kernel.dot))
            .or_insert_with(|| ranked.clone());
        if ranked.mean_ratio > slot.mean_ratio {
            *slot = ranked;
        }
    }
    TileSummary {
        rows_per_tile,
        single: single.into_values().collect(),
        best_each: layer_ratios(best.into_values()),
    }
}
