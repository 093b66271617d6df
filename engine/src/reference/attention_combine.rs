//! Reference of `shaders/attention_combine.wgsl`.

use super::Partial;
use super::attention::{merge_all, merge_pairs};
use crate::ops::{CHUNKS_PER_GROUP, CHUNKS_PER_PAIR};

/// Merges the parts of one row, `partials [n][D + 4]` = (m, l, two unused, acc) of chunks or, if they `are_pairs`, of pairs of
/// them, into `out [D]`, as [`attention`](super::attention()) does.
pub fn attention_combine(partials: &[f32], are_pairs: bool, out: &mut [f32]) {
    groups_of(partials, are_pairs, out.len())
        .reduce(|merged, next| merged.merge(&next))
        .expect("at least one chunk")
        .finish(out);
}

fn merge_parts(partials: &[f32], are_pairs: bool, head_dim: usize) -> Partial {
    let parts = parts_of(partials, head_dim);
    if are_pairs {
        merge_all(parts)
    } else {
        merge_pairs(parts)
    }
}

fn groups_of(partials: &[f32], are_pairs: bool, head_dim: usize) -> impl Iterator<Item = Partial> {
    let per_part = if are_pairs { CHUNKS_PER_PAIR } else { 1 };
    partials
        .chunks((CHUNKS_PER_GROUP / per_part) as usize * (head_dim + 4))
        .map(move |group| merge_parts(group, are_pairs, head_dim))
}

fn parts_of(partials: &[f32], head_dim: usize) -> impl Iterator<Item = Partial> {
    partials.chunks_exact(head_dim + 4).map(|partial| Partial {
        largest: partial[0],
        sum: partial[1],
        values: partial[4..].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_chunk_is_divided_by_its_sum() {
        let mut out = [0.0; 2];
        attention_combine(&[7.0, 4.0, f32::NAN, f32::NAN, 2.0, -8.0], false, &mut out);
        assert_eq!(out, [0.5, -2.0]);
    }

    #[test]
    fn chunks_weigh_by_their_maximum() {
        let mut out = [0.0];
        let chunks = [
            0.0,
            1.0,
            0.0,
            0.0,
            4.0,
            -std::f32::consts::LN_2,
            2.0,
            0.0,
            0.0,
            8.0,
        ];
        for are_pairs in [false, true] {
            attention_combine(&chunks, are_pairs, &mut out);
            assert!((out[0] - 4.0).abs() < 1e-6, "{out:?}");
        }
    }
}
