//! The GPU executor: buffers, pipelines, submits and reads.

use super::{Dispatch, Program};
use crate::Error;
use crate::device::Device;
use crate::ops::{Access, BufferId, Step, Tuning};
use crate::shader::{Choice, Kernel, Target, link};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A dispatch with its pipeline and bind group.
#[derive(Debug)]
pub(crate) struct Prepared {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
}

/// A copy into a staging buffer that is being mapped.
#[derive(Debug)]
pub struct PendingGpuRead {
    staging: wgpu::Buffer,
    len: u64,
    submission: wgpu::SubmissionIndex,
    mapped: futures_channel::oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

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
        Self {
            device,
            tuning: Tuning::default(),
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

    /// Tile sizes for programs prepared from now on.
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

    fn layout(
        &mut self,
        kernel: Kernel,
        access: &[Access],
    ) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
        if let Some(found) = self.layouts.get(&kernel) {
            return found.clone();
        }
        let entry = |binding: usize, ty| wgpu::BindGroupLayoutEntry {
            binding: u32::try_from(binding).expect("few bindings"),
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let step = match kernel {
            Kernel::Sample => wgpu::BufferBindingType::Storage { read_only: false },
            _ => wgpu::BufferBindingType::Uniform,
        };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform), entry(1, step)];
        for (i, access) in access.iter().enumerate() {
            let read_only = *access == Access::Read;
            entries.push(entry(i + 2, wgpu::BufferBindingType::Storage { read_only }));
        }
        let device = &self.device.device;
        let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(kernel.name()),
            entries: &entries,
        });
        let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel.name()),
            bind_group_layouts: &[Some(&group)],
            ..Default::default()
        });
        self.layouts
            .insert(kernel, (group.clone(), pipeline.clone()));
        (group, pipeline)
    }

    fn pipeline(
        &mut self,
        dispatch: &Dispatch,
        choice: &Choice,
    ) -> Result<wgpu::ComputePipeline, Error> {
        let kernel = dispatch.op.kernel();
        let constants = dispatch.op.constants(&self.tuning);
        let key = (
            kernel,
            *choice,
            constants
                .iter()
                .map(|(name, value)| (*name, value.to_bits()))
                .collect(),
        );
        if let Some(found) = self.pipelines.get(&key) {
            return Ok(found.clone());
        }
        let (_, layout) = self.layout(kernel, dispatch.op.access());
        let mut text = link(kernel, choice, Target::HERE)?;
        if let Some(patch) = self.patch {
            text = patch(kernel, text);
        }
        let device = &self.device.device;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name()),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name()),
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                // Every kernel writes workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        self.pipelines.insert(key, pipeline.clone());
        Ok(pipeline)
    }

    pub(super) async fn prepare(
        &mut self,
        dispatches: &[Dispatch],
        step: BufferId,
        base: &Choice,
    ) -> Result<Vec<Prepared>, Error> {
        self.device.check("preparing kernels")?;
        let scope = self
            .device
            .device
            .push_error_scope(wgpu::ErrorFilter::Validation);
        let mut prepared = Vec::with_capacity(dispatches.len());
        let mut params_of: HashMap<Vec<u8>, wgpu::Buffer> = HashMap::new();
        for dispatch in dispatches {
            let pipeline = self.pipeline(dispatch, &dispatch.op.choice(base))?;
            let params = dispatch.op.params();
            let uniform = match params_of.get(&params) {
                Some(buffer) => buffer.clone(),
                None => {
                    let buffer = self.uniform(&params);
                    params_of.insert(params, buffer.clone());
                    buffer
                }
            };
            let bind_group = self.bind_group(dispatch, &uniform, step);
            prepared.push(Prepared {
                pipeline,
                bind_group,
            });
        }
        if let Some(error) = scope.pop().await {
            self.device.check("preparing kernels")?;
            return Err(Error::Validation {
                doing: "preparing kernels".to_owned(),
                reason: error.to_string(),
            });
        }
        self.device.check("preparing kernels")?;
        Ok(prepared)
    }

    fn uniform(&self, params: &[u8]) -> wgpu::Buffer {
        let buffer = self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("params"),
            size: (params.len() as u64).max(16),
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.device.queue.write_buffer(&buffer, 0, params);
        buffer
    }

    fn bind_group(
        &mut self,
        dispatch: &Dispatch,
        params: &wgpu::Buffer,
        step: BufferId,
    ) -> wgpu::BindGroup {
        let kernel = dispatch.op.kernel();
        let (layout, _) = self.layout(kernel, dispatch.op.access());
        let buffers = [params, &self.buffers[step.0 as usize]].into_iter().chain(
            dispatch
                .buffers
                .iter()
                .map(|id| &self.buffers[id.0 as usize]),
        );
        let entries: Vec<wgpu::BindGroupEntry<'_>> = buffers
            .enumerate()
            .map(|(i, buffer)| wgpu::BindGroupEntry {
                binding: u32::try_from(i).expect("few bindings"),
                resource: buffer.as_entire_binding(),
            })
            .collect();
        self.device
            .device
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&dispatch.label),
                layout: &layout,
                entries: &entries,
            })
    }

    pub(super) fn run<'a>(
        &mut self,
        programs: impl Iterator<Item = &'a Program>,
        step: &Step,
    ) -> Result<(), Error> {
        self.submit(
            programs.flat_map(|program| program.dispatches.iter().zip(&program.gpu)),
            step,
        )
    }

    pub(super) fn run_range(
        &mut self,
        program: &Program,
        range: std::ops::Range<usize>,
        step: &Step,
    ) -> Result<(), Error> {
        self.submit(
            program.dispatches[range.clone()]
                .iter()
                .zip(&program.gpu[range]),
            step,
        )
    }

    fn submit<'a>(
        &self,
        steps: impl Iterator<Item = (&'a Dispatch, &'a Prepared)>,
        step: &Step,
    ) -> Result<(), Error> {
        self.device.check("running kernels")?;
        let mut encoder = self
            .device
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for (dispatch, prepared) in steps {
            self.record_one(&mut pass, dispatch, prepared, step);
        }
        drop(pass);
        self.submits.fetch_add(1, Ordering::Relaxed);
        self.device.queue.submit([encoder.finish()]);
        self.device.check("running kernels")
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
        self.submit(
            std::iter::once((&program.dispatches[index], &program.gpu[index])),
            step,
        )
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
        let found = self
            .staging
            .iter()
            .position(|buffer| buffer.size() >= len && buffer.size() <= 4 * len.max(64));
        let staging = match found {
            Some(i) => self.staging.swap_remove(i),
            None => self.device.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size: len.next_multiple_of(16).max(16),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
        };
        let mut encoder = self
            .device
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&self.buffers[id.0 as usize], offset, &staging, 0, len);
        self.submits.fetch_add(1, Ordering::Relaxed);
        let submission = self.device.queue.submit([encoder.finish()]);
        let (sender, mapped) = futures_channel::oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, 0..len, move |result| {
            // The reader may have given up: then nobody waits for the answer.
            sender.send(result).ok();
        });
        Ok(PendingGpuRead {
            staging,
            len,
            submission,
            mapped,
        })
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

    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let (sender, done) = futures_channel::oneshot::channel();
        self.device.queue.on_submitted_work_done(move || {
            sender.send(()).ok();
        });
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
