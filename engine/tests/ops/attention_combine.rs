use super::rope_kv::HEADS;
use crate::common::{self, Random, words};
use crate::{Devices, UNTOUCHED, assert_floats, step, untouched};
use engine::KvType;
use engine::ops::{Attention, AttentionCombine};

/// Random partials of the chunks that a run uses; those it must not read are NaN.
fn partials(op: &AttentionCombine, pos: u32, n: u32, random: &mut Random) -> Vec<u32> {
    let mut out = Vec::new();
    for t in 0..op.max_tokens {
        for _ in 0..op.heads {
            for chunk in 0..op.context.div_ceil(256) {
                let used = t < n && chunk <= (pos + t) / 256;
                let mut partial = vec![UNTOUCHED; op.head_dim as usize + 2];
                if used {
                    let values = random.normals(op.head_dim as usize);
                    partial = words(
                        &[
                            [random.normal() * 5.0, 1.0 + random.unit().abs() * 100.0].as_slice(),
                            &values,
                        ]
                        .concat(),
                    );
                }
                out.extend(partial);
            }
        }
    }
    out
}

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::one();
    let mut random = Random(21);
    for (heads, _, head_dim) in HEADS {
        for (pos, n) in [(0, 1), (254, 4), (700, 3), (1299, 1)] {
            let op = AttentionCombine {
                heads,
                head_dim,
                context: 1300,
                max_tokens: n + 1,
            };
            let out = untouched((op.max_tokens * heads * head_dim) as usize);
            let buffers = vec![partials(&op, pos, n, &mut random), out];
            devices.check(&op, &buffers, step(pos, n), |expected, got| {
                assert_floats(
                    &format!("{heads} heads of {head_dim}, {n} from {pos}"),
                    &expected[1],
                    &got[1],
                    1e-5,
                );
            });
        }
    }
}

#[test]
fn tokens_have_the_bits_of_single_runs() {
    let mut devices = Devices::one();
    let mut random = Random(22);
    let batch = AttentionCombine {
        heads: 6,
        head_dim: 100,
        context: 800,
        max_tokens: 5,
    };
    let single = AttentionCombine {
        max_tokens: 1,
        ..batch.clone()
    };
    let all = partials(&batch, 509, 5, &mut random);
    let Some(got) = devices.run(&batch, &[all.clone(), untouched(5 * 600)], step(509, 5)) else {
        return;
    };
    for t in 0..5_usize {
        let len = all.len() / 5;
        let one = [all[t * len..(t + 1) * len].to_vec(), untouched(600)];
        let alone = devices.run(&single, &one, step(509 + t as u32, 1)).unwrap();
        assert_eq!(alone[1], got[1][t * 600..(t + 1) * 600], "token {t}");
    }
}

/// Both kernels together against softmax in f64 over the whole context.
#[test]
fn with_attention_it_is_softmax() {
    let mut devices = Devices::one();
    let mut random = Random(23);
    for (heads, kv_heads, head_dim) in HEADS {
        let position = 600_u32;
        let attention = Attention {
            heads,
            kv_heads,
            head_dim,
            context: 700,
            kv: KvType::F32,
            max_tokens: 1,
        };
        let combine = AttentionCombine {
            heads,
            head_dim,
            context: 700,
            max_tokens: 1,
        };
        let q = random.normals((heads * head_dim) as usize);
        let k = random.normals((kv_heads * 700 * head_dim) as usize);
        let v = random.normals((kv_heads * 700 * head_dim) as usize);
        let partials = untouched((attention.partials_bytes() / 4) as usize);
        let inputs = [words(&q), words(&k), words(&v), partials];
        let Some(mut got) = devices.run(&attention, &inputs, step(position, 1)) else {
            return;
        };
        let merge = [got.pop().unwrap(), untouched(q.len())];
        let out = devices.run(&combine, &merge, step(position, 1)).unwrap();
        let expected = softmax(
            (heads, kv_heads, head_dim),
            &q,
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
