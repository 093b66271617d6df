//! Shared by the GPU tests: one device per test, deterministic data, comparisons in which a non-finite value fails.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "test helpers; each test file uses some"
)]

pub mod golden;
pub mod package;

use engine::exec::Executor;
use engine::ops::Tuning;
use engine::{DeviceOptions, Variant};

/// A GPU executor, or none when `ALLOW_NO_GPU=1` says that this machine may lack one.
pub fn gpu(variant: Option<Variant>) -> Option<Executor> {
    let options = DeviceOptions {
        variant,
        ..DeviceOptions::default()
    };
    match pollster::block_on(Executor::gpu(&options)) {
        Ok(executor) => Some(executor),
        Err(error) if std::env::var_os("ALLOW_NO_GPU").is_some() => {
            eprintln!("SKIPPED, no GPU: {error}");
            None
        }
        Err(error) => panic!("{error}; run `cargo xtask tools`, or set ALLOW_NO_GPU=1 to skip"),
    }
}

/// The variants that the test device supports: on the project's software GPU all of them.
pub fn variants() -> Vec<Variant> {
    let Some(executor) = gpu(Some(Variant::PORTABLE)) else {
        return Vec::new();
    };
    let device = executor.device().unwrap();
    Variant::ALL
        .into_iter()
        .filter(|&v| device.supports(v))
        .collect()
}

/// A small deterministic generator (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u32) -> u32 {
        u32::try_from(self.bits() % u64::from(n)).unwrap()
    }

    /// Uniform in -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// Roughly normal.
    pub fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.unit()).sum::<f32>() * 0.7
    }

    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal()).collect()
    }
}

/// Words of floats.
pub fn words(values: &[f32]) -> Vec<u32> {
    bytemuck::cast_slice(values).to_vec()
}

/// Floats of words.
pub fn floats(words: &[u32]) -> &[f32] {
    bytemuck::cast_slice(words)
}

/// Root of the mean square difference over the root of the mean square of `expected`; any non-finite value fails.
#[track_caller]
pub fn rms_relative(expected: &[f32], got: &[f32]) -> f64 {
    assert_eq!(expected.len(), got.len());
    let mut difference = 0.0;
    let mut square = 0.0;
    for (i, (e, g)) in expected.iter().zip(got).enumerate() {
        assert!(
            e.is_finite() && g.is_finite(),
            "element {i}: expected {e}, got {g}"
        );
        difference += f64::from(e - g).powi(2);
        square += f64::from(*e).powi(2);
    }
    if square == 0.0 {
        if difference == 0.0 {
            0.0
        } else {
            f64::INFINITY
        }
    } else {
        (difference / square).sqrt()
    }
}

/// Fails unless `got` is within `limit` of `expected`, by [`rms_relative`].
#[track_caller]
pub fn assert_close(what: &str, expected: &[f32], got: &[f32], limit: f64) {
    let error = rms_relative(expected, got);
    assert!(
        error <= limit,
        "{what}: rms relative error {error:.3e}, allowed {limit:.0e}"
    );
}

/// Runs what is prepared from now on with this tuning.
pub fn tune(executor: &mut Executor, tuning: Tuning) {
    let Executor::Gpu(gpu) = executor else {
        unreachable!("a GPU was opened")
    };
    gpu.set_tuning(tuning);
}
