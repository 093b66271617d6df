//! The yardstick: what a plain read kernel reaches on this device now.

use super::synthetic::Random;
use super::timer::{Clock, Timer, map, median, wait};
use crate::Error;
use crate::device::Device;
use serde::Serialize;

/// Read kernels that are tried: threads of a workgroup, `vec4` loads of a thread.
pub(super) const CONFIGURATIONS: [(u32, u32); 10] = [
    (256, 1),
    (128, 1),
    (256, 2),
    (256, 4),
    (128, 4),
    (64, 4),
    (256, 8),
    (128, 8),
    (256, 16),
    (128, 16),
];

/// Text of the read kernel.
pub(super) const SOURCE: &str = include_str!("../../../shaders/bench/read.wgsl");

/// Seconds for which reading goes on at least, unless there is only one repetition.
const WARM_SECONDS: f64 = 0.5;

/// Dependent dispatches of a pass that times the empty one.
const EMPTY_DISPATCHES: u32 = 256;

/// What the fastest read kernel reached.
#[derive(Debug, Clone, Serialize)]
pub struct ReadSpeed {
    /// Bytes a second.
    pub bytes_per_second: f64,
    /// Bytes that one timed dispatch read.
    pub set_bytes: u64,
    /// Threads of a workgroup.
    pub workgroup: u32,
    /// `vec4<u32>` loads of a thread.
    pub loads: u32,
    /// Seconds of a dispatch that does almost nothing and waits for the one before.
    pub empty_dispatch_seconds: f64,
    /// Whether the xor of all words was right in every run.
    pub verified: bool,
}

struct Set {
    data: wgpu::Buffer,
    sums: wgpu::Buffer,
    bytes: u64,
    checksum: u32,
}

/// Reads `set_bytes` (rounded down to what the device can bind) with every configuration.
///
/// # Errors
/// [`Error::DeviceLost`], [`Error::OutOfMemory`], [`Error::Validation`].
pub async fn read_speed(
    device: &Device,
    set_bytes: u64,
    repetitions: u32,
    clock: Clock,
) -> Result<ReadSpeed, Error> {
    let repetitions = repetitions.clamp(1, 32);
    let timer = Timer::new(device, repetitions + 1);
    let set = fill(
        device,
        set_bytes.min(device.max_binding_bytes()) / 4096 * 4096,
    )
    .await?;
    let mut best: Option<ReadSpeed> = None;
    let mut verified = true;
    let start = clock();
    let mut rounds = 0;
    // The first rounds bring the clocks of an idle device up.
    while rounds == 0 || (repetitions > 1 && (rounds < 3 || clock() - start < WARM_SECONDS)) {
        rounds += 1;
        for (workgroup, loads) in CONFIGURATIONS {
            let Some((seconds, right)) =
                time_one(device, &set, &timer, (workgroup, loads), repetitions, clock).await?
            else {
                continue;
            };
            verified &= right;
            let bytes_per_second = set.bytes as f64 / seconds;
            if best
                .as_ref()
                .is_none_or(|best| bytes_per_second > best.bytes_per_second)
            {
                let set_bytes = set.bytes;
                best = Some(ReadSpeed {
                    bytes_per_second,
                    set_bytes,
                    workgroup,
                    loads,
                    empty_dispatch_seconds: 0.0,
                    verified,
                });
            }
        }
    }
    let mut best = best.ok_or(Error::Order {
        what: "no read kernel fits this device",
    })?;
    best.verified = verified;
    best.empty_dispatch_seconds = empty_dispatch(device, &set, &timer, repetitions, clock).await?;
    device.check("timing the read kernel")?;
    Ok(best)
}

/// Median seconds of one configuration, and whether it read everything; none where it needs too many workgroups.
async fn time_one(
    device: &Device,
    set: &Set,
    timer: &Timer,
    (workgroup, loads): (u32, u32),
    repetitions: u32,
    clock: Clock,
) -> Result<Option<(f64, bool)>, Error> {
    let groups = (set.bytes / 16).div_ceil(u64::from(workgroup * loads));
    let Some(groups) = u32::try_from(groups)
        .ok()
        .filter(|groups| *groups <= crate::ops::MAX_GRID)
    else {
        return Ok(None);
    };
    let pipeline = pipeline(device, workgroup, loads);
    let bind_group = bind_group(device, &pipeline, &set.data, &set.sums);
    let (raw, _) = device.raw();
    let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.clear_buffer(&set.sums, 0, None);
    for index in 0..=repetitions {
        let mut pass = timer.pass(&mut encoder, index);
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(groups, 1, 1);
    }
    let seconds = timer
        .submit(device, encoder, repetitions + 1, clock)
        .await?;
    let right = xor_of(device, &set.sums, u64::from(groups * workgroup)).await? == set.checksum;
    Ok(Some((median(&seconds[1..]), right)))
}

async fn fill(device: &Device, bytes: u64) -> Result<Set, Error> {
    const CHUNK: u64 = 8 * 1024 * 1024;
    let (raw, queue) = device.raw();
    let buffer = |label, size, usage| {
        raw.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    };
    let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let data = buffer("bench read set", bytes, storage);
    // One word for each thread, at most one thread for each vec4 and the rest of its workgroup.
    let sums = buffer(
        "bench read sums",
        bytes / 4 + 4096,
        storage | wgpu::BufferUsages::COPY_SRC,
    );
    device.check("allocating the read set")?;
    let mut random = Random::new(1);
    let mut chunk = Vec::new();
    let mut checksum = 0;
    for (n, offset) in (0..bytes).step_by(CHUNK as usize).enumerate() {
        chunk.resize(CHUNK.min(bytes - offset) as usize, 0);
        random.fill(&mut chunk);
        checksum = chunk.chunks_exact(4).fold(checksum, |acc, word| {
            acc ^ u32::from_le_bytes([word[0], word[1], word[2], word[3]])
        });
        queue.write_buffer(&data, offset, &chunk);
        // Keeps the driver's staging memory small.
        if n % 8 == 7 {
            queue.submit([]);
            wait(device).await?;
        }
    }
    Ok(Set {
        data,
        sums,
        bytes,
        checksum,
    })
}

/// The read kernel for so many threads of a workgroup and `vec4` loads of a thread.
pub(super) fn pipeline(device: &Device, workgroup: u32, loads: u32) -> wgpu::ComputePipeline {
    let (raw, _) = device.raw();
    let module = raw.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("read"),
        source: wgpu::ShaderSource::Wgsl(SOURCE.into()),
    });
    raw.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("read"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[("WG", f64::from(workgroup)), ("LOADS", f64::from(loads))],
            ..Default::default()
        },
        cache: None,
    })
}

/// The buffers of a read kernel: what it reads, and a word for each of its threads.
pub(super) fn bind_group(
    device: &Device,
    pipeline: &wgpu::ComputePipeline,
    data: &wgpu::Buffer,
    sums: &wgpu::Buffer,
) -> wgpu::BindGroup {
    let (raw, _) = device.raw();
    raw.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("read"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry {
                binding: 0,
                resource: data.as_entire_binding(),
            },
            wgpu::BindGroupEntry {
                binding: 1,
                resource: sums.as_entire_binding(),
            },
        ],
    })
}

async fn empty_dispatch(
    device: &Device,
    set: &Set,
    timer: &Timer,
    repetitions: u32,
    clock: Clock,
) -> Result<f64, Error> {
    let pipeline = pipeline(device, 64, 1);
    let bind_group = bind_group(device, &pipeline, &set.data, &set.sums);
    let (raw, _) = device.raw();
    let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    for index in 0..=repetitions {
        let mut pass = timer.pass(&mut encoder, index);
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        for _ in 0..EMPTY_DISPATCHES {
            pass.dispatch_workgroups(1, 1, 1);
        }
    }
    let seconds = timer
        .submit(device, encoder, repetitions + 1, clock)
        .await?;
    Ok(median(&seconds[1..]) / f64::from(EMPTY_DISPATCHES))
}

/// Xor of the first `words` words that the threads of a read kernel have left.
pub(super) async fn xor_of(device: &Device, sums: &wgpu::Buffer, words: u64) -> Result<u32, Error> {
    let (raw, queue) = device.raw();
    let staging = raw.create_buffer(&wgpu::BufferDescriptor {
        label: Some("bench read sums"),
        size: words * 4,
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(sums, 0, &staging, 0, words * 4);
    queue.submit([encoder.finish()]);
    let bytes = map(device, raw, &staging, words * 4).await?;
    Ok(bytes.chunks_exact(4).fold(0, |acc, word| {
        acc ^ u32::from_le_bytes([word[0], word[1], word[2], word[3]])
    }))
}
