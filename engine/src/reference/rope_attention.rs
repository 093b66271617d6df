//! Reference of `shaders/rope_attention.wgsl`: [`super::rope`] of queries and key, [`super::store_kv`] of the token's position,
//! then [`super::attention_chunk`] of each chunk of what the cache holds.

use super::{attention_chunk, load_kv, rope};
use crate::ops::ATTENTION_CHUNK;
use crate::variant::KvType;

/// Chunks of attention of one unrotated query head `q [D]` at `angles [D / 2][2]` over the first `n` positions of the caches
/// of its key-value head, from element `at` on, into `partials [.., D + 4]`.
pub fn rope_attention(
    (q, angles): (&[f32], &[f32]),
    (k_cache, v_cache): (&[u32], &[u32]),
    (kv, at, n): (KvType, usize, usize),
    partials: &mut [f32],
) {
    let head_dim = q.len();
    let q = rope(q, angles);
    let k = load_kv(k_cache, kv, at, n * head_dim);
    let v = load_kv(v_cache, kv, at, n * head_dim);
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
    use crate::reference::{attention, attention_combine, store_kv};

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
        store_kv(&mut caches[0], KvType::F32, 0, &k);
        store_kv(&mut caches[1], KvType::F32, 0, &v);
        let angles = [0.6, 0.8].repeat(head_dim / 2);
        let mut partials = vec![0.0; 3 * (head_dim + 4)];
        let caches = (caches[0].as_slice(), caches[1].as_slice());
        rope_attention((&q, &angles), caches, (KvType::F32, 0, n), &mut partials);
        let [mut got, mut expected] = [vec![0.0; head_dim], vec![0.0; head_dim]];
        attention_combine(&partials, &mut got);
        attention(&rope(&q, &angles), &k, &v, &mut expected);
        assert_eq!(got, expected);
    }
}
