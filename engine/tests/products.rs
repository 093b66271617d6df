//! The products of a layer against plain reads, on small models: all is checked, and a product that is wrong is noticed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::gpu;
use engine::bench::products::{Options, Report, run};
use engine::bench::synthetic::architecture;
use engine::shader::Kernel;
use engine::{Error, Executor};
use model::{Activation, Architecture};
use std::sync::OnceLock;
use std::time::Instant;

type Patch = fn(Kernel, String) -> String;

fn clock() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

fn options() -> Options {
    // Widths that are no multiple of 64 and rows that are no multiple of a tile.
    let odd = Architecture {
        hidden: 200,
        ffn: 500,
        head_dim: 36,
        ..architecture("tiny").unwrap()
    };
    let without_sub_norms = Architecture {
        activation: Activation::Silu,
        sub_norms: false,
        ..architecture("tiny").unwrap()
    };
    Options {
        shapes: vec![
            ("odd".to_owned(), odd),
            ("plain".to_owned(), without_sub_norms),
        ],
        rows_per_tile: 8,
        seed: 1,
        set_bytes: 1 << 17,
        read_bytes: vec![1024, 48],
        repetitions: 1,
        clock,
    }
}

fn report(mut executor: Executor, options: &Options) -> Result<Report, Error> {
    pollster::block_on(run(&mut executor, options, &mut |_| {}))
}

#[test]
fn every_product_is_verified_and_has_its_ratio() {
    let Some(executor) = gpu(None) else { return };
    let report = report(executor, &options()).unwrap();
    assert!(report.verified, "{report:?}");
    let names: Vec<_> = report.matrices.iter().map(|matrix| matrix.name).collect();
    let layer = ["qkv", "o", "gate_up", "down"];
    assert_eq!(names, [layer, layer].concat());
    for matrix in &report.matrices {
        let bytes = u64::from(matrix.n_rows) * u64::from(matrix.n_cols) / 4;
        assert_eq!(matrix.read.bytes, bytes, "{matrix:?}");
        assert!(matrix.read.copies >= 2, "{matrix:?}");
        let kernels: Vec<_> = matrix.kernels.iter().map(|kernel| kernel.kernel).collect();
        assert_eq!(kernels, ["ternary_gemv", "norm_gemv"]);
        for kernel in &matrix.kernels {
            let expected = matrix.read.seconds / kernel.seconds;
            assert!(
                expected.is_finite() && expected > 0.0 && kernel.read_ratio == expected,
                "{matrix:?}"
            );
        }
    }
    assert_eq!(report.layers.len(), 4);
    for sum in &report.layers {
        let of_shape = || report.matrices.iter().filter(|m| m.shape == sum.shape);
        let read: f64 = of_shape().map(|matrix| matrix.read.seconds).sum();
        assert!((sum.read_seconds - read).abs() < 1e-9 * read, "{sum:?}");
        assert!(
            sum.read_ratio.is_finite() && sum.read_ratio > 0.0,
            "{sum:?}"
        );
    }
    let sizes: Vec<u64> = report.reads.iter().map(|read| read.bytes).collect();
    assert_eq!(sizes, [1024, 48]);
    // Two copies by two kernels, and what the passes have left where nothing is added up.
    assert_eq!(report.checks.len(), 2 * (4 * 4 + 2 * 2));
}

#[track_caller]
fn must_be_noticed(wrong: Kernel, patch: Patch) {
    let Some(mut executor) = gpu(None) else {
        return;
    };
    if let Executor::Gpu(gpu) = &mut executor {
        gpu.set_patch(patch);
    }
    let report = report(executor, &options()).unwrap();
    assert!(!report.verified);
    let failed: Vec<_> = report.checks.iter().filter(|check| !check.passed).collect();
    assert!(!failed.is_empty());
    assert!(failed.iter().all(|check| check.kernel == wrong.name()));
}

/// The text with one mistake, in a line that must occur once.
fn mistaken(text: &str) -> String {
    let target = "return positive * positive * up;";
    assert_eq!(
        text.matches(target).count(),
        1,
        "the mutation target must occur once"
    );
    text.replace(target, "return positive * positive * up * 1.02;")
}

#[test]
fn a_wrong_product_is_noticed() {
    must_be_noticed(Kernel::TernaryGemv, |kernel, text| match kernel {
        Kernel::TernaryGemv => mistaken(&text),
        _ => text,
    });
}

#[test]
fn a_wrong_fused_product_is_noticed() {
    must_be_noticed(Kernel::NormGemv, |kernel, text| match kernel {
        Kernel::NormGemv => mistaken(&text),
        _ => text,
    });
}

#[test]
fn what_cannot_be_measured_is_refused() {
    assert!(matches!(
        report(Executor::cpu(), &options()),
        Err(Error::Order { .. })
    ));
    let Some(executor) = gpu(None) else { return };
    let odd = Options {
        shapes: Vec::new(),
        read_bytes: vec![24],
        ..options()
    };
    assert!(matches!(
        report(executor, &odd),
        Err(Error::Shape {
            expected: 16,
            got: 24,
            ..
        })
    ));
}
