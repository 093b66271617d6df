//! Every shader text that can be linked parses, validates and agrees with its op: bindings, params, overrides, limits.

#![allow(clippy::unwrap_used, reason = "tests")]

mod shaders {
    pub(crate) mod cases;
    mod constants;
}

use engine::ops::{
    Access, Epilogue, NormGemv, Op, Reach, RopeAttention, Shares, TernaryGemv, Tuning,
};
use engine::shader::{Choice, Kernel, Target, link};
use engine::{KvType, Rows, Variant};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};
use shaders::cases::ops;

/// WebGPU's default limits, which every kernel must keep.
const MAX_WORKGROUP_BYTES: u32 = 16_384;
const MAX_INVOCATIONS: f64 = 256.0;
const MAX_STORAGE_BUFFERS: usize = 8;

fn choices() -> Vec<Choice> {
    let mut out = Vec::new();
    for variant in Variant::ALL {
        for kv in KvType::ALL {
            for rows in [Rows::F16, Rows::Q8, Rows::Q6, Rows::Q4] {
                out.push(Choice { variant, kv, rows });
            }
        }
    }
    out
}

/// The distinct texts of a kernel.
fn texts(kernel: Kernel, target: Target) -> Vec<(Choice, String)> {
    let mut out: Vec<(Choice, String)> = Vec::new();
    for choice in choices() {
        if !out
            .iter()
            .any(|(other, _)| kernel.same_text(other, &choice))
        {
            out.push((choice, link(kernel, &choice, target, &[]).unwrap()));
        }
    }
    out
}

fn parse(kernel: Kernel, text: &str) -> Module {
    naga::front::wgsl::parse_str(text)
        .unwrap_or_else(|error| panic!("{}: {}", kernel.name(), error.emit_to_string(text)))
}

fn validate(kernel: Kernel, choice: &Choice, text: &str) -> Module {
    let module = parse(kernel, text);
    // The second is what unpack2x16float needs; every WebGPU device has it.
    let capabilities =
        naga::valid::Capabilities::SUBGROUP | naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
    validator
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all());
    if let Err(error) = validator.validate(&module) {
        panic!(
            "{} with {choice:?}: {}",
            kernel.name(),
            error.emit_to_string(text)
        );
    }
    module
}

#[test]
fn every_text_validates() {
    for &kernel in Kernel::ALL {
        for (choice, text) in texts(kernel, Target::Native) {
            validate(kernel, &choice, &text);
        }
    }
}

#[test]
fn choices_that_share_a_text_really_do() {
    for &kernel in Kernel::ALL {
        for a in choices() {
            for b in choices() {
                let same = link(kernel, &a, Target::Native, &[]).unwrap()
                    == link(kernel, &b, Target::Native, &[]).unwrap();
                assert_eq!(
                    same,
                    kernel.same_text(&a, &b),
                    "{} with {a:?} and {b:?}",
                    kernel.name()
                );
            }
        }
    }
}

#[test]
fn browsers_get_their_directives_first() {
    for &kernel in Kernel::ALL {
        for (choice, text) in texts(kernel, Target::Web) {
            let uses_subgroups = text.contains("subgroupAdd(") || text.contains("subgroupShuffle");
            assert_eq!(
                text.contains("enable subgroups;"),
                uses_subgroups,
                "{} with {choice:?}",
                kernel.name()
            );
            let uses_packed = text.contains("dot4I8Packed(");
            let requires = text.contains("requires packed_4x8_integer_dot_product;");
            assert_eq!(requires, uses_packed, "{} with {choice:?}", kernel.name());
            let is_directive =
                |line: &&str| line.starts_with("enable ") || line.starts_with("requires ");
            let directives = text.lines().filter(is_directive).count();
            assert_eq!(
                text.lines().take_while(is_directive).count(),
                directives,
                "{}",
                kernel.name()
            );
        }
    }
}

#[test]
fn there_is_an_op_for_every_kernel() {
    let mut with_ops: Vec<Kernel> = ops().iter().map(|(op, _)| op.kernel()).collect();
    with_ops.sort_unstable();
    let mut all = Kernel::ALL.to_vec();
    all.sort_unstable();
    assert_eq!(with_ops, all);
}

/// Calls `check` with every op, its expected params and the module of each of its texts.
fn each_module(check: impl Fn(&dyn Op, &[(&str, u32)], &Module)) {
    for (op, params) in ops() {
        for (choice, text) in texts(op.kernel(), Target::Native) {
            check(op.as_ref(), &params, &validate(op.kernel(), &choice, &text));
        }
    }
}

#[test]
fn bindings_agree_with_the_op() {
    each_module(|op, _, module| {
        let name = op.kernel().name();
        let mut found: Vec<(u32, AddressSpace)> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| {
                let binding = variable.binding?;
                assert_eq!(binding.group, 0, "{name}");
                Some((binding.binding, variable.space))
            })
            .collect();
        found.sort_unstable_by_key(|(binding, _)| *binding);
        let read = AddressSpace::Storage {
            access: StorageAccess::LOAD,
        };
        let read_write = AddressSpace::Storage {
            access: StorageAccess::LOAD | StorageAccess::STORE,
        };
        let step = if op.kernel() == Kernel::Sample {
            read_write
        } else {
            AddressSpace::Uniform
        };
        let first = u32::from(op.params().is_empty());
        let mut expected = if first == 0 {
            vec![AddressSpace::Uniform, step]
        } else {
            vec![step]
        };
        expected.extend(op.access().iter().map(|access| {
            if *access == Access::Read {
                read
            } else {
                read_write
            }
        }));
        let expected: Vec<(u32, AddressSpace)> = (first..).zip(expected).collect();
        assert_eq!(found, expected, "{name}");
        let storage = expected
            .iter()
            .filter(|(_, space)| matches!(space, AddressSpace::Storage { .. }))
            .count();
        assert!(
            storage <= MAX_STORAGE_BUFFERS,
            "{name} binds {storage} storage buffers"
        );
    });
}

#[test]
fn params_agree_with_the_op() {
    each_module(|op, expected, module| {
        let name = op.kernel().name();
        let uniform = module
            .global_variables
            .iter()
            .find(|(_, variable)| variable.binding.is_some_and(|binding| binding.binding == 0));
        let Some((_, variable)) = uniform else {
            assert!(op.params().is_empty() && expected.is_empty(), "{name}");
            return;
        };
        let TypeInner::Struct { members, span } = &module.types[variable.ty].inner else {
            panic!("{name}: no struct")
        };
        let bytes = op.params();
        assert!(
            bytes.len().is_multiple_of(16),
            "{name}: {} bytes of params",
            bytes.len()
        );
        assert!(
            *span as usize <= bytes.len(),
            "{name}: the shader reads {span} of {} bytes",
            bytes.len()
        );
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        for member in members {
            let member_name = member.name.clone().unwrap();
            let word = words[member.offset as usize / 4];
            match expected.iter().find(|(name, _)| *name == member_name) {
                Some((_, value)) => assert_eq!(word, *value, "{name}: params.{member_name}"),
                None => assert!(
                    member_name == "pad" || member_name == "group",
                    "{name}: params.{member_name} is not in the test"
                ),
            }
        }
        for (wanted, _) in expected {
            assert!(
                members
                    .iter()
                    .any(|member| member.name.as_deref() == Some(wanted)),
                "{name}: no params.{wanted}"
            );
        }
    });
}

#[test]
fn workgroup_memory_is_within_the_default_limit() {
    each_module(|op, _, module| {
        let bytes = workgroup_bytes(module);
        assert!(
            bytes <= MAX_WORKGROUP_BYTES,
            "{}: {bytes} bytes of workgroup memory",
            op.kernel().name()
        );
    });
}

/// What attention takes depends on its sizes, so its largest are linked too.
#[test]
fn workgroup_memory_of_the_largest_heads_is_within_the_default_limit() {
    let kernel = Kernel::RopeAttention;
    for (pairs, kv) in [true, false]
        .into_iter()
        .flat_map(|pairs| KvType::ALL.map(|kv| (pairs, kv)))
    {
        let op = RopeAttention {
            heads: 4,
            kv_heads: 1,
            head_dim: 256,
            k_offset: 1024,
            v_offset: 1280,
            context: 300,
            kv,
            reach: Reach::All,
            pairs,
        };
        for choice in choices().into_iter().filter(|choice| choice.kv == kv) {
            let sizes = op.sizes(&Tuning::default());
            let text = link(kernel, &choice, Target::Native, &sizes).unwrap();
            let bytes = workgroup_bytes(&parse(kernel, &text));
            assert!(
                bytes <= MAX_WORKGROUP_BYTES,
                "pairs {pairs}, {kv:?}: {bytes} bytes"
            );
        }
    }
}

/// A plan is fused only where it says that there is room, so what it says must not be less than what is linked.
#[test]
fn fused_products_take_no_more_workgroup_memory_than_is_believed() {
    let tunings = [Shares::wide(), Tuning::default().shares].map(|shares| Tuning {
        shares,
        subgroup_lanes: 32,
        ..Tuning::default()
    });
    for tuning in tunings {
        for (epilogue, k_padded) in [
            (Epilogue::Store, 64),
            (Epilogue::Store, 2560),
            (Epilogue::Relu2, 4096),
            (Epilogue::Add, 2560),
            (Epilogue::Add, 6912),
            (Epilogue::Add, 14_336),
            (Epilogue::Add, 16_320),
        ] {
            let op = NormGemv {
                product: TernaryGemv {
                    n_rows: 2560,
                    k_padded,
                    rows_per_tile: 8,
                    epilogue,
                },
                width: k_padded,
                eps: 1e-5,
                norm: true,
                merged: None,
                reach: Reach::All,
            };
            let shape = (epilogue, op.product.n_rows, k_padded);
            let fits = |bytes: &u32| NormGemv::fits(shape, &tuning, *bytes);
            let Some(believed) = (0..64 << 10).step_by(16).find(fits) else {
                // Too wide for the registers.
                continue;
            };
            for choice in choices() {
                let sizes = op.sizes(&tuning);
                let text = link(Kernel::NormGemv, &choice, Target::Native, &sizes).unwrap();
                let bytes = workgroup_bytes(&parse(Kernel::NormGemv, &text));
                assert!(
                    bytes <= believed,
                    "{epilogue:?}, {k_padded} columns: {bytes} of {believed} bytes"
                );
            }
        }
    }
}

fn workgroup_bytes(module: &Module) -> u32 {
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).unwrap();
    module
        .global_variables
        .iter()
        .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup)
        .map(|(_, variable)| layouter[variable.ty].to_stride())
        .sum()
}

#[test]
fn an_unknown_need_would_be_an_error() {
    let known = [
        "step",
        "step_rw",
        "sum",
        "norm",
        "ternary",
        "product",
        "dot",
        "reduce",
        "kv",
        "rope",
        "row",
        "row_totals",
        "attention",
        "merge",
        "order",
        "rows",
    ];
    for &kernel in Kernel::ALL {
        assert!(
            kernel.needs().next().is_some(),
            "{} lists no needs",
            kernel.name()
        );
        for need in kernel.needs() {
            assert!(known.contains(&need), "{} needs {need}", kernel.name());
        }
    }
}
