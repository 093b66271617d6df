//! Times of compute passes: by the device's own timestamps, or by a clock around a whole submit.

use crate::Error;
use crate::device::Device;

/// Seconds since any fixed moment. Passed in, because a library for browsers has no clock of its own.
pub type Clock = fn() -> f64;

/// Query and staging buffers for up to `capacity` timed passes.
pub(super) struct Timer {
    queries: Option<wgpu::QuerySet>,
    resolve: wgpu::Buffer,
    staging: wgpu::Buffer,
    seconds_per_tick: f64,
}

impl Timer {
    /// Uses timestamps only where they are fine enough for single dispatches: native devices. Browsers round them to 100 us.
    pub(super) fn new(device: &Device, capacity: u32) -> Self {
        let (raw, queue) = device.raw();
        let wanted = cfg!(not(target_arch = "wasm32"))
            && raw.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let queries = wanted.then(|| {
            raw.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("bench"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * capacity,
            })
        });
        let buffer = |usage| {
            raw.create_buffer(&wgpu::BufferDescriptor {
                label: Some("bench timestamps"),
                size: u64::from(16 * capacity),
                usage,
                mapped_at_creation: false,
            })
        };
        Self {
            queries,
            resolve: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            staging: buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ),
            seconds_per_tick: f64::from(queue.get_timestamp_period()) * 1e-9,
        }
    }

    /// Whether the device times its passes.
    pub(super) fn has_timestamps(&self) -> bool {
        self.queries.is_some()
    }

    /// Begins a pass that is timed as number `index`.
    pub(super) fn pass<'e>(
        &self,
        encoder: &'e mut wgpu::CommandEncoder,
        index: u32,
    ) -> wgpu::ComputePass<'e> {
        let timestamp_writes =
            self.queries
                .as_ref()
                .map(|query_set| wgpu::ComputePassTimestampWrites {
                    query_set,
                    beginning_of_pass_write_index: Some(2 * index),
                    end_of_pass_write_index: Some(2 * index + 1),
                });
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("bench"),
            timestamp_writes,
        })
    }

    /// Submits `encoder`, waits, and gives the seconds of its first `n_passes` passes. Without timestamps each pass gets its
    /// share of the time that the clock shows around the submit.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Validation`].
    pub(super) async fn submit(
        &self,
        device: &Device,
        mut encoder: wgpu::CommandEncoder,
        n_passes: u32,
        clock: Clock,
    ) -> Result<Vec<f64>, Error> {
        let (raw, queue) = device.raw();
        if let Some(queries) = &self.queries {
            encoder.resolve_query_set(queries, 0..2 * n_passes, &self.resolve, 0);
            encoder.copy_buffer_to_buffer(
                &self.resolve,
                0,
                &self.staging,
                0,
                u64::from(16 * n_passes),
            );
        }
        let start = clock();
        queue.submit([encoder.finish()]);
        wait(device).await?;
        let wall = clock() - start;
        if self.queries.is_none() {
            return Ok(vec![wall / f64::from(n_passes.max(1)); n_passes as usize]);
        }
        let bytes = map(device, raw, &self.staging, u64::from(16 * n_passes)).await?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        Ok(ticks
            .chunks_exact(2)
            .map(|pair| pair[1].saturating_sub(pair[0]) as f64 * self.seconds_per_tick)
            .collect())
    }
}

/// Waits until all submitted work is done.
///
/// # Errors
/// [`Error::DeviceLost`].
pub(super) async fn wait(device: &Device) -> Result<(), Error> {
    let (raw, queue) = device.raw();
    let (sender, done) = futures_channel::oneshot::channel();
    queue.on_submitted_work_done(move || {
        // The receiver lives until the end of this function.
        sender.send(()).ok();
    });
    poll(raw)?;
    done.await.map_err(|_| Error::DeviceLost {
        reason: "the queue dropped its work".to_owned(),
    })?;
    device.check("waiting for a measurement")
}

/// Drives native callbacks; browsers drive their own.
fn poll(raw: &wgpu::Device) -> Result<(), Error> {
    raw.poll(wgpu::PollType::wait_indefinitely())
        .map(|_| ())
        .map_err(|error| Error::DeviceLost {
            reason: error.to_string(),
        })
}

/// The first `len` bytes of a mappable buffer.
///
/// # Errors
/// [`Error::DeviceLost`], [`Error::Validation`].
pub(super) async fn map(
    device: &Device,
    raw: &wgpu::Device,
    buffer: &wgpu::Buffer,
    len: u64,
) -> Result<Vec<u8>, Error> {
    let (sender, mapped) = futures_channel::oneshot::channel();
    buffer.map_async(wgpu::MapMode::Read, 0..len, move |result| {
        sender.send(result).ok();
    });
    poll(raw)?;
    let failed = |reason: String| Error::Validation {
        doing: "reading a measurement".to_owned(),
        reason,
    };
    match mapped.await {
        Ok(Ok(())) => {}
        other => {
            device.check("reading a measurement")?;
            return Err(failed(format!("{other:?}")));
        }
    }
    let view = buffer
        .get_mapped_range(0..len)
        .map_err(|error| failed(error.to_string()))?;
    let bytes = view.to_vec();
    drop(view);
    buffer.unmap();
    Ok(bytes)
}

/// Middle value; NaN of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
