//! How much memory a plan takes. No GPU is needed: the CPU executor's buffers are of the same lengths, and memory that nobody
//! touches is none.

use crate::KvType;
use crate::bench::synthetic::{Synthetic, architecture};
use crate::exec::Executor;
use crate::loader::FLUSH_BYTES;
use crate::plan::{Plan, memory_need};
use crate::session::SessionConfig;
use crate::weights::Allocator;
use model::Encoding;
use model::manifest::MAX_SHARD_BYTES;

/// Bytes on the device of BitNet 2B-4T's shape with a head in q8, at the default context and chunk, over those of weights and
/// cache. It may be 1.05 and is 1.02.
#[test]
fn a_session_takes_hardly_more_than_weights_and_cache() {
    let architecture = architecture("2b-4t").expect("a known shape");
    let model = Synthetic::new("2b-4t", architecture, Encoding::Q8, 8, 1).expect("a valid model");
    let config = SessionConfig::default();
    assert_eq!(config.context, 4096);
    let mut executor = Executor::cpu();
    let (weights, _) = Allocator::new(&mut executor, model.manifest())
        .allocate()
        .expect("buffers of the weights");
    let weight_bytes = executor.allocated_bytes();
    let plan = Plan::build(&mut executor, model.manifest(), &weights, &config);
    let plan = pollster::block_on(plan).expect("a plan");
    let needed = weight_bytes + plan.kv_bytes;
    let ready = executor.allocated_bytes();
    // While the weights come, copies of some of them are on their way, but there is no cache yet.
    let loading = weight_bytes + 2 * (FLUSH_BYTES + MAX_SHARD_BYTES);
    let ratio = |bytes: u64| bytes as f64 / needed as f64;
    println!(
        "weights {weight_bytes}, cache {}, everything else {}: {:.4}; while loading at most {:.4}",
        plan.kv_bytes,
        ready - needed,
        ratio(ready),
        ratio(loading)
    );
    assert!(ratio(ready) <= 1.03, "{}", ratio(ready));
    assert!(ratio(loading) <= 1.0, "{}", ratio(loading));
}

/// A cache of bytes has 4 bytes of scale for each 128 of codes, so it takes 0.516 of what manifests state for f16.
#[test]
fn caches_take_what_their_type_says() {
    let architecture = architecture("2b-4t").expect("a known shape");
    let stated = architecture.kv_bytes_f16(2048);
    let model = Synthetic::new("2b-4t", architecture, Encoding::Q8, 8, 1).expect("a valid model");
    for kv in KvType::ALL {
        let config = SessionConfig {
            kv,
            context: 2048,
            ..SessionConfig::default()
        };
        let mut executor = Executor::cpu();
        let (weights, _) = Allocator::new(&mut executor, model.manifest())
            .allocate()
            .expect("buffers of the weights");
        let plan = Plan::build(&mut executor, model.manifest(), &weights, &config);
        let plan = pollster::block_on(plan).expect("a plan");
        let expected = match kv {
            KvType::F32 => stated * 2,
            KvType::F16 => stated,
            KvType::I8 => stated / 256 * 132,
        };
        assert_eq!(plan.kv_bytes, expected, "{kv:?}");
    }
}

/// What is told before anything is made is what it takes then, but for the device's rounding of small buffers.
#[test]
fn what_is_told_beforehand_is_what_it_takes() {
    let architecture = architecture("2b-4t").expect("a known shape");
    let model = Synthetic::new("2b-4t", architecture, Encoding::Q8, 8, 1).expect("a valid model");
    for kv in KvType::ALL {
        for (context, prefill_chunk) in [(512, 0), (2048, 16), (4096, 1)] {
            let config = SessionConfig {
                kv,
                context,
                prefill_chunk,
            };
            let told = memory_need(model.manifest(), &config).expect("a need");
            let mut executor = Executor::cpu();
            let (weights, _) = Allocator::new(&mut executor, model.manifest())
                .allocate()
                .expect("buffers of the weights");
            let weight_bytes = executor.allocated_bytes();
            let plan = Plan::build(&mut executor, model.manifest(), &weights, &config);
            let plan = pollster::block_on(plan).expect("a plan");
            let rest = executor.allocated_bytes() - weight_bytes - plan.kv_bytes;
            assert_eq!(told.kv_bytes, plan.kv_bytes, "{config:?}");
            // What tiles and alignment add to weights is not worth counting.
            let is_near = |told: u64, took: u64| told.abs_diff(took) <= took / 100;
            assert!(
                is_near(told.weight_bytes, weight_bytes),
                "{told:?} {weight_bytes}"
            );
            // Devices that choose a chunk by themselves may choose one of twice the usual length.
            let most = if prefill_chunk == 0 {
                2 * rest
            } else {
                rest + rest / 50 + 4096
            };
            assert!(
                (rest..=most).contains(&told.activation_bytes),
                "{config:?} {told:?} {rest}"
            );
        }
    }
}
