//! Reference of `shaders/rms_norm.wgsl`.

/// `out = gain * (x / sqrt(mean(x^2) + eps))`, all `[width]` f32.
///
/// The mean is summed in f32 by eight running sums, a fixed order that keeps the error of long rows small.
pub fn rms_norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
    let mut sums = [0.0_f32; 8];
    for (i, v) in x.iter().enumerate() {
        sums[i % 8] += v * v;
    }
    let total = sums.iter().sum::<f32>();
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
    let scale = 1.0 / (total / x.len() as f32 + eps).sqrt();
    for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
        *out = gain * (x * scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed() {
        let mut out = [0.0; 2];
        rms_norm(&[3.0, 4.0], &[1.0, 2.0], 0.0, &mut out);
        // mean square 12.5
        let r = 12.5_f32.sqrt();
        assert!(
            (out[0] - 3.0 / r).abs() < 1e-6 && (out[1] - 8.0 / r).abs() < 1e-6,
            "{out:?}"
        );
    }

    #[test]
    fn epsilon_bounds_tiny_rows() {
        let mut out = [0.0; 4];
        rms_norm(&[1e-8; 4], &[1.0; 4], 1e-5, &mut out);
        assert!((out[0] - 1e-8 / 1e-5_f32.sqrt()).abs() < 1e-10, "{out:?}");
    }
}
