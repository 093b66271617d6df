use super::rope_kv::HEADS;
use crate::common::{self, Random, words};
use crate::{Devices, assert_floats, step, untouched};
use engine::KvType;
use engine::ops::{Attention, Step, Tuning};
use engine::reference::KvRows;

/// More than one group of chunks.
const CONTEXT: u32 = 1200;

pub(super) fn op(
    (heads, kv_heads, head_dim): (u32, u32, u32),
    kv: KvType,
    max_tokens: u32,
) -> Attention {
    Attention {
        heads,
        kv_heads,
        head_dim,
        context: CONTEXT,
        kv,
        max_tokens,
    }
}

/// A cache whose first `filled` positions are random and whose rest is NaN, in floats, in halves and in scales alike.
fn cache(op: &Attention, filled: u32, random: &mut Random) -> Vec<u32> {
    let head_dim = op.head_dim as usize;
    let rows = KvRows {
        kv: op.kv,
        head_dim,
        n_rows: (op.kv_heads * CONTEXT) as usize,
    };
    let mut words = vec![u32::MAX; rows.words()];
    for head in 0..op.kv_heads as usize {
        let values = random.normals(filled as usize * head_dim);
        rows.store(&mut words, head * CONTEXT as usize, &values);
    }
    words
}

/// `q`, keys, values, output of a run that ends at position `end`.
pub(super) fn buffers(op: &Attention, end: u32, random: &mut Random) -> Vec<Vec<u32>> {
    let width = (op.max_tokens * op.heads * op.head_dim) as usize;
    let q = random.normals(width);
    let (k, v) = (cache(op, end, random), cache(op, end, random));
    vec![words(&q), k, v, untouched(width)]
}

/// From the first position to the last, with chunks that are full and chunks that are not, within a group and over its end.
const RUNS: [(u32, u32); 8] = [
    (0, 1),
    (3, 2),
    (63, 1),
    (64, 1),
    (62, 4),
    (700, 3),
    (1022, 4),
    (1199, 1),
];

/// Every shape of heads, type of cache and run: what it is called, the attention, its buffers and the step.
pub(super) fn each_case(seed: u64, mut check: impl FnMut(&str, Attention, &[Vec<u32>], Step)) {
    let mut random = Random(seed);
    for heads in HEADS {
        for kv in KvType::ALL {
            for (pos, n) in RUNS {
                // One token of room is left over.
                let op = op(heads, kv, n + 1);
                let buffers = buffers(&op, pos + n, &mut random);
                let what = format!("{heads:?}, {kv:?}, {n} from {pos}");
                check(&what, op, &buffers, step(pos, n));
            }
        }
    }
}

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::one();
    each_case(18, |what, op, buffers, step| {
        devices.check(&op, buffers, step, |expected, got| {
            assert_floats(what, &expected[3], &got[3], 1e-5);
        });
    });
}

/// Scores of thousands: the maximum is subtracted before the exponential.
#[test]
fn large_scores_do_not_overflow() {
    let mut devices = Devices::one();
    let mut random = Random(19);
    let op = op((2, 1, 64), KvType::F32, 1);
    let mut buffers = buffers(&op, 300, &mut random);
    buffers[0] = words(
        &common::floats(&buffers[0])
            .iter()
            .map(|q| q * 1e4)
            .collect::<Vec<_>>(),
    );
    devices.check(&op, &buffers, step(299, 1), |expected, got| {
        // The scores are of size 1e4, so f32 noise moves them by 1e-3 and the weights by as much.
        assert_floats("output", &expected[3], &got[3], 2e-2);
    });
}

/// The bits of a position do not depend on the run it is computed in, nor on what lies beyond it in the cache.
#[test]
fn tokens_have_the_bits_of_single_runs() {
    let mut devices = Devices::one();
    let mut random = Random(20);
    for (heads, kv) in [
        ((6, 2, 64), KvType::F16),
        ((4, 4, 100), KvType::F32),
        ((4, 2, 128), KvType::I8),
    ] {
        let batch = op(heads, kv, 5);
        let single = op(heads, kv, 1);
        for pos in [0, 61, 509] {
            let all = buffers(&batch, pos + 5, &mut random);
            let Some(got) = devices.run(&batch, &all, step(pos, 5)) else {
                return;
            };
            let width = (batch.heads * batch.head_dim) as usize;
            for t in 0..5_usize {
                let q = all[0][t * width..(t + 1) * width].to_vec();
                let one = vec![q, all[1].clone(), all[2].clone(), untouched(width)];
                let alone = devices.run(&single, &one, step(pos + t as u32, 1)).unwrap();
                assert_eq!(
                    alone[3],
                    got[3][t * width..(t + 1) * width],
                    "{heads:?}, {kv:?}, token {t} from {pos}"
                );
            }
        }
    }
}

/// What bytes cost. A code is off by at most half a step of amax / 127, evenly spread, so by 0.29 of a step, where amax is
/// about 2.8 for 64 values of a normal distribution and 3 for 256: 0.0065 to 0.007 of their deviation. A score is a sum of D
/// products over sqrt(D), so it is off by as much, which moves the weights in the same ratio; the values themselves
/// are off by as much again. Both together are 1 % of the result, and twice that is the limit.
#[test]
fn bytes_are_within_two_percent_of_halves() {
    let mut devices = Devices::one();
    for (seed, heads) in [(32, (6, 2, 64)), (33, (4, 4, 100)), (34, (4, 2, 256))] {
        for pos in [0, 60, 790] {
            let mut result = |kv| {
                let op = op(heads, kv, 5);
                let buffers = buffers(&op, pos + 5, &mut Random(seed));
                devices.run(&op, &buffers, step(pos, 5))
            };
            let Some(halves) = result(KvType::F16) else {
                return;
            };
            let bytes = result(KvType::I8).unwrap();
            let what = format!("{heads:?} from {pos}");
            assert_floats(&what, &halves[3], &bytes[3], 2e-2);
            let (halves, bytes) = (common::floats(&halves[3]), common::floats(&bytes[3]));
            let error = common::rms_relative(halves, bytes);
            assert!(error > 1e-4, "{what}: {error:.1e} is too little for bytes");
        }
    }
}

/// How many heads share a workgroup changes no bit.
#[test]
fn every_tuning_gives_the_same_bits() {
    let mut devices = Devices::one();
    let op = op((12, 1, 64), KvType::F16, 2);
    let buffers = buffers(&op, 132, &mut Random(26));
    let expected = devices.run(&op, &buffers, step(130, 2));
    for attention_heads in [1, 2, 3] {
        devices.set_tuning(Tuning {
            attention_heads,
            ..Tuning::default()
        });
        let got = devices.run(&op, &buffers, step(130, 2));
        assert_eq!(expected, got, "{attention_heads} heads");
    }
}
