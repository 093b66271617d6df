//! Reference of `shaders/attention_combine.wgsl`.

/// Merges the chunks of one row, `partials [n_chunks][D + 2]` = (m, l, acc), into `out [D]`:
/// `out = sum_c exp(m_c - M) acc_c / sum_c exp(m_c - M) l_c` with `M = max m_c`, chunks in ascending order.
pub fn attention_combine(partials: &[f32], out: &mut [f32]) {
    let chunks = || partials.chunks_exact(out.len() + 2);
    let max = chunks()
        .map(|partial| partial[0])
        .fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = chunks().map(|partial| (partial[0] - max).exp()).collect();
    let total: f32 = chunks()
        .zip(&weights)
        .map(|(partial, weight)| weight * partial[1])
        .sum();
    let mut merged = vec![0.0; out.len()];
    for (partial, weight) in chunks().zip(&weights) {
        merged
            .iter_mut()
            .zip(&partial[2..])
            .for_each(|(merged, acc)| *merged += weight * acc);
    }
    out.iter_mut()
        .zip(merged)
        .for_each(|(out, merged)| *out = merged / total);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_chunk_is_divided_by_its_sum() {
        let mut out = [0.0; 2];
        attention_combine(&[7.0, 4.0, 2.0, -8.0], &mut out);
        assert_eq!(out, [0.5, -2.0]);
    }

    #[test]
    fn chunks_weigh_by_their_maximum() {
        // exp(0) = 1 and exp(-ln 2) = 1/2: (1 * 4 + 0.5 * 8) / (1 * 1 + 0.5 * 2) = 4.
        let mut out = [0.0];
        attention_combine(
            &[0.0, 1.0, 4.0, -std::f32::consts::LN_2, 2.0, 8.0],
            &mut out,
        );
        assert!((out[0] - 4.0).abs() < 1e-6, "{out:?}");
    }
}
