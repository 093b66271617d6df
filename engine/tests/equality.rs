//! The rule that makes resuming exact: a prefill of n tokens leaves the same bits as n decode steps.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::golden::{Package, exact};
use common::{gpu, tune, variants};
use engine::diagnostics::{Equality, prefill_equals_decode, trace};
use engine::ops::{Shares, Tuning};
use engine::{Executor, KvType, Sampling, Session, SessionConfig, Variant};
use std::ops::ControlFlow;

#[track_caller]
fn check(session: &mut Session, lengths: &[u32], cut: u32) {
    let cases = pollster::block_on(prefill_equals_decode(session, lengths, cut)).unwrap();
    let compared = |truncated| -> Vec<u32> {
        let cases = cases.iter().filter(|case| case.truncated == truncated);
        cases.map(|case| case.tokens).collect()
    };
    let above: Vec<u32> = lengths.iter().copied().filter(|&n| n > cut).collect();
    assert_eq!(compared(false), lengths);
    assert_eq!(compared(true), above);
    let wrong: Vec<&Equality> = cases
        .iter()
        .filter(|case| case.difference.is_some())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn session(fixture: (&str, &str), executor: Executor, kv: KvType, chunk: u32) -> Session {
    session_of(320, fixture, executor, kv, chunk)
}

/// Contexts above the model's own are only for this test; positions beyond 256 must be exact too.
fn session_of(
    context: u32,
    fixture: (&str, &str),
    executor: Executor,
    kv: KvType,
    chunk: u32,
) -> Session {
    let mut package = Package::of(fixture.0, fixture.1);
    package.manifest.architecture.context = context;
    package.session(
        executor,
        &SessionConfig {
            context,
            kv,
            prefill_chunk: chunk,
        },
    )
}

#[test]
fn prefill_equals_decode_for_1_to_300_tokens() {
    let Some(executor) = gpu(None) else { return };
    let lengths: Vec<u32> = (1..=300).collect();
    check(
        &mut session(("g256", "packed"), executor, KvType::F16, 64),
        &lengths,
        17,
    );
}

#[test]
fn prefill_equals_decode_in_every_variant() {
    for variant in variants() {
        let Some(executor) = gpu(Some(variant)) else {
            return;
        };
        check(
            &mut session(("gl256", "packed_div"), executor, KvType::F16, 48),
            &LENGTHS,
            40,
        );
    }
}

#[test]
fn prefill_equals_decode_with_products_shared_out_for_a_large_card() {
    let Some(mut executor) = gpu(None) else {
        return;
    };
    tune(
        &mut executor,
        Tuning {
            fused: false,
            shares: Shares::wide(),
            ..Tuning::default()
        },
    );
    let mut session = session(("gl256", "packed_div"), executor, KvType::F16, 48);
    check(&mut session, &[1, 5, 65], 40);
}

#[test]
fn prefill_equals_decode_in_other_shapes() {
    for (fixture, kv) in [
        (("h320", "packed_mul"), KvType::F32),
        (("llama320", "packed_div"), KvType::F16),
        (("g256", "packed"), KvType::I8),
    ] {
        let Some(executor) = gpu(Some(Variant::PORTABLE)) else {
            return;
        };
        check(&mut session(fixture, executor, kv, 7), &LENGTHS, 40);
    }
}

/// Decode steps with their small kernels fused into the large ones against prefill, which runs the small ones.
#[test]
fn prefill_equals_fused_decode() {
    for (i, variant) in variants().into_iter().enumerate() {
        let fixture = [
            ("g256", "packed"),
            ("gl256", "packed_div"),
            ("h320", "packed_mul"),
        ][i % 3];
        let Some(mut executor) = gpu(Some(variant)) else {
            return;
        };
        tune(
            &mut executor,
            Tuning {
                fused: true,
                attention_heads: 1 + i as u32,
                attention_pairs: i % 2 == 1,
                shares: if i % 2 == 0 {
                    Shares::wide()
                } else {
                    Tuning::default().shares
                },
                ..Tuning::default()
            },
        );
        check(
            &mut session(fixture, executor, KvType::ALL[(i + 1) % 3], 48),
            &[1, 3, 49, 64, 65, 130],
            40,
        );
    }
}

/// Around the position from which on workgroups of attention share heads, and what they leave is merged by a dispatch: before it they
/// have one head, and chunks or pairs of them.
#[test]
fn prefill_equals_fused_decode_of_long_contexts() {
    for (attention_pairs, attention_sharing) in [(true, 1010), (false, 2000)] {
        let Some(mut executor) = gpu(None) else {
            return;
        };
        tune(
            &mut executor,
            Tuning {
                fused: true,
                attention_pairs,
                attention_sharing,
                ..Tuning::default()
            },
        );
        let mut session = session_of(1100, ("g256", "packed"), executor, KvType::F16, 256);
        check(&mut session, &[1011, 1024, 1025, 1090], 1000);
    }
}

/// Around the tile of tokens, the chunk and the attention chunks.
const LENGTHS: [u32; 10] = [1, 3, 4, 5, 47, 48, 49, 64, 65, 257];

#[test]
fn gpu_and_cpu_agree_step_by_step() {
    let Some(executor) = gpu(None) else { return };
    let package = Package::of("g256", "packed");
    let tokens: Vec<u32> = (0..40).map(|i| (i * 37 + 5) % 384).collect();
    let gpu = pollster::block_on(trace(&mut package.session(executor, &exact()), &tokens)).unwrap();
    let cpu = pollster::block_on(trace(
        &mut package.session(Executor::cpu(), &exact()),
        &tokens,
    ))
    .unwrap();
    assert_eq!(gpu.len(), cpu.len());
    for (gpu, cpu) in gpu.iter().zip(&cpu) {
        assert_eq!(gpu.label, cpu.label);
        if matches!(gpu.kernel, "norm_quantize" | "attention") {
            continue; // codes may differ by one next to a tie; partials hold unused garbage
        }
        for (g, c) in gpu.written.iter().zip(&cpu.written) {
            let n = g.len().min(c.len()) / 4 * 4;
            let (g, c): (Vec<f32>, Vec<f32>) = (
                bytemuck::pod_collect_to_vec(&g[..n]),
                bytemuck::pod_collect_to_vec(&c[..n]),
            );
            // An arbitrary prompt may hold a near-tie: gross errors only; the stable prompts are compared exactly elsewhere.
            common::assert_close(&gpu.label, &c, &g, 3e-2);
        }
    }
}

/// Greedy ids from a session, with the given decode steps in flight.
fn generate(session: &mut Session, prompt: &[u32], n: usize, run_ahead: u32) -> Vec<u32> {
    session.set_run_ahead(run_ahead);
    pollster::block_on(async {
        assert!(
            session
                .prefill(prompt, |_, _| ControlFlow::Continue(()))
                .await
                .unwrap()
        );
        let mut ids = Vec::new();
        for _ in 0..n {
            ids.push(session.next_token().await.unwrap());
        }
        ids
    })
}

#[test]
fn queueing_reuse_and_resuming_change_nothing() {
    let Some(executor) = gpu(None) else { return };
    let mut session = session(("g256", "packed"), executor, KvType::F16, 16);
    let prompt: Vec<u32> = (0..50).map(|i| (i * 53 + 11) % 384).collect();
    for sampling in [Sampling::default(), sampled()] {
        session.set_sampling(sampling);
        session.truncate(0);
        let expected = generate(&mut session, &prompt, 24, 0);
        for (run_ahead, per_submit) in [(1, 1), (2, 2), (4, 1), (8, 2), (0, 2), (2, 4), (3, 8)] {
            session.truncate(0);
            session.set_steps_per_submit(per_submit);
            assert_eq!(
                generate(&mut session, &prompt, 24, run_ahead),
                expected,
                "run-ahead {run_ahead}, {per_submit} steps a submit"
            );
        }
        // As many at a time as the caller likes, from token to token.
        session.truncate(0);
        let mut ids = generate(&mut session, &prompt, 1, 2);
        for (i, &per_submit) in [8, 1, 4, 2, 8, 8, 2, 1, 8, 4, 1, 2, 8]
            .iter()
            .cycle()
            .take(23)
            .enumerate()
        {
            session.set_steps_per_submit(per_submit);
            session.set_run_ahead(i as u32 % 9);
            ids.push(pollster::block_on(session.next_token()).unwrap());
        }
        assert_eq!(ids, expected, "from token to token");
        // The same question again, from the kept cache.
        assert_eq!(generate(&mut session, &prompt, 24, 2), expected);
        // Stopped after ten tokens, then resumed by prefilling what was accepted.
        for cut in [1, 10, 23] {
            session.truncate(0);
            let mut tokens = prompt.clone();
            tokens.extend(generate(&mut session, &prompt, cut, 2));
            session.truncate(0);
            let rest = generate(&mut session, &tokens, 24 - cut, 2);
            assert_eq!(
                [&tokens[prompt.len()..], &rest].concat(),
                expected,
                "cut after {cut}"
            );
        }
    }
}

/// Steps before and behind the position from which on attention is shared, in one submit; sampled, so that a small difference shows.
#[test]
fn submits_may_straddle_the_sharing_position() {
    let prompt: Vec<u32> = (0..50).map(|i| (i * 53 + 11) % 384).collect();
    let mut expected: Option<Vec<u32>> = None;
    for attention_pairs in [false, true] {
        let Some(mut executor) = gpu(None) else {
            return;
        };
        for attention_sharing in [0, 60, u32::MAX] {
            tune(
                &mut executor,
                Tuning {
                    fused: true,
                    attention_pairs,
                    attention_sharing,
                    ..Tuning::default()
                },
            );
            let mut session = session(("g256", "packed"), executor, KvType::F16, 16);
            session.set_sampling(sampled());
            for per_submit in [1, 2, 4, 8] {
                session.truncate(0);
                session.set_steps_per_submit(per_submit);
                let ids = generate(&mut session, &prompt, 24, 2);
                assert_eq!(
                    expected.get_or_insert_with(|| ids.clone()),
                    &ids,
                    "from {attention_sharing} on, {per_submit} steps a submit, pairs: {attention_pairs}"
                );
            }
            executor = session.into_executor();
        }
    }
}

fn sampled() -> Sampling {
    Sampling {
        temperature: 0.8,
        top_k: 50,
        top_p: 0.95,
        min_p: 0.01,
        repetition_penalty: 1.1,
        repetition_window: 32,
        seed: 7,
    }
}

#[test]
fn cancel_keeps_what_was_computed() {
    let Some(executor) = gpu(None) else { return };
    let mut session = session(("g256", "packed"), executor, KvType::F16, 16);
    let prompt: Vec<u32> = (0..100).map(|i| (i * 53 + 11) % 384).collect();
    let expected = generate(&mut session, &prompt, 5, 2);
    session.truncate(0);
    pollster::block_on(async {
        let mut calls = Vec::new();
        let finished = session
            .prefill(&prompt, |done, total| {
                calls.push((done, total));
                if done >= 32 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .await
            .unwrap();
        assert!(!finished);
        assert_eq!(calls, [(16, 100), (32, 100)]);
        assert_eq!(session.tokens(), &prompt[..32]);
        assert!(session.next_token().await.is_err(), "no token was sampled");
    });
    assert_eq!(generate(&mut session, &prompt, 5, 2), expected);
}

#[test]
fn the_end_of_the_context_is_an_error_not_a_wrong_answer() {
    let Some(executor) = gpu(None) else { return };
    let mut session = session(("g256", "packed"), executor, KvType::F16, 64);
    let prompt: Vec<u32> = (0..318).map(|i| (i * 53 + 11) % 384).collect();
    pollster::block_on(async {
        session
            .prefill(&prompt, |_, _| ControlFlow::Continue(()))
            .await
            .unwrap();
        session.set_steps_per_submit(2);
        // Positions 318 and 319 can still be computed, and the token after the last needs no position.
        for _ in 0..3 {
            session.next_token().await.unwrap();
        }
        assert!(matches!(
            session.next_token().await,
            Err(engine::Error::ContextFull { .. })
        ));
        let long = vec![1; 321];
        assert!(matches!(
            session
                .prefill(&long, |_, _| ControlFlow::Continue(()))
                .await,
            Err(engine::Error::ContextFull { .. })
        ));
        assert!(matches!(
            session
                .prefill(&[384], |_, _| ControlFlow::Continue(()))
                .await,
            Err(engine::Error::TokenOutOfRange { .. })
        ));
    });
}
