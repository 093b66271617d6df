//! Plain reads of many copies, one dispatch a copy.

use super::Options;
use crate::bench::kernels::gpu;
use crate::bench::read::{CONFIGURATIONS, bind_group, pipeline, xor_of};
use crate::bench::synthetic::Random;
use crate::bench::timer::wait;
use crate::exec::GpuExecutor;
use crate::ops::{BufferId, MAX_GRID, multiple};
use crate::{Device, Error, Executor};

/// Copies of a read size beyond which more of them tell nothing new. More than of a matrix, because the cached keys and values
/// of a layer are so few bytes that a level 2 cache would hold 128 copies of them.
const MAX_COPIES: u64 = 1024;

/// Writes between two waits, which keep the driver's staging memory small.
const BYTES_BETWEEN_WAITS: u64 = 64 << 20;

/// Copies that are read, one a dispatch.
pub(super) struct Set {
    pub(super) copies: Vec<BufferId>,
    /// Bytes of a copy.
    pub(super) bytes: u64,
    /// Xor of the words of the last copy, whose sums are left.
    pub(super) checksum: u32,
}

impl Set {
    /// Random copies of `bytes` bytes.
    pub(super) async fn new(
        executor: &mut Executor,
        bytes: u64,
        options: &Options,
    ) -> Result<Self, Error> {
        multiple("read", "bytes", 16, bytes)?;
        let mut random = Random::new(options.seed);
        let mut set = Self {
            copies: Vec::new(),
            bytes,
            checksum: 0,
        };
        for _ in 0..(options.set_bytes / bytes).clamp(2, MAX_COPIES) {
            let copy = executor.create_buffer("bench read copy", bytes)?;
            // The executor has refused what is too large for a binding.
            let mut contents = vec![0; usize::try_from(bytes).unwrap_or(0)];
            random.fill(&mut contents);
            set.push(executor, copy, &contents).await?;
        }
        Ok(set)
    }

    /// Writes `contents` as the next copy.
    pub(super) async fn push(
        &mut self,
        executor: &mut Executor,
        copy: BufferId,
        contents: &[u8],
    ) -> Result<(), Error> {
        executor.write(copy, 0, contents)?;
        self.copies.push(copy);
        self.checksum = contents.chunks_exact(4).fold(0, |acc, word| {
            acc ^ u32::from_le_bytes([word[0], word[1], word[2], word[3]])
        });
        let copies_between_waits = (BYTES_BETWEEN_WAITS / self.bytes).max(1);
        if (self.copies.len() as u64).is_multiple_of(copies_between_waits) {
            let device = gpu(executor)?.device();
            device.raw().1.submit([]);
            wait(device).await?;
        }
        Ok(())
    }
}

/// The read kernels, each with its threads of a workgroup and loads of a thread.
pub(super) struct Readers {
    kernels: Vec<(u32, u32, wgpu::ComputePipeline)>,
}

/// One read kernel with a bind group for each copy of a set.
pub(super) struct Bound {
    pub(super) workgroup: u32,
    pub(super) loads: u32,
    pub(super) groups: Vec<wgpu::BindGroup>,
    pipeline: wgpu::ComputePipeline,
    n_workgroups: u32,
    sums: wgpu::Buffer,
}

impl Readers {
    pub(super) fn new(device: &Device) -> Result<Self, Error> {
        let kernels = CONFIGURATIONS
            .map(|(workgroup, loads)| (workgroup, loads, pipeline(device, workgroup, loads)));
        device.check("making the read kernels")?;
        Ok(Self {
            kernels: kernels.into(),
        })
    }

    /// All kernels that need no more workgroups than there may be.
    pub(super) fn bind(&self, gpu: &GpuExecutor, set: &Set) -> Result<Vec<Bound>, Error> {
        let device = gpu.device();
        let bound = self
            .kernels
            .iter()
            .filter_map(|(workgroup, loads, pipeline)| {
                let n_workgroups = (set.bytes / 16).div_ceil(u64::from(workgroup * loads));
                let n_workgroups = u32::try_from(n_workgroups)
                    .ok()
                    .filter(|n_workgroups| *n_workgroups <= MAX_GRID)?;
                let sums = device.raw().0.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("bench read sums"),
                    size: 4 * u64::from(n_workgroups * workgroup),
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: false,
                });
                let groups = set
                    .copies
                    .iter()
                    .map(|id| bind_group(device, pipeline, gpu.raw_buffer(*id), &sums))
                    .collect();
                Some(Bound {
                    workgroup: *workgroup,
                    loads: *loads,
                    groups,
                    pipeline: pipeline.clone(),
                    n_workgroups,
                    sums,
                })
            })
            .collect();
        device.check("binding the read kernels")?;
        Ok(bound)
    }
}

impl Bound {
    /// One dispatch a copy, each with everything set, as the executor records its own.
    pub(super) fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        for group in &self.groups {
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(self.n_workgroups, 1, 1);
        }
    }

    /// Xor of all words of the copy that was read last.
    pub(super) async fn xor(&self, device: &Device) -> Result<u32, Error> {
        let n_threads = u64::from(self.n_workgroups * self.workgroup);
        xor_of(device, &self.sums, n_threads).await
    }
}
