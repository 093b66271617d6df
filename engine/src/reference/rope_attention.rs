//! Reference of `shaders/rope_attention.wgsl`: [`super::rope`] of queries and key, [`super::KvRows::store`] of the token's
//! position, then [`super::attention_chunk`] of each chunk of what the cache holds.

use super::attention::merge_all;
use super::{KvRows, Partial, attention_chunk, rope};
use crate::ops::{ATTENTION_CHUNK, CHUNKS_PER_PAIR};

/// Chunks of attention of one unrotated query head `q [D]` at `angles [D / 2][2]` over the first `n` positions of the caches
/// of its key-value head, from row `first` on, into `partials [.., D + 4]`; with `pairs`, of each two of them together.
pub fn rope_attention(
    (q, angles): (&[f32], &[f32]),
    (k_cache, v_cache): (&[u32], &[u32]),
    (rows, first, n): (KvRows, usize, usize),
    pairs: bool,
    partials: &mut [f32],
) {
    let head_dim = q.len();
    let q = rope(q, angles);
    let k = rows.load(k_cache, first, n);
    let v = rows.load(v_cache, first, n);
    let chunk = ATTENTION_CHUNK as usize * head_dim;
    let chunks: Vec<Partial> = k
        .chunks(chunk)
        .zip(v.chunks(chunk))
        .map(|(k, v)| attention_chunk(&q, k, v))
        .collect();
    let per_part = if pairs { CHUNKS_PER_PAIR } else { 1 };
    let parts = chunks.chunks(per_part as usize);
    for (part, out) in parts.zip(partials.chunks_exact_mut(head_dim + 4)) {
        let partial = merge_all(part.iter().cloned());
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
        let caches = (caches[0].as_slice(), caches[1].as_slice());
        for (pairs, n_parts) in [(false, 3), (true, 2)] {
            let mut partials = vec![0.0; n_parts * (head_dim + 4)];
            rope_attention((&q, &angles), caches, (rows, 0, n), pairs, &mut partials);
            let [mut got, mut expected] = [vec![0.0; head_dim], vec![0.0; head_dim]];
            attention_combine(&partials, pairs, &mut got);
            attention(&rope(&q, &angles), &k, &v, &mut expected);
            assert_eq!(got, expected, "pairs: {pairs}");
        }
    }
}
