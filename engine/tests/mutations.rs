//! The deliberate mistakes that are known to look right at a glance: each must make the comparison with the reference
//! values fail. What the stable prompts cannot see by design (rounding rules) is proved by vectors in
//! `src/reference/norm_quantize.rs` and below.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::golden::{Package, compare_layers, compare_logits, exact};
use common::{gpu, rms_relative};
use engine::ops::Tuning;
use engine::shader::Kernel;
use engine::{Executor, KvType, SessionConfig, reference};
use fixtures::Golden;
use model::{Activation, Encoding, Scale};

type Patch = fn(Kernel, String) -> String;

/// Whether a fixture passes with a changed kernel text, manifest or configuration, on the kernels that suit this device or
/// those of a given tuning.
fn verdict(
    fixture: (&str, &str),
    patch: Option<Patch>,
    edit: fn(&mut Package),
    config: &SessionConfig,
    tuning: Option<Tuning>,
) -> Result<(), String> {
    let (folder, variant) = fixture;
    let golden = Golden::load(folder);
    let class = golden.gamma_class(variant).to_owned();
    let mut package = Package::of(folder, variant);
    edit(&mut package);
    let mut executor = gpu(None).expect("the caller has looked for one");
    if let Executor::Gpu(gpu) = &mut executor {
        if let Some(patch) = patch {
            gpu.set_patch(patch);
        }
        if let Some(tuning) = tuning {
            gpu.set_tuning(tuning);
        }
    }
    let mut session = package.session(executor, config);
    compare_logits(&mut session, &golden, &class)?;
    compare_layers(&mut session, &golden, &class)
}

#[track_caller]
fn must_fail(what: &str, fixture: (&str, &str), patch: Option<Patch>, edit: fn(&mut Package)) {
    must_fail_with(None, what, fixture, patch, edit);
}

#[track_caller]
fn must_fail_with(
    tuning: Option<Tuning>,
    what: &str,
    fixture: (&str, &str),
    patch: Option<Patch>,
    edit: fn(&mut Package),
) {
    if gpu(None).is_none() {
        return; // said so already; without a GPU nothing can be noticed
    }
    let got = verdict(fixture, patch, edit, &exact(), tuning);
    assert!(
        got.is_err(),
        "the mistake `{what}` was not noticed on {fixture:?}"
    );
    eprintln!("{what}: {}", got.unwrap_err());
}

/// Replaces exactly one occurrence, so that a mutation cannot silently become a no-op when a kernel changes.
fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(
        text.matches(from).count(),
        1,
        "mutation target `{from}` must occur once"
    );
    text.replace(from, to)
}

fn unchanged(_: &mut Package) {}

fn scales(package: &mut Package, change: fn(f32) -> f32) {
    for tensor in &mut package.manifest.tensors {
        if let Encoding::Ternary {
            scale: Scale::Tensor { value },
        } = &mut tensor.encoding
        {
            *value = change(*value);
        }
    }
}

const G256: (&str, &str) = ("g256", "packed");
const GL256: (&str, &str) = ("gl256", "packed_div");

#[test]
fn without_a_mistake_it_passes() {
    if gpu(None).is_none() {
        return;
    }
    verdict(G256, None, unchanged, &exact(), None).unwrap();
    verdict(GL256, None, unchanged, &exact(), None).unwrap();
}

#[test]
fn truncated_codes() {
    fn patch(kernel: Kernel, text: String) -> String {
        if kernel == Kernel::NormQuantize {
            let scaled = "clamp(y * inverse, vec4<f32>(-128.0), vec4<f32>(127.0))";
            replace(&text, scaled, &format!("trunc({scaled})"))
        } else {
            text
        }
    }
    must_fail("truncation", G256, Some(patch), unchanged);
}

#[test]
fn wrong_epsilon() {
    must_fail("eps 1e-6", G256, None, |package| {
        package.manifest.architecture.rms_eps = 1e-6
    });
}

#[test]
fn wrong_rope_base() {
    must_fail("theta 1e4", G256, None, |package| {
        package.manifest.architecture.rope_theta = 1e4
    });
}

#[test]
fn wrong_activation() {
    must_fail("SiLU for relu2", G256, None, |package| {
        package.manifest.architecture.activation = Activation::Silu
    });
    must_fail("relu2 for SiLU", GL256, None, |package| {
        package.manifest.architecture.activation = Activation::Relu2
    });
}

#[test]
fn wrong_scales() {
    must_fail("gamma inverted", G256, None, |package| {
        scales(package, |gamma| 1.0 / gamma)
    });
    must_fail("gamma rounded to f16", GL256, None, |package| {
        scales(package, |gamma| half::f16::from_f32(gamma).to_f32());
    });
    must_fail("gamma rounded to bf16", GL256, None, |package| {
        scales(package, |gamma| half::bf16::from_f32(gamma).to_f32());
    });
}

#[test]
fn permuted_query_and_key_rows() {
    must_fail(
        "q/k left permuted",
        GL256,
        None,
        Package::permute_query_and_key_rows,
    );
    must_fail(
        "q/k left permuted",
        G256,
        None,
        Package::permute_query_and_key_rows,
    );
}

#[test]
fn wrong_kv_head() {
    fn patch(kernel: Kernel, text: String) -> String {
        if matches!(kernel, Kernel::Attention | Kernel::AttentionLoop) {
            replace(
                &text,
                "head / params.group * params.context",
                "head % (params.heads / params.group) * params.context",
            )
        } else {
            text
        }
    }
    // A software adapter has a kernel of its own, so hardware's is asked for by name.
    for tuning in [None, Some(Tuning::default())] {
        must_fail_with(tuning, "kv head h mod KV", G256, Some(patch), unchanged);
    }
}

#[test]
fn sub_norm_skipped() {
    fn patch(kernel: Kernel, text: String) -> String {
        if kernel == Kernel::NormQuantize {
            // Only the feed-forward's is as wide as this.
            let text = replace(
                &text,
                "if NORM { scale = rms_scale",
                "if NORM && width != 768u { scale = rms_scale",
            );
            // Unrolled: each row here takes one step.
            let gained = "held[j] = gains[j] * held[j];";
            replace(&text, gained, &format!("if width != 768u {{ {gained} }}"))
        } else {
            text
        }
    }
    must_fail("no sub-norm", G256, Some(patch), unchanged);
}

#[test]
fn feed_forward_product_in_f16() {
    fn patch(kernel: Kernel, text: String) -> String {
        if matches!(kernel, Kernel::TernaryGemm | Kernel::TernaryGemv) {
            replace(
                &text,
                "return positive * positive * up;",
                "return unpack2x16float(pack2x16float(vec2(positive * positive * up, 0.0))).x;",
            )
        } else {
            text
        }
    }
    must_fail("FFN product in f16", G256, Some(patch), unchanged);
}

#[test]
fn rounded_caches() {
    if gpu(None).is_none() {
        return;
    }
    for kv in [KvType::F16, KvType::I8] {
        let config = SessionConfig { kv, ..exact() };
        assert!(
            verdict(G256, None, unchanged, &config, None).is_err(),
            "a cache of {} must not pass as exact",
            kv.name()
        );
    }
}

/// How far the logits of a stable prompt with a cache of bytes are from those of the references, by kernels that are changed.
fn error_of_bytes(patch: Patch) -> Option<f64> {
    let config = SessionConfig {
        kv: KvType::I8,
        ..exact()
    };
    let package = Package::of(G256.0, G256.1);
    let prompt = &Golden::load(G256.0).prompt("short").ids.clone();
    let logits = |executor| {
        let mut session = package.session(executor, &config);
        pollster::block_on(session.logits(prompt)).unwrap()
    };
    let mut executor = gpu(None)?;
    if let Executor::Gpu(gpu) = &mut executor {
        gpu.set_patch(patch);
    }
    Some(rms_relative(&logits(Executor::cpu()), &logits(executor)))
}

/// The reference values know no cache of bytes, so its mistakes are told from the CPU's references.
#[test]
fn mistakes_of_a_cache_of_bytes() {
    const PACKED: &str = "clamp(values * inverse, vec4<f32>(-127.0), vec4<f32>(127.0))";
    let mistakes: [(&str, Patch); 5] = [
        ("truncated codes", |_, text| {
            text.replace(PACKED, &format!("trunc({PACKED})"))
        }),
        ("127 steps over 255 codes", |_, text| {
            text.replace("127.0 / kv_amax", "126.0 / kv_amax")
        }),
        ("the scale of the next position", |_, text| {
            text.replace("kv_scale(v_cache[at])", "kv_scale(v_cache[at + 1u])")
        }),
        ("bytes in reverse order", |_, text| {
            let order = "vec4<u32>(quad << 24u, quad << 16u, quad << 8u, quad)";
            let reverse = "vec4<u32>(quad, quad << 8u, quad << 16u, quad << 24u)";
            text.replace(order, reverse)
        }),
        ("the scale of the first head", |_, text| {
            text.replace("context * quads + first_row", "context * quads")
        }),
    ];
    let Some(right) = error_of_bytes(|_, text| text) else {
        return;
    };
    // A code next to a tie may fall to the other side.
    assert!(right < 1e-3, "without a mistake {right:.1e}");
    for (what, patch) in mistakes {
        let wrong = error_of_bytes(patch).unwrap();
        eprintln!("{what}: {wrong:.1e}");
        assert!(wrong > 2e-3, "the mistake `{what}` makes only {wrong:.1e}");
    }
}

/// Values of layer 0 computed from the golden embedding by the references, with the quantisation given.
fn layer0_values(quantize: impl Fn(&[Vec<f32>]) -> Vec<Vec<f32>>) -> f64 {
    let golden = Golden::load("g256");
    let package = Package::of(G256.0, G256.1);
    let arch = &package.manifest.architecture;
    let hidden = arch.hidden as usize;
    let embed = golden.tensor("bf16", "embed");
    let gain = package.vector("layers.0.attn_norm");
    let rows: Vec<Vec<f32>> = embed
        .f32()
        .chunks_exact(hidden)
        .map(|x| {
            let mut y = vec![0.0; hidden];
            reference::rms_norm(x, &gain, arch.rms_eps, &mut y);
            y
        })
        .collect();
    let (codes, gamma) = package.codes("layers.0.v");
    let mut got = Vec::new();
    for x in quantize(&rows) {
        for row in codes.chunks_exact(hidden) {
            let sum: f32 = row
                .iter()
                .zip(&x)
                .map(|(&code, x)| (f32::from(code) - 1.0) * x)
                .sum();
            got.push(sum * gamma);
        }
    }
    rms_relative(golden.tensor("bf16", "l0.v").f32(), &got)
}

fn quantized(row: &[f32], amax: f32) -> Vec<f32> {
    row.iter()
        .map(|x| (x * (127.0 / amax)).round_ties_even() * (amax / 127.0))
        .collect()
}

fn amax(row: &[f32]) -> f32 {
    row.iter().fold(1e-5, |m, x| m.max(x.abs()))
}

#[test]
fn activations_not_quantised_or_by_one_scale() {
    let right = layer0_values(|rows| rows.iter().map(|row| quantized(row, amax(row))).collect());
    assert!(right <= 1e-5, "the right rule gives {right:.2e}");
    let unquantised = layer0_values(<[_]>::to_vec);
    assert!(
        unquantised > 1e-4,
        "no activation quantisation gives only {unquantised:.2e}"
    );
    let shared = layer0_values(|rows| {
        let largest = rows.iter().map(|row| amax(row)).fold(0.0, f32::max);
        rows.iter().map(|row| quantized(row, largest)).collect()
    });
    assert!(
        shared > 1e-4,
        "one scale for the whole prompt gives only {shared:.2e}"
    );
}
