//! Pipelines and bind groups: everything that is made before a program can run.

use super::{GpuExecutor, Prepared};
use crate::Error;
use crate::exec::Dispatch;
use crate::ops::{Access, BufferId};
use crate::shader::{Choice, Kernel, Target, link};
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;

/// What a device will say of its work.
type Verdict = Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>;

/// Kernels that a device is compiling, unless there are none.
#[derive(Default)]
pub(crate) struct Compiling(Option<Verdict>);

impl fmt::Debug for Compiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Compiling").field(&self.0.is_some()).finish()
    }
}

impl GpuExecutor {
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
        let sizes = dispatch.op.sizes(&self.tuning);
        let overrides = constants
            .iter()
            .map(|(name, value)| (*name, value.to_bits()));
        let written = sizes.iter().map(|(name, value)| (*name, u64::from(*value)));
        let key = (kernel, *choice, overrides.chain(written).collect());
        if let Some(found) = self.pipelines.get(&key) {
            return Ok(found.clone());
        }
        let (_, layout) = self.layout(kernel, dispatch.op.access());
        let mut text = link(kernel, choice, Target::HERE, &sizes)?;
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

    pub(in crate::exec) async fn prepare(
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
        self.judged(scope.pop().await)?;
        Ok(prepared)
    }

    /// Begins to compile the kernels of dispatches and waits for nothing. Browsers compile them in another process.
    pub(in crate::exec) fn compile(
        &mut self,
        mut dispatches: impl Iterator<Item = Dispatch>,
        base: &Choice,
    ) -> Result<Compiling, Error> {
        self.device.check("preparing kernels")?;
        let scope = self
            .device
            .device
            .push_error_scope(wgpu::ErrorFilter::Validation);
        dispatches.try_for_each(|dispatch| {
            let choice = dispatch.op.choice(base);
            self.pipeline(&dispatch, &choice).map(drop)
        })?;
        Ok(Compiling(Some(Box::pin(scope.pop()))))
    }

    /// Waits for kernels.
    pub(in crate::exec) async fn compiled(&self, kernels: Compiling) -> Result<(), Error> {
        match kernels.0 {
            Some(verdict) => self.judged(verdict.await),
            None => Ok(()),
        }
    }

    /// What an error scope around the making of kernels means.
    fn judged(&self, verdict: Option<wgpu::Error>) -> Result<(), Error> {
        self.device.check("preparing kernels")?;
        match verdict {
            None => Ok(()),
            Some(error) => Err(Error::Validation {
                doing: "preparing kernels".to_owned(),
                reason: error.to_string(),
            }),
        }
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
}
