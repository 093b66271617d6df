//! A device of its own for measurements, with timestamps around compute passes.

use crate::Error;

/// Passes that one timing may hold.
const MAX_PASSES: u32 = 64;

/// A device, its queue and what a timing needs.
pub(super) struct Rig {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) info: wgpu::AdapterInfo,
    pub(super) has_subgroups: bool,
    queries: Option<wgpu::QuerySet>,
    resolve: wgpu::Buffer,
    clock: fn() -> f64,
}

/// A compute shader and the numbers that specialise it.
pub(super) struct Shader<'a> {
    pub(super) label: &'a str,
    pub(super) module: &'a wgpu::ShaderModule,
    pub(super) constants: &'a [(&'a str, f64)],
}

/// What a timing reads back: seconds of each pass and the words of the ranges asked for.
pub(super) struct Timing {
    pub(super) pass_seconds: Vec<f64>,
    pub(super) words: Vec<Vec<u32>>,
}

impl Rig {
    /// Takes the adapter whose name contains `wanted`, or the first discrete one, or the first.
    ///
    /// `clock` gives seconds; it serves only where the device has no timestamps.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] or [`Error::NoDevice`].
    pub(super) fn new(wanted: Option<&str>, clock: fn() -> f64) -> Result<Self, Error> {
        let adapter = pick_adapter(wanted)?;
        let info = adapter.get_info();
        let features =
            adapter.features() & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP);
        let (device, queue) = block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("bench"),
            required_features: features,
            required_limits: adapter.limits(),
            ..Default::default()
        }))
        .map_err(|error| Error::NoDevice {
            adapter: info.name.clone(),
            reason: error.to_string(),
        })?;
        let queries = features.contains(wgpu::Features::TIMESTAMP_QUERY).then(|| {
            device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("bench"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * MAX_PASSES,
            })
        });
        let resolve = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("bench timestamps"),
            size: u64::from(16 * MAX_PASSES),
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let has_subgroups = features.contains(wgpu::Features::SUBGROUP);
        Ok(Self {
            device,
            queue,
            info,
            has_subgroups,
            queries,
            resolve,
            clock,
        })
    }

    /// Seconds since some fixed moment.
    pub(super) fn now(&self) -> f64 {
        (self.clock)()
    }

    /// Whether the passes are timed by the device itself.
    pub(super) fn has_timestamps(&self) -> bool {
        self.queries.is_some()
    }

    pub(super) fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    pub(super) fn uniform(&self, label: &str, words: &[u32]) -> wgpu::Buffer {
        let buffer = self.buffer(label, (words.len() * 4) as u64, wgpu::BufferUsages::UNIFORM);
        self.queue
            .write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        buffer
    }

    pub(super) fn module(&self, label: &str, source: String) -> wgpu::ShaderModule {
        self.device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(label),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            })
    }

    pub(super) fn pipeline(
        &self,
        layout: &wgpu::PipelineLayout,
        shader: &Shader<'_>,
    ) -> wgpu::ComputePipeline {
        self.device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(shader.label),
                layout: Some(layout),
                module: shader.module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: shader.constants,
                    ..Default::default()
                },
                cache: None,
            })
    }

    /// Records `n_passes` passes with `record`, runs them in one submit and reads back `ranges` (byte offset and words)
    /// of `read` afterwards. `read` is zeroed first, so an old result cannot pass for a new one.
    ///
    /// # Errors
    /// [`Error::Validation`] or [`Error::DeviceLost`].
    pub(super) fn time(
        &self,
        n_passes: u32,
        record: impl Fn(&mut wgpu::ComputePass<'_>),
        read: &wgpu::Buffer,
        ranges: &[(u64, u64)],
    ) -> Result<Timing, Error> {
        let n_passes = n_passes.clamp(1, MAX_PASSES);
        let stamps_size = u64::from(16 * n_passes);
        let total: u64 = ranges.iter().map(|(_, words)| words * 4).sum();
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("bench staging"),
            size: stamps_size + total,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor {
                label: Some("bench"),
            });
        encoder.clear_buffer(read, 0, None);
        for pass_idx in 0..n_passes {
            let timestamp_writes =
                self.queries
                    .as_ref()
                    .map(|query_set| wgpu::ComputePassTimestampWrites {
                        query_set,
                        beginning_of_pass_write_index: Some(2 * pass_idx),
                        end_of_pass_write_index: Some(2 * pass_idx + 1),
                    });
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("bench"),
                timestamp_writes,
            });
            record(&mut pass);
        }
        if let Some(queries) = &self.queries {
            encoder.resolve_query_set(queries, 0..2 * n_passes, &self.resolve, 0);
            encoder.copy_buffer_to_buffer(&self.resolve, 0, &staging, 0, stamps_size);
        }
        let mut at = stamps_size;
        for (offset, words) in ranges {
            encoder.copy_buffer_to_buffer(read, *offset, &staging, at, words * 4);
            at += words * 4;
        }
        let commands = encoder.finish();
        self.wait()?;
        let start = (self.clock)();
        self.queue.submit([commands]);
        self.wait()?;
        let wall_seconds = (self.clock)() - start;
        let bytes = self.map(&staging)?;
        let (stamps, rest) = bytes.split_at(stamps_size as usize);
        let pass_seconds = if self.has_timestamps() {
            let period = f64::from(self.queue.get_timestamp_period()) * 1e-9;
            let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(stamps);
            ticks
                .chunks_exact(2)
                .map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period)
                .collect()
        } else {
            vec![wall_seconds / f64::from(n_passes); n_passes as usize]
        };
        let mut words_left: &[u8] = rest;
        let words = ranges
            .iter()
            .map(|(_, words)| {
                let (head, tail) = words_left.split_at(*words as usize * 4);
                words_left = tail;
                bytemuck::pod_collect_to_vec(head)
            })
            .collect();
        Ok(Timing {
            pass_seconds,
            words,
        })
    }

    /// Waits until everything submitted is done.
    pub(super) fn wait(&self) -> Result<(), Error> {
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map(|_| ())
            .map_err(|error| Error::DeviceLost {
                reason: error.to_string(),
            })
    }

    fn map(&self, buffer: &wgpu::Buffer) -> Result<Vec<u8>, Error> {
        let (sender, receiver) = std::sync::mpsc::channel();
        buffer.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver lives until this function returns, and the wait below runs the callback before that.
            sender.send(result).ok();
        });
        self.wait()?;
        let failed = |reason: String| Error::Validation {
            doing: "mapping a bench result".to_owned(),
            reason,
        };
        receiver
            .recv()
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        let view = buffer
            .get_mapped_range(..)
            .map_err(|error| failed(error.to_string()))?;
        let bytes = view.to_vec();
        drop(view);
        buffer.unmap();
        Ok(bytes)
    }

    /// Runs `make` and turns a validation error of the device into an [`Error`].
    pub(super) fn checked<T>(&self, doing: &str, make: impl FnOnce() -> T) -> Result<T, Error> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        match block_on(scope.pop()) {
            None => Ok(made),
            Some(error) => Err(Error::Validation {
                doing: doing.to_owned(),
                reason: error.to_string(),
            }),
        }
    }
}

fn pick_adapter(wanted: Option<&str>) -> Result<wgpu::Adapter, Error> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let mut adapters = block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let available = adapters
        .iter()
        .map(|adapter| adapter.get_info().name)
        .collect::<Vec<_>>()
        .join(", ");
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    });
    adapters
        .into_iter()
        .find(|adapter| wanted.is_none_or(|name| adapter.get_info().name.contains(name)))
        .ok_or_else(|| Error::NoAdapter {
            wanted: wanted.unwrap_or("any").to_owned(),
            available,
        })
}

/// Drives a future of the native backend, which is ready at once or after a poll of the device.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}
