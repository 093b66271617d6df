//! Shader texts and pipelines of the sweep.

use super::plan::{Dot, Kernel};
use crate::Error;
use crate::bench::read;
use crate::bench::rig::{Rig, Shader};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

macro_rules! shader {
    ($stem:literal) => {
        include_str!(concat!("../../../../shaders/bench/", $stem, ".wgsl"))
    };
}

/// A kernel and the columns that its activation scratch was sized for (0 where it has none).
type Key = (Kernel, u32);

/// All pipelines made so far.
pub(super) struct Pipelines {
    pub(super) group_layout: wgpu::BindGroupLayout,
    layout: wgpu::PipelineLayout,
    pub(super) fill: wgpu::ComputePipeline,
    /// Threads of a workgroup, loads of a thread, kernel.
    pub(super) reads: Vec<(u32, u32, wgpu::ComputePipeline)>,
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
            let group_layout = bind_group_layout(rig);
            let layout = rig
                .device
                .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                    label: Some("interleave"),
                    bind_group_layouts: &[Some(&group_layout)],
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
                group_layout,
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

    /// A pipeline that was prepared.
    pub(super) fn get(&self, kernel: &Kernel, n_cols: u32) -> Option<wgpu::ComputePipeline> {
        let made = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(&Self::key(kernel, n_cols)).cloned()
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
