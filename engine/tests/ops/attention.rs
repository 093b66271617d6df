use super::rope_kv::HEADS;
use crate::common::{self, Random, words};
use crate::{Devices, assert_floats, step, untouched};
use engine::KvType;
use engine::ops::{Attention, Step, Tuning};
use engine::reference::store_kv;

const CONTEXT: u32 = 800;

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

/// A cache whose first `filled` positions are random and whose rest is NaN, in floats and in halves alike.
fn cache(op: &Attention, filled: u32, random: &mut Random) -> Vec<u32> {
    let head_dim = op.head_dim as usize;
    let elements = (op.kv_heads * CONTEXT) as usize * head_dim;
    let mut words = vec![
        u32::MAX;
        if op.kv == KvType::F16 {
            elements / 2
        } else {
            elements
        }
    ];
    for head in 0..op.kv_heads as usize {
        let values = random.normals(filled as usize * head_dim);
        store_kv(
            &mut words,
            op.kv,
            head * CONTEXT as usize * head_dim,
            &values,
        );
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

/// From the first position to the last, with chunks that are full and chunks that are not.
const RUNS: [(u32, u32); 7] = [
    (0, 1),
    (3, 2),
    (63, 1),
    (64, 1),
    (62, 4),
    (700, 3),
    (799, 1),
];

/// Every shape of heads, type of cache and run: what it is called, the attention, its buffers and the step.
pub(super) fn each_case(seed: u64, mut check: impl FnMut(&str, Attention, &[Vec<u32>], Step)) {
    let mut random = Random(seed);
    for heads in HEADS {
        for kv in [KvType::F32, KvType::F16] {
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
    for (heads, kv) in [((6, 2, 64), KvType::F16), ((4, 4, 100), KvType::F32)] {
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
