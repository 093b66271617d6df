//! Reference of `shaders/attention_combine.wgsl`.

use super::Partial;
use super::attention::merge_all;
use crate::ops::CHUNKS_PER_GROUP;

/// Merges the chunks of one row, `partials [n_chunks][D + 4]` = (m, l, two unused, acc), into `out [D]`, as
/// [`attention`](super::attention()) does.
pub fn attention_combine(partials: &[f32], out: &mut [f32]) {
    groups_of(partials, out.len())
        .reduce(|merged, next| merged.merge(&next))
        .expect("at least one chunk")
        .finish(out);
}

/// Merges the chunks of one row to groups `[n_groups][D + 4]`.
pub fn combine_groups(partials: &[f32], head_dim: usize, groups: &mut [f32]) {
    let merged = groups_of(partials, head_dim);
    for (out, group) in groups.chunks_exact_mut(head_dim + 4).zip(merged) {
        out[..4].copy_from_slice(&[group.largest, group.sum, 0.0, 0.0]);
        out[4..].copy_from_slice(&group.values);
    }
}

/// Merges parts of one row, chunks or groups, one after the other.
pub fn merge_row(partials: &[f32], out: &mut [f32]) {
    merge_all(parts_of(partials, out.len())).finish(out);
}

fn groups_of(partials: &[f32], head_dim: usize) -> impl Iterator<Item = Partial> {
    partials
        .chunks(CHUNKS_PER_GROUP as usize * (head_dim + 4))
        .map(move |group| merge_all(parts_of(group, head_dim)))
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
        attention_combine(&[7.0, 4.0, f32::NAN, f32::NAN, 2.0, -8.0], &mut out);
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
        attention_combine(&chunks, &mut out);
        assert!((out[0] - 4.0).abs() < 1e-6, "{out:?}");
    }
}
