//! The benchmark core on a small model: it measures, checks what it measured, and notices a kernel that computes wrongly.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::gpu;
use engine::bench::synthetic::{Synthetic, architecture};
use engine::bench::{Options, Report, load_synthetic, run};
use engine::shader::Kernel;
use engine::{Error, Executor, SessionConfig};
use model::{Architecture, Encoding};
use std::sync::OnceLock;
use std::time::Instant;

fn clock() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

fn options() -> Options {
    Options {
        contexts: vec![4, 9],
        prompts: vec![6],
        decode_tokens: 2,
        repetitions: 1,
        read_bytes: 1 << 20,
        check_bytes: 1 << 30,
        clock,
    }
}

fn report(executor: Executor) -> Result<Report, Error> {
    let small = Architecture {
        hidden: 128,
        ffn: 192,
        heads: 2,
        kv_heads: 1,
        vocab: 200,
        ..architecture("tiny").unwrap()
    };
    let synthetic = Synthetic::new("small", small, Encoding::Q8, 8, 1)?;
    let config = SessionConfig {
        context: 32,
        prefill_chunk: 8,
        ..SessionConfig::default()
    };
    pollster::block_on(async {
        let (mut session, load) = load_synthetic(executor, &synthetic, &config, clock).await?;
        run(&mut session, "small", Some(load), &options(), &mut |_| {}).await
    })
}

#[test]
fn a_report_is_complete_and_verified() {
    let Some(executor) = gpu(None) else { return };
    let report = report(executor).unwrap();
    assert!(report.verified, "{:?}", report.checks);
    assert!(report.read.verified && report.read.bytes_per_second > 0.0);
    let contexts: Vec<u32> = report.decode.iter().map(|decode| decode.context).collect();
    assert_eq!(contexts, [4, 9]);
    // Ratios follow from what stands beside them.
    for decode in &report.decode {
        let expected = decode.bytes as f64 / decode.gpu_seconds / report.read.bytes_per_second;
        assert!((decode.gpu_read_ratio - expected).abs() < 1e-9 * expected);
        // The weights alone are read once for every token.
        assert!(decode.bytes >= report.weight_bytes / 2, "{decode:?}");
    }
    assert!(report.decode[1].bytes > report.decode[0].bytes);
    let decode: Vec<_> = report
        .kernels
        .iter()
        .filter(|kernel| kernel.phase == "decode" && !kernel.name.contains(" at "))
        .collect();
    let dispatches: u32 = decode.iter().map(|kernel| kernel.dispatches).sum();
    assert_eq!(dispatches, report.dispatches_per_token);
    for name in ["qkv", "o", "gate_up", "down", "lm_head", "sample"] {
        assert!(
            decode
                .iter()
                .any(|kernel| kernel.name == name && kernel.seconds > 0.0),
            "{name} is missing"
        );
    }
    assert!(
        report
            .kernels
            .iter()
            .any(|kernel| kernel.phase == "prefill")
    );
    assert_eq!(
        report.peak_gpu_bytes,
        report.weight_bytes + report.kv_bytes + report.activation_bytes
    );
}

#[test]
fn a_wrong_kernel_spoils_the_report() {
    let Some(mut executor) = gpu(None) else {
        return;
    };
    if let Executor::Gpu(gpu) = &mut executor {
        gpu.set_patch(|kernel, text| match kernel {
            Kernel::RmsNorm => {
                let target = "gains[j] * (held[j] * scale)";
                assert_eq!(
                    text.matches(target).count(),
                    1,
                    "the mutation target must occur once"
                );
                text.replace(target, "gains[j] * (held[j] * scale) * 1.001")
            }
            _ => text,
        });
    }
    let report = report(executor).unwrap();
    assert!(!report.verified);
}

#[test]
fn the_cpu_is_not_measured() {
    assert!(matches!(report(Executor::cpu()), Err(Error::Order { .. })));
}

#[test]
fn the_tiny_interleave_sweep_is_exact() {
    use engine::bench::interleave::{Options, run as sweep};
    if gpu(None).is_none() {
        return;
    }
    let options = Options {
        adapter: None,
        set_bytes: 1 << 17,
        passes: 1,
        tiny: true,
        clock,
    };
    let report = sweep(&options, &mut |_| {}).unwrap();
    assert!(report.wrong.is_empty(), "{:?}", report.wrong.first());
    assert!(report.reads.iter().all(|read| read.verified));
    let tiles: Vec<u32> = report.tiles.iter().map(|tile| tile.rows_per_tile).collect();
    assert_eq!(tiles, [1, 8]);
    assert!(report.rows.len() > 50, "{}", report.rows.len());
}
