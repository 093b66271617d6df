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

    /// Sums are f32 in eight running sums: 4096^2 + 1 is not representable, so a hundred ones added to it one by one vanish.
    /// A norm in f64 keeps them and rounds differently.
    #[test]
    fn sums_are_f32() {
        let mut x = [0.0; 808];
        x[0] = 4096.0;
        (1..=100).for_each(|k| x[8 * k] = 1.0);
        let mut out = [0.0; 808];
        rms_norm(&x, &[1.0; 808], 1e-5, &mut out);
        let in_f32 = 4096.0 * (1.0 / (16_777_216.0_f32 / 808.0 + 1e-5).sqrt());
        let in_f64 = 4096.0 / (16_777_316.0_f64 / 808.0 + 1e-5).sqrt();
        assert_eq!(out[0], in_f32);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "rounding to f32 is the point"
        )]
        let in_f64 = in_f64 as f32;
        assert_ne!(out[0], in_f64);
    }
}
