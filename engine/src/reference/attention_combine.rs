//! Reference of `shaders/attention_combine.wgsl`.

use super::Partial;

/// Merges the chunks of one row, `partials [n_chunks][D + 4]` = (m, l, two unused, acc), in ascending order into `out [D]`.
pub fn attention_combine(partials: &[f32], out: &mut [f32]) {
    partials
        .chunks_exact(out.len() + 4)
        .map(|partial| Partial {
            largest: partial[0],
            sum: partial[1],
            values: partial[4..].to_vec(),
        })
        .reduce(|merged, next| merged.merge(&next))
        .expect("at least one chunk")
        .finish(out);
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
