//! The self-test: sound devices pass in every variant, and mistakes in kernels are noticed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{gpu, variants};
use engine::bench::synthetic::{Synthetic, architecture};
use engine::ops::Tuning;
use engine::selftest::{SelfTest, Verdict};
use engine::shader::Kernel;
use engine::{Executor, KvType, SessionConfig};
use model::{Encoding, Manifest};
use pollster::block_on;

/// A model whose self-test is wanted: of a published family, with rows of this encoding.
fn like(shape: &str, rows: Encoding) -> Manifest {
    let synthetic = Synthetic::new("like", architecture(shape).unwrap(), rows, 8, 1).unwrap();
    synthetic.manifest().clone()
}

type Patch = fn(Kernel, String) -> String;

fn patched(patch: Patch) -> Option<Executor> {
    let mut executor = gpu(None)?;
    if let Executor::Gpu(gpu) = &mut executor {
        gpu.set_patch(patch);
    }
    Some(executor)
}

/// Replaces exactly one occurrence, so that a mutation cannot silently become a no-op when a kernel changes.
fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` must occur once");
    text.replace(from, to)
}

#[test]
fn sound_devices_pass_in_every_variant() {
    let models = [
        like("tiny", Encoding::F16),
        like("tiny", Encoding::Q8),
        like("falcon-e-1b", Encoding::Q6 { group: 32 }),
    ];
    for manifest in &models {
        for kv in KvType::ALL {
            let test = block_on(SelfTest::new(manifest, kv)).unwrap();
            for variant in variants() {
                let Some(executor) = gpu(Some(variant)) else {
                    return;
                };
                let (executor, verdict) = block_on(test.run(executor)).unwrap();
                assert_eq!(verdict, Verdict::default(), "{variant} {kv:?}");
                assert_eq!(executor.allocated_bytes(), 0, "everything is freed");
            }
        }
    }
}

#[test]
fn the_executor_is_good_for_the_real_model_afterwards() {
    let Some(executor) = gpu(None) else { return };
    let synthetic =
        Synthetic::new("real", architecture("tiny").unwrap(), Encoding::Q8, 8, 3).unwrap();
    let run = async |executor: Executor| {
        let clock: fn() -> f64 = || 0.0;
        let config = SessionConfig::default();
        let loaded = engine::bench::load_synthetic(executor, &synthetic, &config, clock);
        let (mut session, _) = loaded.await.unwrap();
        session.replay(&[1, 2, 3]).await.unwrap();
        session.next_token().await.unwrap()
    };
    let test = block_on(SelfTest::new(synthetic.manifest(), KvType::F16)).unwrap();
    let (tested, _) = block_on(test.run(executor)).unwrap();
    let fresh = gpu(None).unwrap();
    assert_eq!(block_on(run(tested)), block_on(run(fresh)));
}

/// The verdict on a device whose compiler makes this mistake.
fn verdict(kv: KvType, patch: Patch) -> Option<Verdict> {
    let test = block_on(SelfTest::new(&like("tiny", Encoding::Q8), kv)).unwrap();
    Some(block_on(test.run(patched(patch)?)).unwrap().1)
}

fn fuse(executor: &mut Executor, attention_pairs: bool) {
    if let Executor::Gpu(gpu) = executor {
        gpu.set_tuning(Tuning {
            fused: true,
            attention_pairs,
            ..*gpu.tuning()
        });
    }
}

#[test]
fn sound_devices_pass_with_fused_steps() {
    let test = block_on(SelfTest::new(&like("tiny", Encoding::Q8), KvType::F16)).unwrap();
    for variant in variants() {
        for attention_pairs in [false, true] {
            let Some(mut executor) = gpu(Some(variant)) else {
                return;
            };
            fuse(&mut executor, attention_pairs);
            let (_, verdict) = block_on(test.run(executor)).unwrap();
            assert_eq!(
                verdict,
                Verdict::default(),
                "{variant}, pairs: {attention_pairs}"
            );
        }
    }
}

#[test]
fn mistakes_of_fused_steps_are_noticed() {
    let mistakes: [(&str, Patch); 4] = [
        ("a sum is taken for a maximum", |kernel, text| {
            if kernel == Kernel::NormGemv {
                text.replace(", next.x, next.y);", ", next.y, next.x);")
            } else {
                text
            }
        }),
        ("a second chunk is not merged", |kernel, text| {
            if kernel == Kernel::AttentionCombine {
                replace(&text, "own + 1u < used", "false")
            } else {
                text
            }
        }),
        ("a second pair is not merged", |kernel, text| {
            if kernel == Kernel::AttentionCombine {
                // Of an unrolled loop.
                text.replace("first + at * PIECES < used", "false")
            } else {
                text
            }
        }),
        ("a sum is not divided by", |kernel, text| {
            if kernel == Kernel::AttentionCombine {
                replace(&text, "whole.values / whole.sum", "whole.values")
            } else {
                text
            }
        }),
    ];
    let test = block_on(SelfTest::new(&like("tiny", Encoding::Q8), KvType::F16)).unwrap();
    for (what, patch) in mistakes {
        let Some(mut executor) = patched(patch) else {
            return;
        };
        fuse(&mut executor, false);
        let (_, verdict) = block_on(test.run(executor)).unwrap();
        let noticed = verdict.problem.or(verdict.inexact);
        assert!(noticed.is_some(), "{what} was not noticed");
        eprintln!("{what}: {}", noticed.unwrap());
    }
}

#[test]
fn mistakes_are_noticed() {
    let mistakes: [(&str, Patch); 4] = [
        ("a head reads another head's cache", |kernel, text| {
            if matches!(kernel, Kernel::Attention | Kernel::AttentionLoop) {
                let from = "head / params.group * params.context";
                replace(
                    &text,
                    from,
                    "head % (params.heads / params.group) * params.context",
                )
            } else {
                text
            }
        }),
        ("codes are truncated", |kernel, text| {
            if kernel == Kernel::NormQuantize {
                let scaled = "clamp(y * inverse, vec4<f32>(-128.0), vec4<f32>(127.0))";
                replace(&text, scaled, &format!("trunc({scaled} * 0.97)"))
            } else {
                text
            }
        }),
        ("a product is not a number", |kernel, text| {
            if kernel == Kernel::TernaryGemv {
                replace(
                    &text,
                    "return positive * positive * up;",
                    "return positive * positive * up / (positive - positive);",
                )
            } else {
                text
            }
        }),
        ("a logit has the wrong sign", |kernel, text| {
            if kernel == Kernel::LmHead {
                replace(&text, "let totals = team_sum(", "let totals = -team_sum(")
            } else {
                text
            }
        }),
    ];
    for (what, patch) in mistakes {
        let Some(verdict) = verdict(KvType::F16, patch) else {
            return;
        };
        assert!(verdict.problem.is_some(), "{what} was not noticed");
        eprintln!("{what}: {}", verdict.problem.unwrap());
    }
}

#[test]
fn mistakes_of_a_cache_of_bytes_are_noticed() {
    let mistakes: [(&str, Patch); 3] = [
        ("codes have no sign", |_, text| {
            text.replace(
                "vec4<f32>(bytes >> vec4<u32>(24u))",
                "vec4<f32>(bitcast<vec4<u32>>(bytes) >> vec4<u32>(24u))",
            )
        }),
        ("a key's scale is its neighbour's", |_, text| {
            text.replace(
                "return kv_scale(k_cache[at]);",
                "return kv_scale(k_cache[at + 1u]);",
            )
        }),
        ("the quotient is of a quad's largest alone", |_, text| {
            text.replace(
                "127.0 / kv_amax(largest)",
                "127.0 / kv_amax(kv_largest(values))",
            )
        }),
    ];
    for (what, patch) in mistakes {
        let Some(verdict) = verdict(KvType::I8, patch) else {
            return;
        };
        assert!(verdict.problem.is_some(), "{what} was not noticed");
        eprintln!("{what}: {}", verdict.problem.unwrap());
    }
}

#[test]
fn a_prefill_that_differs_in_a_bit_is_no_nonsense_but_known() {
    let verdict = verdict(KvType::F16, |kernel, text| {
        if kernel == Kernel::TernaryGemm {
            text.replace("dequantize(", "1.0000002 * dequantize(")
                .replace("fn 1.0000002 * dequantize(", "fn dequantize(")
        } else {
            text
        }
    });
    let Some(verdict) = verdict else { return };
    assert_eq!(verdict.problem, None);
    assert!(verdict.inexact.is_some(), "{verdict:?}");
}
