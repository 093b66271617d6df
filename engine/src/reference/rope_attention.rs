//! Reference of `shaders/rope_attention.wgsl`: [`super::rope`] of queries and key, [`super::KvRows::store`] of the token's
//! position, then [`super::attention_chunk`] of each chunk of what the cache holds.

use super::{KvRows, attention_chunk, rope};
use crate::ops::ATTENTION_CHUNK;

/// Chunks of attention of one unrotated query head `q [D]` at `angles [D / 2][2]` over the first `n` positions of the caches
/// of its key-value head, from row `first` on, into `partials [.., D + 4]`.
pub fn rope_attention(
    (q, angles): (&[f32], &[f32]),
    (k_cache, v_cache): (&[u32], &[u32]),
    (rows, first, n): (KvRows, usize, usize),
    partials: &mut [f32],
) {
    let head_dim = q.len();
    let q = rope(q, angles);
    let k = rows.load(k_cache, first, n);
    let v = rows.load(v_cache, first, n);
    let chunk = ATTENTION_CHUNK as usize * head_dim;
    let chunks = k.chunks(chunk).zip(v.chunks(chunk));
    for ((k, v), out) in chunks.zip(partials.chunks_exact_mut(head_dim + 4)) {
        let partial = attention_chunk(&q, k, v);
        out[..4].copy_from_slice(&[partial.largest, partial.sum, 0.0, 0.0]);
        out[4..].copy_from_slice(&partial.values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{attention, attention_combine};
    use crate::variant::KvType;

    #[test]
    fn its_chunks_combine_to_attention_of_the_rotated_query() {
        let (head_dim, n) = (8, 150);
        let wave =
            |n: usize, step: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 * step).sin()).collect() };
        let (q, k, v) = (
            wave(head_dim, 0.7),
            wave(n * head_dim, 0.3),
            wave(n * head_dim, 1.1),
        );
        let mut caches = [vec![0; n * head_dim], vec![0; n * head_dim]];
        let rows = KvRows {
            kv: KvType::F32,
            head_dim,
            n_rows: n,
        };
        rows.store(&mut caches[0], 0, &k);
        rows.store(&mut caches[1], 0, &v);
        let angles = [0.6, 0.8].repeat(head_dim / 2);
        let mut partials = vec![0.0; 3 * (head_dim + 4)];
        let caches = (caches[0].as_slice(), caches[1].as_slice());
        rope_attention((&q, &angles), caches, (rows, 0, n), &mut partials);
        let [mut got, mut expected] = [vec![0.0; head_dim], vec![0.0; head_dim]];
        attention_combine(&partials, &mut got);
        attention(&rope(&q, &angles), &k, &v, &mut expected);
        assert_eq!(got, expected);
    }
}
