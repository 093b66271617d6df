//! What share of a plain read the products of a decode step reach: each matrix of a layer, far from any cache.
//!
//! The kernels are those of a decode step, with the executor's tuning: `ternary_gemv` of one that is not fused, `norm_gemv` of
//! one that is. They and the read kernel go over the same copies of a matrix, one dispatch a copy, each behind a barrier.

mod copies;
mod layer;
mod passes;
mod readers;

use super::check::Check;
use super::kernels::gpu;
use super::read::{ReadSpeed, read_speed};
use super::timer::{Clock, Timer};
use crate::ops::Step;
use crate::{Error, Executor};
use copies::Copies;
use layer::Product;
use model::Architecture;
use passes::{Dispatches, PASSES, time};
use readers::{Bound, Readers, Set};
use serde::Serialize;

/// The step of all dispatches; no product depends on it.
const STEP: Step = Step {
    pos: 0,
    n_tokens: 1,
    logit_row: 0,
    n_logits: 1,
};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names and architectures of the models whose layers are measured.
    pub shapes: Vec<(String, Architecture)>,
    /// Rows interleaved in a tile.
    pub rows_per_tile: u32,
    /// Seed of the weights.
    pub seed: u64,
    /// Bytes of copies that are cycled through; must exceed the cache by far.
    pub set_bytes: u64,
    /// Further sizes of a dispatch for which only the read kernel is timed, multiples of 16 bytes.
    pub read_bytes: Vec<u64>,
    /// Timings of which the median counts.
    pub repetitions: u32,
    /// Clock in seconds.
    pub clock: Clock,
}

/// The fastest plain read of so many bytes a dispatch.
#[derive(Debug, Clone, Serialize)]
pub struct ReadTime {
    /// Bytes of a dispatch.
    pub bytes: u64,
    /// Copies cycled through.
    pub copies: usize,
    /// Threads of a workgroup.
    pub workgroup: u32,
    /// `vec4<u32>` loads of a thread.
    pub loads: u32,
    /// Seconds of a dispatch, barrier included.
    pub seconds: f64,
    /// Bytes a second.
    pub bytes_per_second: f64,
    /// Whether the xor of the last copy's words was right for every read kernel that was tried.
    pub verified: bool,
}

/// One product of the engine on one matrix.
#[derive(Debug, Clone, Serialize)]
pub struct ProductTime {
    /// Kernel name.
    pub kernel: &'static str,
    /// Workgroups of a dispatch.
    pub workgroups: u32,
    /// Seconds of a dispatch, barrier included.
    pub seconds: f64,
    /// Bytes of the matrix a second.
    pub bytes_per_second: f64,
    /// Read kernel's seconds over this kernel's: 1 = as fast as reading.
    pub read_ratio: f64,
}

/// One matrix of a layer.
#[derive(Debug, Clone, Serialize)]
pub struct MatrixTime {
    /// Shape of the model.
    pub shape: String,
    /// Which product it is.
    pub name: &'static str,
    /// Stored rows, of gate and up together.
    pub n_rows: u32,
    /// Stored columns.
    pub n_cols: u32,
    /// The yardstick: the codes and nothing else.
    pub read: ReadTime,
    /// The products; without `norm_gemv` where a workgroup of the device cannot hold the row.
    pub kernels: Vec<ProductTime>,
}

/// The matrices of a layer together.
#[derive(Debug, Clone, Serialize)]
pub struct LayerTime {
    /// Shape of the model.
    pub shape: String,
    /// Kernel name.
    pub kernel: &'static str,
    /// Seconds of reading all matrices that the kernel was timed on.
    pub read_seconds: f64,
    /// Seconds of the kernel on them.
    pub seconds: f64,
    /// The first over the second.
    pub read_ratio: f64,
}

/// Everything measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Adapter, driver and kernel variant.
    pub device: String,
    /// Whether the adapter computes in software: then no time means anything for a GPU.
    pub software: bool,
    /// Whether the device timed itself.
    pub timestamps: bool,
    /// One read of the whole set, and the empty dispatch.
    pub read: ReadSpeed,
    /// By matrix.
    pub matrices: Vec<MatrixTime>,
    /// By shape and kernel.
    pub layers: Vec<LayerTime>,
    /// Reads of the further sizes.
    pub reads: Vec<ReadTime>,
    /// Products against their CPU references.
    pub checks: Vec<Check>,
    /// Whether everything that was checked was right and every time makes sense; otherwise none counts.
    pub verified: bool,
}

struct Bench<'a> {
    readers: Readers,
    timer: Timer,
    options: &'a Options,
}

/// Measures the layers of `options.shapes`. Buffers that the executor holds are freed. `progress` hears what comes next.
///
/// # Errors
/// [`Error::Order`] on the CPU, [`Error::Shape`] for a read size that is no multiple of 16, [`Error::Limit`] for one above what
/// the device can bind, [`Error::Model`] for an impossible architecture, [`Error::DeviceLost`], [`Error::OutOfMemory`],
/// [`Error::Validation`].
pub async fn run(
    executor: &mut Executor,
    options: &Options,
    progress: &mut dyn FnMut(&str),
) -> Result<Report, Error> {
    let device = gpu(executor)?.device();
    progress("reading memory");
    let read = read_speed(
        device,
        options.set_bytes,
        options.repetitions,
        options.clock,
    )
    .await?;
    let bench = Bench {
        readers: Readers::new(device)?,
        timer: Timer::new(device, PASSES),
        options,
    };
    let mut report = Report {
        device: device.describe(),
        software: device.is_software(),
        timestamps: bench.timer.has_timestamps(),
        read,
        matrices: Vec::new(),
        layers: Vec::new(),
        reads: Vec::new(),
        checks: Vec::new(),
        verified: false,
    };
    for (shape, arch) in &options.shapes {
        arch.validate("architecture.")?;
        for product in layer::products(arch, options.rows_per_tile) {
            progress(&format!("{shape} {}", product.name));
            executor.free_buffers();
            let copies = Copies::new(executor, &product, options).await?;
            let matrix = bench.matrix(executor, shape, &product, &copies).await?;
            report.matrices.push(matrix);
            let label = format!("{shape} {}", product.name);
            report.checks.extend(copies.check(executor, &label).await?);
        }
        report.layers.extend(layers(shape, &report.matrices));
    }
    for &bytes in &options.read_bytes {
        progress(&format!("reading {bytes} bytes a dispatch"));
        executor.free_buffers();
        let set = Set::new(executor, bytes, options).await?;
        report.reads.push(bench.read(executor, &set).await?);
    }
    executor.free_buffers();
    report.verified = is_verified(&report);
    Ok(report)
}

impl Bench<'_> {
    async fn read(&self, executor: &Executor, set: &Set) -> Result<ReadTime, Error> {
        let gpu = gpu(executor)?;
        let bound = self.readers.bind(gpu, set)?;
        let kernels: Vec<Dispatches<'_>> = bound.iter().map(Dispatches::Read).collect();
        let seconds = self.time(executor, &kernels).await?;
        fastest(gpu.device(), set, &bound, &seconds).await
    }

    async fn matrix(
        &self,
        executor: &Executor,
        shape: &str,
        product: &Product,
        copies: &Copies,
    ) -> Result<MatrixTime, Error> {
        let gpu = gpu(executor)?;
        let bound = self.readers.bind(gpu, &copies.set)?;
        let programs = || copies.programs().map(|(program, _)| program);
        let kernels: Vec<Dispatches<'_>> = bound
            .iter()
            .map(Dispatches::Read)
            .chain(programs().map(Dispatches::Program))
            .collect();
        let seconds = self.time(executor, &kernels).await?;
        let (of_reads, of_products) = seconds.split_at(bound.len());
        let read = fastest(gpu.device(), &copies.set, &bound, of_reads).await?;
        let kernels = programs()
            .zip(of_products)
            .flat_map(|(program, &seconds)| {
                program.dispatches().first().map(|dispatch| ProductTime {
                    kernel: dispatch.op.kernel().name(),
                    workgroups: dispatch.op.grid(&STEP, gpu.tuning()).iter().product(),
                    seconds,
                    bytes_per_second: read.bytes as f64 / seconds,
                    read_ratio: read.seconds / seconds,
                })
            })
            .collect();
        Ok(MatrixTime {
            shape: shape.to_owned(),
            name: product.name,
            n_rows: product.stored_rows(),
            n_cols: product.op.k_padded,
            read,
            kernels,
        })
    }

    async fn time(
        &self,
        executor: &Executor,
        kernels: &[Dispatches<'_>],
    ) -> Result<Vec<f64>, Error> {
        let Options {
            repetitions, clock, ..
        } = *self.options;
        time(gpu(executor)?, &self.timer, kernels, repetitions, clock).await
    }
}

/// The fastest of the read kernels on a set; all of them must have read what is there.
async fn fastest(
    device: &crate::Device,
    set: &Set,
    bound: &[Bound],
    seconds: &[f64],
) -> Result<ReadTime, Error> {
    let mut verified = true;
    for kernel in bound {
        verified &= kernel.xor(device).await? == set.checksum;
    }
    bound
        .iter()
        .zip(seconds)
        .min_by(|a, b| a.1.total_cmp(b.1))
        .map(|(kernel, &seconds)| ReadTime {
            bytes: set.bytes,
            copies: set.copies.len(),
            workgroup: kernel.workgroup,
            loads: kernel.loads,
            seconds,
            bytes_per_second: set.bytes as f64 / seconds,
            verified,
        })
        .ok_or(Error::Order {
            what: "no read kernel fits so many bytes",
        })
}

/// The sums of one shape, by kernel.
fn layers(shape: &str, matrices: &[MatrixTime]) -> Vec<LayerTime> {
    let mut layers: Vec<LayerTime> = Vec::new();
    for matrix in matrices.iter().filter(|matrix| matrix.shape == shape) {
        for kernel in &matrix.kernels {
            let known = layers.iter().position(|sum| sum.kernel == kernel.kernel);
            let place = known.unwrap_or_else(|| {
                layers.push(LayerTime {
                    shape: shape.to_owned(),
                    kernel: kernel.kernel,
                    read_seconds: 0.0,
                    seconds: 0.0,
                    read_ratio: f64::NAN,
                });
                layers.len() - 1
            });
            let sum = &mut layers[place];
            sum.read_seconds += matrix.read.seconds;
            sum.seconds += kernel.seconds;
            sum.read_ratio = sum.read_seconds / sum.seconds;
        }
    }
    layers
}

fn is_verified(report: &Report) -> bool {
    let makes_sense = |ratio: f64| ratio.is_finite() && ratio > 0.0;
    let is_right = |read: &ReadTime| read.verified && makes_sense(read.bytes_per_second);
    let is_timed = |matrix: &MatrixTime| {
        let ratios = matrix.kernels.iter().map(|kernel| kernel.read_ratio);
        is_right(&matrix.read) && ratios.into_iter().all(makes_sense)
    };
    report.read.verified
        && report.matrices.iter().all(is_timed)
        && report.reads.iter().all(is_right)
        && !report.checks.is_empty()
        && report.checks.iter().all(|check| check.passed)
}
