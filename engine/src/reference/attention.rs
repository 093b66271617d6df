//! Reference of `shaders/attention.wgsl`.

/// Attention of a query `q [D]` over the positions of one chunk, `k` and `v` `[n, D]` (n > 0), not yet divided:
/// `partial = (m, l, acc[D])` with `m = max s`, `l = sum exp(s - m)`, `acc = sum exp(s - m) v`, `s = (q . k) / sqrt(D)`.
pub fn attention(q: &[f32], k: &[f32], v: &[f32], partial: &mut [f32]) {
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
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (head, acc) = partial.split_at_mut(2);
    acc.fill(0.0);
    let mut sum = 0.0;
    for (score, v) in scores.iter().zip(v.chunks_exact(head_dim)) {
        let weight = (score - max).exp();
        sum += weight;
        acc.iter_mut()
            .zip(v)
            .for_each(|(acc, v)| *acc += weight * v);
    }
    head.copy_from_slice(&[max, sum]);
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
    use crate::reference::attention_combine;

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
        let mut partial = [f32::NAN; 6];
        attention(
            &[1.0, 0.0, 0.0, 0.0],
            &[4.0, 9.0, 9.0, 9.0],
            &[1.0, 2.0, 3.0, 4.0],
            &mut partial,
        );
        assert_eq!(partial, [2.0, 1.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn chunks_merged_equal_softmax_in_f64() {
        for (head_dim, n) in [
            (16, 1),
            (64, 255),
            (64, 256),
            (64, 257),
            (100, 700),
            (128, 1000),
        ] {
            let q = wave(head_dim, 0.37, 3.0);
            let k = wave(head_dim * n, 0.711, 2.0);
            let v = wave(head_dim * n, 1.3, 1.0);
            let mut partials = Vec::new();
            for (k, v) in k.chunks(256 * head_dim).zip(v.chunks(256 * head_dim)) {
                let mut partial = vec![0.0; head_dim + 2];
                attention(&q, k, v, &mut partial);
                partials.extend(partial);
            }
            let mut out = vec![0.0; head_dim];
            attention_combine(&partials, &mut out);
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
        let mut partial = [0.0; 6];
        attention(
            &[1e3; 4],
            &[1e3, 1e3, 1e3, 1e3, -1e3, -1e3, -1e3, -1e3],
            &[1.0; 8],
            &mut partial,
        );
        assert_eq!(partial, [2e6, 1.0, 1.0, 1.0, 1.0, 1.0]);
    }
}
