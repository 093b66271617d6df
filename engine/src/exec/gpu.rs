//! The GPU executor: buffers, submits and reads.

mod prepare;

pub(crate) use prepare::Compiling;

use super::{Dispatch, Program};
use crate::Error;
use crate::device::Device;
use crate::ops::{BufferId, Step, Tuning};
use crate::shader::{Choice, Kernel};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A dispatch with its pipeline and bind group.
#[derive(Debug)]
pub(crate) struct Prepared {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
}

/// Least bytes of a staging buffer: the results of as many steps as may share a submit, so that a change of their number allocates
/// nothing.
const LEAST_STAGING_BYTES: u64 = 64;

/// A copy into a staging buffer that is being mapped.
#[derive(Debug)]
pub struct PendingGpuRead {
    staging: wgpu::Buffer,
    len: u64,
    submission: wgpu::SubmissionIndex,
    mapped: futures_channel::oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

/// Submitted work and writes that are waited for; nothing where all is done at once.
#[derive(Debug, Default)]
pub struct PendingFlush(Option<futures_channel::oneshot::Receiver<()>>);

type PipelineKey = (Kernel, Choice, Vec<(&'static str, u64)>);

/// Runs programs through wgpu.
#[derive(Debug)]
pub struct GpuExecutor {
    device: Device,
    tuning: Tuning,
    buffers: Vec<wgpu::Buffer>,
    pipelines: HashMap<PipelineKey, wgpu::ComputePipeline>,
    layouts: HashMap<Kernel, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
    /// Unmapped staging buffers, reused so that decoding allocates nothing.
    staging: Vec<wgpu::Buffer>,
    patch: Option<fn(Kernel, String) -> String>,
    submits: AtomicU64,
}

impl GpuExecutor {
    /// An executor without buffers.
    #[must_use]
    pub fn new(device: Device) -> Self {
        let base = if device.has_wide_workgroups() {
            Tuning::wide()
        } else {
            Tuning::default()
        };
        let tuning = Tuning {
            // A software adapter has nothing to hide a dispatch behind, and pays for all arithmetic.
            fused: !device.is_software(),
            attention_loops: device.is_software(),
            subgroup_lanes: device.subgroup_lanes(),
            ..base
        };
        Self {
            device,
            tuning,
            buffers: Vec::new(),
            pipelines: HashMap::new(),
            layouts: HashMap::new(),
            staging: Vec::new(),
            patch: None,
            submits: AtomicU64::new(0),
        }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Tile sizes in use.
    #[must_use]
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// Tile sizes for programs prepared from now on; what only says which ops run at which positions holds for all.
    pub fn set_tuning(&mut self, tuning: Tuning) {
        self.tuning = tuning;
    }

    /// Changes kernel texts before they are compiled: for tests that prove that a mistake is noticed.
    pub fn set_patch(&mut self, patch: fn(Kernel, String) -> String) {
        self.patch = Some(patch);
    }

    pub(super) fn create_buffer(&mut self, label: &str, bytes: u64) -> Result<BufferId, Error> {
        self.device.check(label)?;
        let limit = self.device.max_binding_bytes();
        if bytes > limit {
            return Err(Error::Limit {
                what: label.to_owned(),
                needed: bytes,
                limit,
                name: "storage buffer bytes",
            });
        }
        let buffer = self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            // Whole vec4s, so that every view in the shaders fits.
            size: bytes.next_multiple_of(16).max(16),
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::UNIFORM
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        self.device.check(label)?;
        self.buffers.push(buffer);
        Ok(BufferId(
            u32::try_from(self.buffers.len() - 1).expect("fewer than 2^32 buffers"),
        ))
    }

    /// A buffer, for measurements that bind it to kernels of their own.
    pub(crate) fn raw_buffer(&self, id: BufferId) -> &wgpu::Buffer {
        &self.buffers[id.0 as usize]
    }

    pub(super) fn free_buffers(&mut self) {
        for buffer in self.buffers.drain(..).chain(self.staging.drain(..)) {
            buffer.destroy();
        }
    }

    pub(super) fn buffer_bytes(&self, id: BufferId) -> u64 {
        self.buffers[id.0 as usize].size()
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        self.buffers.iter().map(wgpu::Buffer::size).sum()
    }

    pub(super) fn write(&mut self, id: BufferId, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.device.check("writing a buffer")?;
        self.device
            .queue
            .write_buffer(&self.buffers[id.0 as usize], offset, bytes);
        Ok(())
    }

    pub(super) fn run<'a>(
        &mut self,
        programs: impl Iterator<Item = &'a Program>,
        step: &Step,
    ) -> Result<(), Error> {
        let dispatches = flatten(programs).map(|dispatch| (dispatch, step));
        self.submit(dispatches, None).map(|_| ())
    }

    /// The programs once for each step, with a read of a buffer range behind them in the same submit.
    pub(super) fn run_and_read(
        &mut self,
        programs: &[&Program],
        steps: &[Step],
        range: (BufferId, u64, u64),
    ) -> Result<PendingGpuRead, Error> {
        let staging = self.staging(range.2);
        let dispatches = steps.iter().flat_map(|step| {
            flatten(programs.iter().copied()).map(move |dispatch| (dispatch, step))
        });
        let submission = self.submit(dispatches, Some((range, &staging)))?;
        Ok(begin_map(staging, range.2, submission))
    }

    pub(super) fn run_range(
        &mut self,
        program: &Program,
        range: std::ops::Range<usize>,
        step: &Step,
    ) -> Result<(), Error> {
        let dispatches = program.dispatches[range.clone()]
            .iter()
            .zip(&program.gpu[range])
            .map(|dispatch| (dispatch, step));
        self.submit(dispatches, None).map(|_| ())
    }

    fn submit<'a>(
        &self,
        dispatches: impl Iterator<Item = ((&'a Dispatch, &'a Prepared), &'a Step)>,
        read: Option<((BufferId, u64, u64), &wgpu::Buffer)>,
    ) -> Result<wgpu::SubmissionIndex, Error> {
        self.device.check("running kernels")?;
        let mut encoder = self
            .device
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for ((dispatch, prepared), step) in dispatches {
            self.record_one(&mut pass, dispatch, prepared, step);
        }
        drop(pass);
        if let Some(((id, offset, len), staging)) = read {
            encoder.copy_buffer_to_buffer(&self.buffers[id.0 as usize], offset, staging, 0, len);
        }
        self.submits.fetch_add(1, Ordering::Relaxed);
        let submission = self.device.queue.submit([encoder.finish()]);
        self.device.check("running kernels")?;
        Ok(submission)
    }

    /// Records one dispatch; returns whether there was anything to do.
    fn record_one(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        dispatch: &Dispatch,
        prepared: &Prepared,
        step: &Step,
    ) -> bool {
        let [x, y, z] = dispatch.op.grid(step, &self.tuning);
        if x * y * z == 0 {
            return false;
        }
        pass.set_pipeline(&prepared.pipeline);
        pass.set_bind_group(0, &prepared.bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
        true
    }

    /// Records one dispatch of a program into a pass of the caller, for measurements with timestamps around it; returns
    /// whether there was anything to do.
    pub(crate) fn record(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        program: &Program,
        index: usize,
        step: &Step,
    ) -> bool {
        self.record_one(pass, &program.dispatches[index], &program.gpu[index], step)
    }

    /// Runs one dispatch of a program.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Validation`].
    pub(crate) fn run_one(
        &self,
        program: &Program,
        index: usize,
        step: &Step,
    ) -> Result<(), Error> {
        let dispatch = (&program.dispatches[index], &program.gpu[index]);
        self.submit(std::iter::once((dispatch, step)), None)
            .map(|_| ())
    }

    /// Submits so far.
    #[must_use]
    pub fn submits(&self) -> u64 {
        self.submits.load(Ordering::Relaxed)
    }

    pub(super) fn begin_read(
        &mut self,
        id: BufferId,
        offset: u64,
        len: u64,
    ) -> Result<PendingGpuRead, Error> {
        self.device.check("reading a buffer")?;
        let staging = self.staging(len);
        let mut encoder = self
            .device
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&self.buffers[id.0 as usize], offset, &staging, 0, len);
        self.submits.fetch_add(1, Ordering::Relaxed);
        let submission = self.device.queue.submit([encoder.finish()]);
        Ok(begin_map(staging, len, submission))
    }

    /// A staging buffer of at least `len` bytes that is not in use.
    fn staging(&mut self, len: u64) -> wgpu::Buffer {
        let found = self
            .staging
            .iter()
            .position(|buffer| buffer.size() >= len && buffer.size() <= 4 * len.max(64));
        match found {
            Some(i) => self.staging.swap_remove(i),
            None => self.device.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size: len.next_multiple_of(16).max(LEAST_STAGING_BYTES),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
        }
    }

    pub(super) async fn finish_read(&mut self, read: PendingGpuRead) -> Result<Vec<u8>, Error> {
        self.wait(Some(read.submission))?;
        match read.mapped.await {
            Ok(Ok(())) => {}
            // A map of a valid staging buffer only fails when the device is gone.
            failed => self
                .device
                .mark_lost(&format!("a buffer could not be mapped: {failed:?}")),
        }
        self.device.check("reading a buffer")?;
        let bytes = match read.staging.get_mapped_range(0..read.len) {
            Ok(view) => view.to_vec(),
            Err(error) => {
                self.device
                    .mark_lost(&format!("a mapped buffer could not be read: {error}"));
                self.device.check("reading a buffer")?;
                Vec::new()
            }
        };
        read.staging.unmap();
        if self.staging.len() < 8 {
            self.staging.push(read.staging);
        }
        Ok(bytes)
    }

    pub(super) fn begin_flush(&self) -> PendingFlush {
        let (sender, done) = futures_channel::oneshot::channel();
        self.device.queue.on_submitted_work_done(move || {
            sender.send(()).ok();
        });
        PendingFlush(Some(done))
    }

    pub(super) async fn finish_flush(&self, flush: PendingFlush) -> Result<(), Error> {
        let Some(done) = flush.0 else { return Ok(()) };
        self.wait(None)?;
        if done.await.is_err() {
            self.device.mark_lost("the queue dropped its work");
        }
        self.device.check("waiting for the GPU")
    }

    /// Drives native callbacks until a submission (or all work) is done. Browsers drive their own.
    fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<(), Error> {
        let poll = wgpu::PollType::Wait {
            submission_index,
            timeout: None,
        };
        if let Err(error) = self.device.device.poll(poll) {
            self.device.check("waiting for the GPU")?;
            return Err(Error::Validation {
                doing: "waiting for the GPU".to_owned(),
                reason: error.to_string(),
            });
        }
        Ok(())
    }
}

/// The dispatches of programs, one after the other.
fn flatten<'a>(
    programs: impl Iterator<Item = &'a Program>,
) -> impl Iterator<Item = (&'a Dispatch, &'a Prepared)> {
    programs.flat_map(|program| program.dispatches.iter().zip(&program.gpu))
}

/// Asks for a staging buffer's contents, behind the submission that fills it.
fn begin_map(staging: wgpu::Buffer, len: u64, submission: wgpu::SubmissionIndex) -> PendingGpuRead {
    let (sender, mapped) = futures_channel::oneshot::channel();
    staging.map_async(wgpu::MapMode::Read, 0..len, move |result| {
        // The reader may have given up: then nobody waits for the answer.
        sender.send(result).ok();
    });
    PendingGpuRead {
        staging,
        len,
        submission,
        mapped,
    }
}
