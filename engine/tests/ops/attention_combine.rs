use super::rope_kv::HEADS;
use crate::common::{self, Random, words};
use crate::{Devices, UNTOUCHED, assert_floats, step, untouched};
use engine::KvType;
use engine::ops::{AttentionCombine, Reach, RopeAttention};

/// Random partials of the chunks or pairs that a position uses; those it must not read are NaN.
pub(super) fn partials(op: &AttentionCombine, pos: u32, random: &mut Random) -> Vec<u32> {
    let mut out = Vec::new();
    for _ in 0..op.heads {
        for chunk in 0..op.context.div_ceil(64) {
            let mut partial = vec![UNTOUCHED; op.head_dim as usize + 4];
            let per_part = if op.pairs { 2 } else { 1 };
            if chunk <= pos / 64 / per_part {
                let head = [random.normal() * 5.0, 1.0 + random.unit().abs() * 100.0];
                partial[..2].copy_from_slice(&words(&head));
                partial[4..].copy_from_slice(&words(&random.normals(op.head_dim as usize)));
            }
            out.extend(partial);
        }
    }
    out
}

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::one();
    let mut random = Random(21);
    for (heads, _, head_dim) in HEADS {
        // Up to 4096 positions are merged at once.
        for (context, pos) in [
            (40, 39),
            (1300, 0),
            (1300, 63),
            (1300, 64),
            (1300, 700),
            (1300, 1023),
            (1300, 1024),
            (1300, 1299),
            (9000, 4095),
            (9000, 4096),
            (9000, 8999),
        ] {
            let op = AttentionCombine {
                heads,
                head_dim,
                context,
                pairs: pos % 3 == 1,
                reach: Reach::All,
            };
            let out = untouched((heads * head_dim) as usize);
            let buffers = vec![partials(&op, pos, &mut random), out];
            devices.check(&op, &buffers, step(pos, 1), |expected, got| {
                let what = format!("{heads} heads of {head_dim} at {pos} of {context}");
                assert_floats(&what, &expected[1], &got[1], 1e-5);
            });
        }
    }
}

/// Words of the first, a middle and the last part that a position uses, of the first head: maximum, sum and a value.
pub(super) fn parts_with_a_nan(op: &AttentionCombine, pos: u32) -> Vec<usize> {
    let last = pos / 64 / if op.pairs { 2 } else { 1 };
    let mut words = Vec::new();
    for part in [0, last / 2, last] {
        let start = (part * (op.head_dim + 4)) as usize;
        words.extend([start, start + 1, start + 4]);
    }
    words
}

/// What no longer is a number stays so, whichever part it is in, and spoils its head alone.
#[test]
fn a_nan_in_a_part_reaches_the_result() {
    let mut devices = Devices::one();
    let mut random = Random(22);
    for pairs in [false, true] {
        for pos in [40, 100, 1100, 4095, 6000] {
            let op = AttentionCombine {
                heads: 2,
                head_dim: 32,
                context: 6400,
                pairs,
                reach: Reach::All,
            };
            let sound = partials(&op, pos, &mut random);
            let is_alone = pos < if pairs { 128 } else { 64 };
            for (i, at) in parts_with_a_nan(&op, pos).into_iter().enumerate() {
                // A part alone needs no maximum; what spoils that has spoilt the sum too.
                if is_alone && i % 3 == 0 {
                    continue;
                }
                let mut partials = sound.clone();
                partials[at] = f32::NAN.to_bits();
                let Some(got) = devices.run(&op, &[partials, untouched(64)], step(pos, 1)) else {
                    return;
                };
                let out = common::floats(&got[1]);
                let what = format!("word {at} at {pos}, pairs: {pairs}: {out:?}");
                // Of a value only its own column.
                let own = if i % 3 == 2 { &out[..1] } else { &out[..32] };
                assert!(own.iter().all(|x| x.is_nan()), "{what}");
                assert!(out[32..].iter().all(|x| x.is_finite()), "{what}");
            }
        }
    }
}

/// Chunks of rope_attention, merged, against softmax in f64 over the whole context. Position 0 of the table turns nothing.
#[test]
fn with_attention_it_is_softmax() {
    let mut devices = Devices::one();
    let mut random = Random(23);
    for (heads, kv_heads, head_dim) in HEADS {
        let position = 600_u32;
        let (width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        let attention = RopeAttention {
            heads,
            kv_heads,
            head_dim,
            k_offset: width,
            v_offset: width + kv_width,
            context: 700,
            kv: KvType::F32,
            reach: Reach::All,
            pairs: false,
        };
        let combine = AttentionCombine {
            heads,
            head_dim,
            context: 700,
            pairs: false,
            reach: Reach::All,
        };
        let qkv = random.normals((width + 2 * kv_width) as usize);
        let mut k = random.normals((kv_heads * 700 * head_dim) as usize);
        let mut v = random.normals((kv_heads * 700 * head_dim) as usize);
        let table = [1.0, 0.0].repeat(700 * head_dim as usize / 2);
        let partials = (heads * 11 * (head_dim + 4)) as usize;
        let inputs = [
            words(&qkv),
            words(&table),
            words(&k),
            words(&v),
            untouched(partials),
        ];
        let Some(mut got) = devices.run(&attention, &inputs, step(position, 1)) else {
            return;
        };
        let merge = [got.pop().unwrap(), untouched(width as usize)];
        let out = devices.run(&combine, &merge, step(position, 1)).unwrap();
        // The token's own key and value take their place.
        for head in 0..kv_heads as usize {
            let d = head_dim as usize;
            let at = (head * 700 + position as usize) * d;
            let own = width as usize + head * d;
            k[at..at + d].copy_from_slice(&qkv[own..own + d]);
            let own = own + kv_width as usize;
            v[at..at + d].copy_from_slice(&qkv[own..own + d]);
        }
        let q = &qkv[..width as usize];
        let expected = softmax(
            (heads, kv_heads, head_dim),
            q,
            (&k, &v),
            position as usize + 1,
        );
        common::assert_close(
            &format!("{heads}/{kv_heads} heads of {head_dim}"),
            &expected,
            common::floats(&out[1]),
            2e-6,
        );
    }
}

/// Attention of one token over the first `n` of 700 positions, in f64.
fn softmax(
    (heads, kv_heads, head_dim): (u32, u32, u32),
    q: &[f32],
    (k, v): (&[f32], &[f32]),
    n: usize,
) -> Vec<f32> {
    let d = head_dim as usize;
    let mut out = Vec::new();
    for (head, q) in q.chunks_exact(d).enumerate() {
        let start = head / (heads / kv_heads) as usize * 700 * d;
        let (k, v) = (&k[start..start + n * d], &v[start..start + n * d]);
        let dot = |k: &[f32]| {
            q.iter()
                .zip(k)
                .map(|(q, k)| f64::from(*q) * f64::from(*k))
                .sum::<f64>()
        };
        let scores: Vec<f64> = k
            .chunks_exact(d)
            .map(|k| dot(k) / f64::from(head_dim).sqrt())
            .collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
        let total: f64 = weights.iter().sum();
        for e in 0..d {
            let sum: f64 = weights
                .iter()
                .zip(v.chunks_exact(d))
                .map(|(w, v)| w * f64::from(v[e]))
                .sum();
            out.push((sum / total) as f32);
        }
    }
    out
}
