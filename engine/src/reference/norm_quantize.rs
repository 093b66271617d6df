//! Reference of `shaders/norm_quantize.wgsl`.

use super::rms_norm;

/// What a quantised row needs to become real again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowScale {
    /// `max(max |y|, 1e-5)`.
    pub amax: f32,
    /// Sum of the int8 codes.
    pub sum_q: i32,
}

/// RMSNorm (when `gain` is given), then int8 quantisation of one row `[width]` into `q [k_padded]`, zero-padded.
///
/// `q = clamp(round_half_even(y * (127 / amax)), -128, 127)`, `amax = max(max |y|, 1e-5)` (Hugging Face's rule).
pub fn norm_quantize(x: &[f32], gain: Option<&[f32]>, eps: f32, q: &mut [i8]) -> RowScale {
    let mut y = x.to_vec();
    if let Some(gain) = gain {
        rms_norm(x, gain, eps, &mut y);
    }
    // By bits, so that a NaN is kept as the largest value rather than dropped as `f32::max` would.
    let max_bits = y.iter().map(|v| v.abs().to_bits()).max().unwrap_or(0);
    let amax = f32::from_bits(max_bits.max(1e-5_f32.to_bits()));
    let inverse = 127.0 / amax;
    q.fill(0);
    let mut sum_q = 0;
    for (q, y) in q.iter_mut().zip(&y) {
        let code = (y * inverse).round_ties_even().clamp(-128.0, 127.0);
        #[expect(clippy::cast_possible_truncation, reason = "clamped to i8's range")]
        let code = code as i8;
        *q = code;
        sum_q += i32::from(code);
    }
    RowScale { amax, sum_q }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(x: &[f32], amax: f32, expected: &[i8]) {
        let mut q = vec![99; 64];
        let row = norm_quantize(x, None, 1e-5, &mut q);
        assert_eq!(row.amax, amax);
        assert_eq!(&q[..x.len()], expected);
        assert!(q[x.len()..].iter().all(|&q| q == 0), "padding is zero");
        assert_eq!(
            row.sum_q,
            expected.iter().map(|&q| i32::from(q)).sum::<i32>()
        );
    }

    #[test]
    fn published_vector() {
        check(&[0.3, -1.27, 0.005, 0.635], 1.27, &[30, -127, 0, 64]);
    }

    #[test]
    fn ties_go_to_even() {
        // amax 127 makes the scale exactly 1, so halves are exact ties.
        check(
            &[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -127.0],
            127.0,
            &[0, 2, 2, 0, -2, -2, 126, -127],
        );
    }

    #[test]
    fn zeros_and_tiny_rows_hit_the_floor() {
        check(&[0.0; 4], 1e-5, &[0; 4]);
        check(&[1e-6, -1e-6, 0.0, 5e-6], 1e-5, &[13, -13, 0, 64]);
    }

    #[test]
    fn scale_is_127_over_amax_then_multiplied() {
        // A value for which x / (amax / 127) rounds to the other side: found by search, kept as the rule's witness.
        let (x, amax) = witness();
        let mut q = vec![0; 64];
        norm_quantize(&[x, amax], None, 1e-5, &mut q);
        assert_eq!(f32::from(q[0]), (x * (127.0 / amax)).round_ties_even());
        assert_ne!(f32::from(q[0]), (x / (amax / 127.0)).round_ties_even());
    }

    /// Smallest witness of a fixed walk: x at a half step where the two rules differ.
    fn witness() -> (f32, f32) {
        for a in 1..2000_u32 {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let amax = 1.0 + a as f32 / 1999.0;
            for n in 0..126_u8 {
                let x = (f32::from(n) + 0.5) * amax / 127.0;
                if (x * (127.0 / amax)).round_ties_even() != (x / (amax / 127.0)).round_ties_even()
                {
                    return (x, amax);
                }
            }
        }
        panic!("no witness found");
    }
}
