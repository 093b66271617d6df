//! Times of many dispatches of a kernel in one pass.

use super::STEP;
use super::readers::Bound;
use crate::Error;
use crate::bench::timer::{Clock, Timer, median};
use crate::exec::{GpuExecutor, Program};

/// Passes of a submit: the first takes what the device did before, and only the second counts.
pub(super) const PASSES: u32 = 2;

/// Seconds for which the device works before the timing starts, unless there is only one repetition.
const WARM_SECONDS: f64 = 0.25;

/// The dispatches of one kernel, one for each copy. All of them write the same buffer, so a barrier lies between them.
pub(super) enum Dispatches<'a> {
    Program(&'a Program),
    Read(&'a Bound),
}

impl Dispatches<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Program(program) => program.dispatches().len(),
            Self::Read(bound) => bound.groups.len(),
        }
    }

    fn record(&self, gpu: &GpuExecutor, pass: &mut wgpu::ComputePass<'_>) {
        match self {
            Self::Program(program) => {
                for index in 0..program.dispatches().len() {
                    gpu.record(pass, program, index, &STEP);
                }
            }
            Self::Read(bound) => bound.record(pass),
        }
    }
}

/// Median seconds of a dispatch, for each of `kernels`. They take turns, so that a drifting clock meets all of them.
pub(super) async fn time(
    gpu: &GpuExecutor,
    timer: &Timer,
    kernels: &[Dispatches<'_>],
    repetitions: u32,
    clock: Clock,
) -> Result<Vec<f64>, Error> {
    // Making the copies has left the device idle.
    let start = clock();
    while repetitions > 1 && clock() - start < WARM_SECONDS {
        round(gpu, timer, kernels, clock).await?;
    }
    let mut seconds = vec![Vec::new(); kernels.len()];
    for _ in 0..repetitions.max(1) {
        let taken = round(gpu, timer, kernels, clock).await?;
        for (list, seconds) in seconds.iter_mut().zip(taken) {
            list.push(seconds);
        }
    }
    gpu.device().check("timing the products")?;
    Ok(seconds.iter().map(|list| median(list)).collect())
}

/// Seconds of a dispatch, once for each kernel.
async fn round(
    gpu: &GpuExecutor,
    timer: &Timer,
    kernels: &[Dispatches<'_>],
    clock: Clock,
) -> Result<Vec<f64>, Error> {
    let mut seconds = Vec::new();
    for kernel in kernels {
        let (raw, _) = gpu.device().raw();
        let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for index in 0..PASSES {
            kernel.record(gpu, &mut timer.pass(&mut encoder, index));
        }
        let taken = timer.submit(gpu.device(), encoder, PASSES, clock).await?;
        let pass = taken.last().copied().unwrap_or(f64::NAN);
        seconds.push(pass / kernel.count() as f64);
    }
    Ok(seconds)
}
