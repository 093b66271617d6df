//! Runs the steps of a plan and hashes its files, on as many threads as there are processors.
//!
//! Results are handed over in the order of the steps, so that what comes out does not depend on the number of threads, nor
//! does the error when several steps fail. Progress is told on the thread of the caller.

use std::ops::ControlFlow;

use super::{Plan, Progress, Step, StepOutput};
use crate::Error;
use crate::hash::hash_file;
use crate::manifest::FileHash;
use crate::source::{Source, read_range};

/// Takes the results of steps in order.
type Deliver<'a> = dyn FnMut(&Step, StepOutput) -> Result<(), Error> + 'a;
/// Told of each read.
type OnProgress<'a> = dyn FnMut(&Progress<'_>) -> ControlFlow<()> + 'a;

/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// Hash this file of the plan.
    Hash(usize),
    /// Run this step of the plan.
    Step(usize),
}

/// What a job made.
enum Made {
    Hash(FileHash),
    Step(StepOutput),
}

/// Runs one job. `on_bytes` is told of the bytes of each read and may stop the job.
fn run_job(
    source: &dyn Source,
    plan: &Plan,
    job: Job,
    on_bytes: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Made, Error> {
    match job {
        Job::Hash(file) => hash_file(source, &plan.source_files[file], on_bytes).map(Made::Hash),
        Job::Step(step) => {
            let output = plan.steps[step].run(|range| {
                let bytes = read_range(source, range)?;
                if on_bytes(range.bytes).is_break() {
                    return Err(Error::Cancelled);
                }
                Ok(bytes)
            })?;
            Ok(Made::Step(output))
        }
    }
}

/// Counts bytes and tells the caller.
struct Work<'a> {
    plan: &'a Plan,
    progress: &'a mut OnProgress<'a>,
    bytes_done: u64,
    bytes_total: u64,
}

impl<'a> Work<'a> {
    fn new(
        source: &dyn Source,
        plan: &'a Plan,
        progress: &'a mut OnProgress<'a>,
    ) -> Result<Work<'a>, Error> {
        let mut bytes_total: u64 = plan.steps.iter().map(Step::read_bytes).sum();
        for file in &plan.source_files {
            bytes_total = bytes_total.saturating_add(source.len(file)?.unwrap_or(0));
        }
        Ok(Work {
            plan,
            progress,
            bytes_done: 0,
            bytes_total,
        })
    }

    fn add(&mut self, job: Job, bytes: u64) -> ControlFlow<()> {
        self.bytes_done += bytes;
        let what = match job {
            Job::Hash(file) => &self.plan.source_files[file],
            Job::Step(step) => &self.plan.tensors[self.plan.steps[step].tensor].name,
        };
        (self.progress)(&Progress {
            bytes_done: self.bytes_done,
            bytes_total: self.bytes_total,
            what,
        })
    }
}

/// Runs every step and hashes every file of the plan. Returns the hashes in the order of the plan.
///
/// # Errors
/// The first error of `deliver` and the steps in their order, of a hash, or [`Error::Cancelled`].
pub(super) fn run<'a>(
    source: &dyn Source,
    plan: &'a Plan,
    progress: &'a mut OnProgress<'a>,
    deliver: &mut Deliver<'_>,
) -> Result<Vec<FileHash>, Error> {
    let mut work = Work::new(source, plan, progress)?;
    #[cfg(not(target_family = "wasm"))]
    {
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        if n_threads > 1 {
            return threads::run(source, &mut work, n_threads.min(MAX_THREADS), deliver);
        }
    }
    run_alone(source, &mut work, deliver)
}

/// More threads than this would only hold more memory: reading and writing are the limit.
#[cfg(not(target_family = "wasm"))]
const MAX_THREADS: usize = 8;

/// One job after the other.
fn run_alone(
    source: &dyn Source,
    work: &mut Work<'_>,
    deliver: &mut Deliver<'_>,
) -> Result<Vec<FileHash>, Error> {
    let plan = work.plan;
    let mut hashes = Vec::new();
    let hash_jobs = (0..plan.source_files.len()).map(Job::Hash);
    for job in hash_jobs.chain((0..plan.steps.len()).map(Job::Step)) {
        match run_job(source, plan, job, &mut |bytes| work.add(job, bytes))? {
            Made::Hash(hash) => hashes.push(hash),
            Made::Step(output) => {
                let Job::Step(step) = job else {
                    unreachable!("only steps make pieces")
                };
                deliver(&plan.steps[step], output)?;
            }
        }
    }
    Ok(hashes)
}

#[cfg(not(target_family = "wasm"))]
mod threads;
