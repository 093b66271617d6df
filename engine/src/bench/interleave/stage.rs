//! The buffers of one matrix of the sweep.

use super::expected;
use super::pipelines::Pipelines;
use super::plan::Matrix;
use crate::Error;
use crate::bench::rig::Rig;
use std::cell::OnceCell;

/// Copies of a matrix beyond which more of them tell nothing new.
const MAX_COPIES: u64 = 128;

/// The buffers of one matrix: `n_copies` different ones, their products, and what the CPU expects.
pub(super) struct Stage {
    pub(super) matrix: Matrix,
    pub(super) n_copies: u32,
    pub(super) codes: wgpu::Buffer,
    /// `n_copies` times the rows, each start aligned to 256 bytes.
    pub(super) out: wgpu::Buffer,
    pub(super) out_stride: u64,
    pub(super) read_out: wgpu::Buffer,
    q: wgpu::Buffer,
    params: wgpu::Buffer,
    pub(super) expected: Vec<(u32, Vec<u32>)>,
    pub(super) checksum: u32,
    /// Bind groups of all copies, made when first wanted.
    groups: OnceCell<Vec<wgpu::BindGroup>>,
}

impl Stage {
    pub(super) fn new(rig: &Rig, matrix: &Matrix, set_bytes: u64) -> Result<Self, Error> {
        let n_copies = (set_bytes / matrix.bytes()).clamp(2, MAX_COPIES) as u32;
        let last = n_copies - 1;
        let activations = expected::activations(matrix.n_cols);
        let sum_q: i32 = activations.iter().map(|&q| i32::from(q)).sum();
        let expected = [0, last]
            .map(|copy| (copy, expected::product(matrix, copy, &activations)))
            .to_vec();
        let out_stride = (u64::from(matrix.n_rows) * 4).next_multiple_of(256);
        let storage = wgpu::BufferUsages::STORAGE;
        rig.checked("allocating the bench matrices", || {
            let q = rig.buffer("bench q", u64::from(matrix.n_cols), storage);
            rig.queue
                .write_buffer(&q, 0, bytemuck::cast_slice(&activations));
            Self {
                matrix: *matrix,
                n_copies,
                codes: rig.buffer("bench codes", matrix.bytes() * u64::from(n_copies), storage),
                out: rig.buffer(
                    "bench out",
                    out_stride * u64::from(n_copies),
                    storage | wgpu::BufferUsages::COPY_SRC,
                ),
                out_stride,
                // One word for each thread of the largest read grid: one load a thread over the whole set.
                read_out: rig.buffer(
                    "bench read sums",
                    matrix.bytes() * u64::from(n_copies) / 4 + 4096,
                    storage | wgpu::BufferUsages::COPY_SRC,
                ),
                q,
                params: rig.uniform(
                    "bench params",
                    &[matrix.n_rows, matrix.n_quads(), sum_q.cast_unsigned(), 0],
                ),
                expected,
                checksum: expected::checksum(matrix, last),
                groups: OnceCell::new(),
            }
        })
    }

    pub(super) fn copy_of_codes(&self, copy: u32) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.codes,
            offset: self.matrix.bytes() * u64::from(copy),
            size: wgpu::BufferSize::new(self.matrix.bytes()),
        })
    }

    /// Writes all copies in the given interleaving.
    pub(super) fn fill(
        &self,
        rig: &Rig,
        pipelines: &Pipelines,
        rows_per_tile: u32,
    ) -> Result<(), Error> {
        rig.checked("filling the bench matrices", || {
            let layout = pipelines.fill.get_bind_group_layout(0);
            let mut encoder = rig
                .device
                .create_command_encoder(&wgpu::CommandEncoderDescriptor {
                    label: Some("fill"),
                });
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipelines.fill);
            for copy in 0..self.n_copies {
                let fill = rig.uniform(
                    "fill",
                    &[
                        self.matrix.n_rows,
                        self.matrix.n_quads(),
                        rows_per_tile,
                        copy,
                    ],
                );
                let group = bind(
                    rig,
                    &layout,
                    &[(0, self.copy_of_codes(copy)), (1, fill.as_entire_binding())],
                );
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(
                    (self.matrix.n_rows * self.matrix.n_quads()).div_ceil(256),
                    1,
                    1,
                );
            }
            drop(pass);
            rig.queue.submit([encoder.finish()]);
        })?;
        rig.wait()
    }

    /// Bind groups of all copies.
    pub(super) fn groups(&self, rig: &Rig, pipelines: &Pipelines) -> &[wgpu::BindGroup] {
        self.groups
            .get_or_init(|| self.bind_groups(rig, &pipelines.group_layout))
    }

    fn bind_groups(&self, rig: &Rig, layout: &wgpu::BindGroupLayout) -> Vec<wgpu::BindGroup> {
        (0..self.n_copies)
            .map(|copy| {
                let out = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &self.out,
                    offset: self.out_stride * u64::from(copy),
                    size: wgpu::BufferSize::new(u64::from(self.matrix.n_rows) * 4),
                });
                let entries = [
                    (0, self.copy_of_codes(copy)),
                    (1, self.q.as_entire_binding()),
                    (2, out),
                    (3, self.params.as_entire_binding()),
                ];
                bind(rig, layout, &entries)
            })
            .collect()
    }
}

/// A bind group of whole resources.
pub(super) fn bind(
    rig: &Rig,
    layout: &wgpu::BindGroupLayout,
    entries: &[(u32, wgpu::BindingResource<'_>)],
) -> wgpu::BindGroup {
    let entries: Vec<_> = entries
        .iter()
        .map(|(binding, resource)| wgpu::BindGroupEntry {
            binding: *binding,
            resource: resource.clone(),
        })
        .collect();
    rig.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("bench"),
        layout,
        entries: &entries,
    })
}
