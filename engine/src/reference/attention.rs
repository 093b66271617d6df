//! Reference of `shaders/attention.wgsl`.

use crate::ops::{ATTENTION_CHUNK, CHUNKS_PER_GROUP, CHUNKS_PER_PAIR};

/// Attention of a query `q [D]` over the positions `k` and `v`, `[n, D]` (n > 0), into `out [D]`:
/// `out = sum_p exp(s_p - M) v_p / sum_p exp(s_p - M)`, `s = (q . k) / sqrt(D)`, in chunks of [`ATTENTION_CHUNK`] positions that
/// are merged to pairs, these in ascending order to groups of [`CHUNKS_PER_GROUP`] chunks, and groups likewise.
pub fn attention(q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
    let chunk = ATTENTION_CHUNK as usize * q.len();
    let group = CHUNKS_PER_GROUP as usize * chunk;
    k.chunks(group)
        .zip(v.chunks(group))
        .map(|(k, v)| {
            let chunks = k.chunks(chunk).zip(v.chunks(chunk));
            merge_pairs(chunks.map(|(k, v)| attention_chunk(q, k, v)))
        })
        .reduce(|merged, next| merged.merge(&next))
        .expect("at least one position")
        .finish(out);
}

/// Some parts of one row, in their order.
pub(super) fn merge_all(parts: impl Iterator<Item = Partial>) -> Partial {
    parts
        .reduce(|merged, next| merged.merge(&next))
        .expect("at least one part")
}

/// The same, neighbours before others.
pub(super) fn merge_pairs(parts: impl Iterator<Item = Partial>) -> Partial {
    let parts: Vec<Partial> = parts.collect();
    let pairs = parts.chunks(CHUNKS_PER_PAIR as usize);
    merge_all(pairs.map(|pair| merge_all(pair.iter().cloned())))
}

/// Attention over some positions, not yet divided.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// `m = max s`
    pub largest: f32,
    /// `l = sum exp(s - m)`
    pub sum: f32,
    /// `acc = sum exp(s - m) v`, `[D]`
    pub values: Vec<f32>,
}

impl Partial {
    /// Both together.
    #[must_use]
    pub fn merge(&self, next: &Self) -> Self {
        let largest = self.largest.max(next.largest);
        let (old, fresh) = (
            (self.largest - largest).exp(),
            (next.largest - largest).exp(),
        );
        let values = self.values.iter().zip(&next.values);
        Self {
            largest,
            sum: old * self.sum + fresh * next.sum,
            values: values.map(|(a, b)| old * a + fresh * b).collect(),
        }
    }

    /// The weighted mean, `acc / l`.
    pub fn finish(&self, out: &mut [f32]) {
        let values = self.values.iter();
        out.iter_mut()
            .zip(values)
            .for_each(|(out, value)| *out = value / self.sum);
    }
}

/// Attention of a query over the positions of one chunk.
#[must_use]
pub fn attention_chunk(q: &[f32], k: &[f32], v: &[f32]) -> Partial {
    let head_dim = q.len();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a head dimension is far below 2^24"
    )]
    let scale = 1.0 / (head_dim as f32).sqrt();
    let scores: Vec<f32> = k
        .chunks_exact(head_dim)
        .map(|k| dot(q, k) * scale)
        .collect();
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut values = vec![0.0; head_dim];
    let mut sum = 0.0;
    for (score, v) in scores.iter().zip(v.chunks_exact(head_dim)) {
        let weight = (score - largest).exp();
        sum += weight;
        values
            .iter_mut()
            .zip(v)
            .for_each(|(acc, v)| *acc += weight * v);
    }
    Partial {
        largest,
        sum,
        values,
    }
}

/// Four running sums, a fixed order.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 4];
    for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
        for i in 0..4 {
            sums[i] += a[i] * b[i];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Softmax attention of one query in f64, all positions at once.
    fn exact(q: &[f32], k: &[f32], v: &[f32]) -> Vec<f64> {
        let n = q.len();
        let scores: Vec<f64> = k
            .chunks_exact(n)
            .map(|k| {
                q.iter()
                    .zip(k)
                    .map(|(q, k)| f64::from(*q) * f64::from(*k))
                    .sum::<f64>()
                    / (n as f64).sqrt()
            })
            .collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
        let total: f64 = weights.iter().sum();
        (0..n)
            .map(|d| {
                weights
                    .iter()
                    .zip(v.chunks_exact(n))
                    .map(|(w, v)| w * f64::from(v[d]))
                    .sum::<f64>()
                    / total
            })
            .collect()
    }

    fn wave(n: usize, step: f32, size: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * step).sin() * size).collect()
    }

    #[test]
    fn one_position_returns_its_value() {
        let mut out = [f32::NAN; 4];
        attention(
            &[1.0, 0.0, 0.0, 0.0],
            &[4.0, 9.0, 9.0, 9.0],
            &[1.0, 2.0, 3.0, 4.0],
            &mut out,
        );
        assert_eq!(out, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn chunks_merged_equal_softmax_in_f64() {
        for (head_dim, n) in [
            (16, 1),
            (64, 63),
            (64, 64),
            (64, 65),
            (100, 700),
            (128, 1000),
            (64, 1025),
        ] {
            let q = wave(head_dim, 0.37, 3.0);
            let k = wave(head_dim * n, 0.711, 2.0);
            let v = wave(head_dim * n, 1.3, 1.0);
            let mut out = vec![0.0; head_dim];
            attention(&q, &k, &v, &mut out);
            for (got, expected) in out.iter().zip(exact(&q, &k, &v)) {
                assert!(
                    (f64::from(*got) - expected).abs() < 2e-6,
                    "D {head_dim}, n {n}: {got} for {expected}"
                );
            }
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let k = [1e3, 1e3, 1e3, 1e3, -1e3, -1e3, -1e3, -1e3];
        let partial = attention_chunk(&[1e3; 4], &k, &[1.0; 8]);
        let expected = Partial {
            largest: 2e6,
            sum: 1.0,
            values: vec![1.0; 4],
        };
        assert_eq!(partial, expected);
    }

    #[test]
    fn parts_weigh_by_their_maximum() {
        // exp(0) = 1 and exp(-ln 2) = 1/2: (1 * 4 + 0.5 * 8) / (1 * 1 + 0.5 * 2) = 4.
        let part = |largest, sum, value| Partial {
            largest,
            sum,
            values: vec![value],
        };
        let mut out = [0.0];
        let merged = part(0.0, 1.0, 4.0).merge(&part(-std::f32::consts::LN_2, 2.0, 8.0));
        merged.finish(&mut out);
        assert!((out[0] - 4.0).abs() < 1e-6, "{out:?}");
    }
}
