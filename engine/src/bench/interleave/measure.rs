//! Buffers, pipelines and timings of the sweep.

use super::ReadRow;
use super::expected;
use super::plan::{Dot, Kernel, Matrix};
use crate::Error;
use crate::bench::read;
use crate::bench::rig::{Rig, Shader};
use crate::bench::timer::median;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

macro_rules! shader {
    ($stem:literal) => {
        include_str!(concat!("../../../../shaders/bench/", $stem, ".wgsl"))
    };
}

/// Copies of a matrix beyond which more of them tell nothing new.
const MAX_COPIES: u64 = 128;

/// A kernel and the columns that its activation scratch was sized for (0 where it has none).
type Key = (Kernel, u32);

/// All pipelines made so far.
pub(super) struct Pipelines {
    layout: wgpu::PipelineLayout,
    fill: wgpu::ComputePipeline,
    reads: Vec<(u32, u32, wgpu::ComputePipeline)>,
    modules: HashMap<(bool, bool, Dot), wgpu::ShaderModule>,
    kernels: Mutex<HashMap<Key, wgpu::ComputePipeline>>,
    subgroup_size: Option<u32>,
}

fn source(staged: bool, subgroup: bool, dot: Dot) -> String {
    [
        shader!("interleave"),
        if staged {
            shader!("act_workgroup")
        } else {
            shader!("act_storage")
        },
        match dot {
            Dot::Packed => shader!("dot_packed"),
            Dot::Scalar => shader!("dot_scalar"),
            Dot::Float => shader!("dot_float"),
        },
        if subgroup {
            shader!("reduce_subgroup")
        } else {
            shader!("reduce_none")
        },
    ]
    .join("\n")
}

impl Pipelines {
    pub(super) fn new(rig: &Rig) -> Result<Self, Error> {
        let info = &rig.info;
        let subgroup_size = (rig.has_subgroups && info.subgroup_min_size == info.subgroup_max_size)
            .then_some(info.subgroup_min_size);
        let mut modules = HashMap::new();
        for staged in [false, true] {
            for subgroup in [false, true]
                .into_iter()
                .filter(|subgroup| !subgroup || subgroup_size.is_some())
            {
                for dot in [Dot::Packed, Dot::Scalar, Dot::Float] {
                    let module = rig.checked("compiling the interleave kernel", || {
                        rig.module("interleave", source(staged, subgroup, dot))
                    })?;
                    modules.insert((staged, subgroup, dot), module);
                }
            }
        }
        rig.checked("making the bench pipelines", || {
            let layout = rig
                .device
                .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                    label: Some("interleave"),
                    bind_group_layouts: &[Some(&bind_group_layout(rig))],
                    immediate_size: 0,
                });
            let auto = |label, module: &wgpu::ShaderModule, constants: &[(&str, f64)]| {
                rig.device
                    .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                        label: Some(label),
                        layout: None,
                        module,
                        entry_point: Some("main"),
                        compilation_options: wgpu::PipelineCompilationOptions {
                            constants,
                            ..Default::default()
                        },
                        cache: None,
                    })
            };
            let fill = auto(
                "interleave_fill",
                &rig.module("interleave_fill", shader!("interleave_fill").to_owned()),
                &[],
            );
            let read = rig.module("read", read::SOURCE.to_owned());
            let reads = read::CONFIGURATIONS
                .iter()
                .map(|&(wg, loads)| {
                    (
                        wg,
                        loads,
                        auto(
                            "read",
                            &read,
                            &[("WG", f64::from(wg)), ("LOADS", f64::from(loads))],
                        ),
                    )
                })
                .collect();
            Self {
                layout,
                fill,
                reads,
                modules,
                kernels: Mutex::default(),
                subgroup_size,
            }
        })
    }

    pub(super) fn subgroup_size(&self) -> Option<u32> {
        self.subgroup_size
    }

    fn key(kernel: &Kernel, n_cols: u32) -> Key {
        (*kernel, if kernel.staged { n_cols } else { 0 })
    }

    /// Makes the missing pipelines for `n_cols` columns, on all cores: a driver needs tens of milliseconds for each.
    pub(super) fn prepare(&self, rig: &Rig, kernels: &[Kernel], n_cols: u32) -> Result<(), Error> {
        let missing: Vec<_> = {
            let made = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
            kernels
                .iter()
                .filter(|kernel| !made.contains_key(&Self::key(kernel, n_cols)))
                .collect()
        };
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        rig.checked("making the interleave pipelines", || {
            std::thread::scope(|scope| {
                for part in missing.chunks(missing.len().div_ceil(n_threads).max(1)) {
                    scope.spawn(move || {
                        for kernel in part {
                            let shader = Shader {
                                label: "interleave",
                                module: &self.modules
                                    [&(kernel.staged, kernel.subgroup, kernel.dot)],
                                constants: &kernel
                                    .constants(self.subgroup_size.unwrap_or(1), n_cols),
                            };
                            let pipeline = rig.pipeline(&self.layout, &shader);
                            let mut made =
                                self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
                            made.insert(Self::key(kernel, n_cols), pipeline);
                        }
                    });
                }
            });
        })
    }
}

fn bind_group_layout(rig: &Rig) -> wgpu::BindGroupLayout {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    rig.device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("interleave"),
            entries: &[
                entry(0, storage(true)),
                entry(1, storage(true)),
                entry(2, storage(false)),
                entry(3, wgpu::BufferBindingType::Uniform),
            ],
        })
}

/// The buffers of one matrix: `n_copies` different ones, their products, and what the CPU expects.
pub(super) struct Stage {
    matrix: Matrix,
    n_copies: u32,
    codes: wgpu::Buffer,
    /// `n_copies` times the rows, each start aligned to 256 bytes.
    out: wgpu::Buffer,
    out_stride: u64,
    read_out: wgpu::Buffer,
    q: wgpu::Buffer,
    params: wgpu::Buffer,
    expected: Vec<(u32, Vec<u32>)>,
    checksum: u32,
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

    fn copy_of_codes(&self, copy: u32) -> wgpu::BindingResource<'_> {
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

    fn bind_groups(&self, rig: &Rig, pipelines: &Pipelines) -> Vec<wgpu::BindGroup> {
        let Some(pipeline) = pipelines
            .kernels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .next()
            .cloned()
        else {
            return Vec::new();
        };
        let layout = pipeline.get_bind_group_layout(0);
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
                bind(rig, &layout, &entries)
            })
            .collect()
    }
}

fn bind(
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

/// Median of the passes after the first.
fn median_after_first(pass_seconds: &[f64]) -> f64 {
    median(
        pass_seconds
            .get(1..)
            .filter(|timed| !timed.is_empty())
            .unwrap_or(pass_seconds),
    )
}

/// Times kernels on a stage.
pub(super) struct Measure<'a> {
    pub(super) rig: &'a Rig,
    pub(super) pipelines: &'a Pipelines,
    pub(super) passes: u32,
}

impl Measure<'_> {
    /// Keeps the device busy for a quarter of a second, so that its clocks are up when the timing starts.
    pub(super) fn warm_up(&self, stage: &Stage) -> Result<(), Error> {
        let start = self.rig.now();
        while self.rig.now() - start < 0.25 {
            self.read_everything(stage)?;
        }
        Ok(())
    }

    /// Seconds of a dispatch of `kernel`, and whether the checked copies are right.
    pub(super) fn kernel(&self, stage: &Stage, kernel: &Kernel) -> Result<(f64, bool), Error> {
        let key = Pipelines::key(kernel, stage.matrix.n_cols);
        let pipeline = self
            .pipelines
            .kernels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        let Some(pipeline) = pipeline else {
            return Err(Error::Order {
                what: "an interleave kernel was timed before its pipeline was made",
            });
        };
        let groups = stage
            .groups
            .get_or_init(|| stage.bind_groups(self.rig, self.pipelines));
        let workgroups = stage.matrix.n_rows / kernel.rows_per_workgroup();
        let ranges: Vec<_> = stage
            .expected
            .iter()
            .map(|(copy, _)| {
                (
                    stage.out_stride * u64::from(*copy),
                    u64::from(stage.matrix.n_rows),
                )
            })
            .collect();
        let record = |pass: &mut wgpu::ComputePass<'_>| {
            pass.set_pipeline(&pipeline);
            for group in groups {
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(workgroups, 1, 1);
            }
        };
        let timing = self.rig.checked("timing an interleave kernel", || {
            self.rig.time(self.passes + 1, record, &stage.out, &ranges)
        })??;
        let verified = timing
            .words
            .iter()
            .zip(&stage.expected)
            .all(|(got, (_, expected))| got == expected);
        Ok((
            median_after_first(&timing.pass_seconds) / f64::from(stage.n_copies),
            verified,
        ))
    }

    /// The fastest plain read of the stage's copies, one dispatch a copy with barriers between.
    pub(super) fn read(&self, stage: &Stage) -> Result<ReadRow, Error> {
        let n_vec4 = stage.matrix.n_rows * stage.matrix.n_quads();
        let mut best: Option<ReadRow> = None;
        for (workgroup, loads, pipeline) in &self.pipelines.reads {
            let layout = pipeline.get_bind_group_layout(0);
            let groups: Vec<_> = (0..stage.n_copies)
                .map(|copy| {
                    let entries = [
                        (0, stage.copy_of_codes(copy)),
                        (1, stage.read_out.as_entire_binding()),
                    ];
                    bind(self.rig, &layout, &entries)
                })
                .collect();
            let workgroups = n_vec4.div_ceil(workgroup * loads);
            let record = |pass: &mut wgpu::ComputePass<'_>| {
                pass.set_pipeline(pipeline);
                for group in &groups {
                    pass.set_bind_group(0, group, &[]);
                    pass.dispatch_workgroups(workgroups, 1, 1);
                }
            };
            let ranges = [(0, u64::from(workgroups * workgroup))];
            let timing = self.rig.checked("timing the read kernel", || {
                self.rig
                    .time(self.passes + 1, record, &stage.read_out, &ranges)
            })??;
            // All copies write to the same place, so the last one's sums are left.
            let verified = timing.words[0].iter().fold(0, |acc, word| acc ^ word) == stage.checksum;
            let seconds = median_after_first(&timing.pass_seconds) / f64::from(stage.n_copies);
            let row = ReadRow {
                matrix: stage.matrix,
                bytes: stage.matrix.bytes(),
                copies: stage.n_copies,
                workgroup: *workgroup,
                loads: *loads,
                seconds,
                verified,
            };
            if best
                .as_ref()
                .is_none_or(|best| (!best.verified, best.seconds) > (!verified, seconds))
            {
                best = Some(row);
            }
        }
        best.ok_or(Error::Order {
            what: "no read kernel was made",
        })
    }

    /// Bytes a second of one plain read over all copies together.
    pub(super) fn read_everything(&self, stage: &Stage) -> Result<f64, Error> {
        let bytes = stage.matrix.bytes() * u64::from(stage.n_copies);
        let mut best = f64::INFINITY;
        for (workgroup, loads, pipeline) in &self.pipelines.reads {
            let workgroups = (bytes / 16).div_ceil(u64::from(workgroup * loads));
            if workgroups > 65535 {
                continue;
            }
            let layout = pipeline.get_bind_group_layout(0);
            let entries = [
                (0, stage.codes.as_entire_binding()),
                (1, stage.read_out.as_entire_binding()),
            ];
            let group = bind(self.rig, &layout, &entries);
            let record = |pass: &mut wgpu::ComputePass<'_>| {
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(workgroups as u32, 1, 1);
            };
            let timing = self.rig.checked("timing the read kernel", || {
                self.rig
                    .time(self.passes + 1, record, &stage.read_out, &[(0, 1)])
            })??;
            best = best.min(median_after_first(&timing.pass_seconds));
        }
        Ok(bytes as f64 / best)
    }

    /// Seconds of a dispatch that reads one vec4 and depends on the one before.
    pub(super) fn empty_dispatch(&self, stage: &Stage) -> Result<f64, Error> {
        const N: u32 = 256;
        let Some((_, _, pipeline)) = self.pipelines.reads.first() else {
            return Ok(f64::NAN);
        };
        let layout = pipeline.get_bind_group_layout(0);
        let group = bind(
            self.rig,
            &layout,
            &[
                (0, stage.copy_of_codes(0)),
                (1, stage.read_out.as_entire_binding()),
            ],
        );
        let record = |pass: &mut wgpu::ComputePass<'_>| {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &group, &[]);
            for _ in 0..N {
                pass.dispatch_workgroups(1, 1, 1);
            }
        };
        let timing = self.rig.checked("timing an empty dispatch", || {
            self.rig
                .time(self.passes + 1, record, &stage.read_out, &[(0, 1)])
        })??;
        Ok(median_after_first(&timing.pass_seconds) / f64::from(N))
    }
}
