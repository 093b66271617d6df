//! Time of each kind of dispatch in a run of the model.

use super::timer::{Clock, Timer, median, wait};
use crate::device::Device;
use crate::exec::{GpuExecutor, Program};
use crate::ops::{BufferId, Step};
use crate::{Error, Executor, Session};
use serde::Serialize;
use std::collections::BTreeMap;

/// Seconds that a batch should last where only a clock is there.
const BATCH_SECONDS: f64 = 0.1;
/// Most repetitions of such a batch.
const MAX_BATCH: u32 = 64;

/// Which run of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// One token, with head and sampler.
    Decode,
    /// One chunk of a prompt, layers only.
    Prefill,
}

impl Phase {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Prefill => "prefill",
        }
    }
}

/// All dispatches of one kind in one run, summed over the layers.
#[derive(Debug, Clone, Serialize)]
pub struct KernelTime {
    /// `decode` (one token) or `prefill` (one chunk).
    pub phase: &'static str,
    /// What it is in the model, without the layer, for example `gate_up`.
    pub name: String,
    /// Kernel name.
    pub kernel: &'static str,
    /// Dispatches in a run.
    pub dispatches: u32,
    /// Bytes that a perfect implementation moves in a run.
    pub bytes: u64,
    /// Seconds in a run.
    pub seconds: f64,
    /// Bytes a second.
    pub bytes_per_second: f64,
    /// Share of the read kernel's bytes a second.
    pub read_ratio: f64,
}

/// Times of the kernels of one run.
pub(super) struct Timed {
    pub(super) kernels: Vec<KernelTime>,
    /// Seconds of the whole run in one pass, as it really goes.
    pub(super) run_seconds: f64,
    /// Dispatches of the run.
    pub(super) dispatches: u32,
    /// Bytes of the run.
    pub(super) bytes: u64,
}

/// What to time.
pub(super) struct Run {
    pub(super) phase: Phase,
    pub(super) step: Step,
    pub(super) repetitions: u32,
    pub(super) clock: Clock,
}

/// The GPU side of a session.
///
/// # Errors
/// [`Error::Order`] on the CPU.
pub(super) fn gpu(executor: &Executor) -> Result<&GpuExecutor, Error> {
    match executor {
        Executor::Gpu(gpu) => Ok(gpu),
        Executor::Cpu(_) => Err(Error::Order {
            what: "a measurement needs a GPU",
        }),
    }
}

/// Label without its layer.
pub(super) fn group_name(label: &str) -> &str {
    label
        .strip_prefix("layers.")
        .and_then(|rest| rest.split_once('.'))
        .map_or(label, |(_, name)| name)
}

/// Times every dispatch of a run in the order of the model, each in a pass of its own between timestamps, so that caches hold
/// what they hold in a real run. Where the device has no timestamps, all dispatches of a kind are repeated as one batch.
///
/// # Errors
/// [`Error::DeviceLost`], [`Error::Validation`], [`Error::Order`] on the CPU.
pub(super) async fn time_run(session: &mut Session, run: &Run) -> Result<Timed, Error> {
    let Session { executor, plan, .. } = session;
    let programs: &[&Program] = match run.phase {
        Phase::Decode => &[&plan.decode, &plan.head, &plan.sample],
        Phase::Prefill => &[&plan.prefill],
    };
    let all: Vec<(&Program, usize)> = programs
        .iter()
        .flat_map(|program| (0..program.dispatches().len()).map(move |i| (*program, i)))
        .collect();
    let capacity = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let timer = Timer::new(gpu(executor)?.device(), capacity.min(2048));
    let run_seconds = whole_run(executor, plan.io.step, run, &all, &timer).await?;
    let seconds = if timer.has_timestamps() && capacity <= 2048 {
        each_dispatch(executor, plan.io.step, run, &all, &timer).await?
    } else {
        by_kind(executor, plan.io.step, run, &all).await?
    };
    let mut kernels: BTreeMap<(usize, &str), KernelTime> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    let mut dispatches = 0;
    for ((program, index), seconds) in all.iter().zip(&seconds) {
        let dispatch = &program.dispatches()[*index];
        if seconds.is_nan() {
            continue;
        }
        let name = group_name(&dispatch.label);
        let place = order
            .iter()
            .position(|known| *known == name)
            .unwrap_or_else(|| {
                order.push(name);
                order.len() - 1
            });
        let kernel = kernels.entry((place, name)).or_insert_with(|| KernelTime {
            phase: run.phase.name(),
            name: name.to_owned(),
            kernel: dispatch.op.kernel().name(),
            dispatches: 0,
            bytes: 0,
            seconds: 0.0,
            bytes_per_second: 0.0,
            read_ratio: 0.0,
        });
        kernel.dispatches += 1;
        kernel.bytes += dispatch.op.bytes(&run.step);
        kernel.seconds += seconds;
        dispatches += 1;
    }
    let kernels: Vec<KernelTime> = kernels.into_values().collect();
    let bytes = kernels.iter().map(|kernel| kernel.bytes).sum();
    Ok(Timed {
        kernels,
        run_seconds,
        dispatches,
        bytes,
    })
}

impl KernelTime {
    /// Fills in the rates, once the yardstick is known.
    pub(super) fn rate(&mut self, read_bytes_per_second: f64) {
        self.bytes_per_second = self.bytes as f64 / self.seconds;
        self.read_ratio = self.bytes_per_second / read_bytes_per_second;
    }
}

type All<'a> = [(&'a Program, usize)];

fn encoder(device: &Device) -> wgpu::CommandEncoder {
    device
        .raw()
        .0
        .create_command_encoder(&wgpu::CommandEncoderDescriptor {
            label: Some("bench"),
        })
}

fn set_step(executor: &mut Executor, step_buffer: BufferId, run: &Run) -> Result<(), Error> {
    // The sampler advances the step, so each repetition starts from the same one again.
    executor.write(step_buffer, 0, bytemuck::bytes_of(&run.step))
}

/// Median seconds of the run as a single pass.
async fn whole_run(
    executor: &mut Executor,
    step_buffer: BufferId,
    run: &Run,
    all: &All<'_>,
    timer: &Timer,
) -> Result<f64, Error> {
    let mut seconds = Vec::new();
    for repetition in 0..=run.repetitions {
        set_step(executor, step_buffer, run)?;
        let gpu = gpu(executor)?;
        let mut encoder = encoder(gpu.device());
        let mut pass = timer.pass(&mut encoder, 0);
        for (program, index) in all {
            gpu.record(&mut pass, program, *index, &run.step);
        }
        drop(pass);
        let taken = timer.submit(gpu.device(), encoder, 1, run.clock).await?;
        if repetition > 0 {
            seconds.extend(taken);
        }
    }
    Ok(median(&seconds))
}

/// Median seconds of each dispatch; NaN where there was nothing to do.
async fn each_dispatch(
    executor: &mut Executor,
    step_buffer: BufferId,
    run: &Run,
    all: &All<'_>,
    timer: &Timer,
) -> Result<Vec<f64>, Error> {
    let mut seconds = vec![Vec::new(); all.len()];
    for repetition in 0..=run.repetitions {
        set_step(executor, step_buffer, run)?;
        let gpu = gpu(executor)?;
        let mut encoder = encoder(gpu.device());
        let mut busy = Vec::new();
        for (index, (program, dispatch)) in (0..).zip(all) {
            let mut pass = timer.pass(&mut encoder, index);
            busy.push(gpu.record(&mut pass, program, *dispatch, &run.step));
        }
        let taken = timer
            .submit(
                gpu.device(),
                encoder,
                u32::try_from(all.len()).unwrap_or(0),
                run.clock,
            )
            .await?;
        if repetition > 0 {
            for ((list, seconds), busy) in seconds.iter_mut().zip(taken).zip(busy) {
                list.push(if busy { seconds } else { f64::NAN });
            }
        }
    }
    Ok(seconds.iter().map(|list| median(list)).collect())
}

/// Seconds of each dispatch as its share of a batch of all dispatches of its kind.
async fn by_kind(
    executor: &mut Executor,
    step_buffer: BufferId,
    run: &Run,
    all: &All<'_>,
) -> Result<Vec<f64>, Error> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, (program, index)) in all.iter().enumerate() {
        groups
            .entry(group_name(&program.dispatches()[*index].label))
            .or_default()
            .push(place);
    }
    let mut seconds = vec![f64::NAN; all.len()];
    for places in groups.values() {
        let mut repetitions = 1;
        loop {
            set_step(executor, step_buffer, run)?;
            executor.flush().await?;
            let gpu = gpu(executor)?;
            let mut encoder = encoder(gpu.device());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("bench"),
                timestamp_writes: None,
            });
            // Those that have something to do at this step.
            let mut busy = Vec::new();
            for _ in 0..repetitions {
                let record = |place: &usize| {
                    let (program, index) = all[*place];
                    gpu.record(&mut pass, program, index, &run.step)
                };
                busy = places.iter().copied().filter(record).collect();
            }
            drop(pass);
            let start = (run.clock)();
            gpu.device().raw().1.submit([encoder.finish()]);
            wait(gpu.device()).await?;
            let taken = (run.clock)() - start;
            if busy.is_empty() {
                break;
            }
            if taken >= BATCH_SECONDS / 2.0 || repetitions >= MAX_BATCH {
                let each = taken / f64::from(repetitions) / busy.len() as f64;
                busy.iter().for_each(|place| seconds[*place] = each);
                break;
            }
            // The first try is short and also warms the clocks up.
            repetitions =
                ((BATCH_SECONDS / taken.max(1e-6)).ceil() as u32).clamp(repetitions * 2, MAX_BATCH);
        }
    }
    Ok(seconds)
}
