//! Reference of `shaders/sample.wgsl`. Everything after the weights is in integers, so a device that computed the same
//! weights chooses the same token.

use crate::ops::SamplingParams;

/// Below this temperature the most likely token is taken.
pub const GREEDY_BELOW: f32 = 1e-4;

/// Status of a sampled token: all is well.
pub const STATUS_OK: u32 = 0;
/// Status of a sampled token: a logit was NaN or infinite, and the token means nothing.
pub const STATUS_NON_FINITE: u32 = 1;

/// Sum of all weights before the filters, nearly: they are rounded down one by one.
const TOTAL: f32 = (1_u32 << 30) as f32;

/// What the sampler chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// Token id.
    pub id: u32,
    /// [`STATUS_OK`] or [`STATUS_NON_FINITE`].
    pub status: u32,
    /// The weights it was drawn with; empty when greedy or not finite.
    pub weights: Vec<u32>,
}

/// Chooses the token of absolute position `position` from `logits [vocab]`, which the penalty changes; `recent` are the
/// tokens that it looks at.
pub fn sample(logits: &mut [f32], recent: &[u32], params: &SamplingParams, position: u32) -> Sampled {
    penalize(logits, recent, params.repetition_penalty);
    if logits.iter().any(|logit| !logit.is_finite()) {
        return Sampled { id: 0, status: STATUS_NON_FINITE, weights: Vec::new() };
    }
    if params.temperature < GREEDY_BELOW {
        return Sampled { id: argmax(logits), status: STATUS_OK, weights: Vec::new() };
    }
    let weights = weights(logits, params.temperature, params.top_k);
    let random = philox([params.seed_lo, params.seed_hi], position);
    let id = choose(&weights, params.top_p, params.min_p, random);
    Sampled { id, status: STATUS_OK, weights }
}

/// Repetition penalty, once for each distinct token: positive logits are divided by it, the others multiplied.
pub fn penalize(logits: &mut [f32], recent: &[u32], penalty: f32) {
    for (i, &token) in recent.iter().enumerate() {
        if recent[..i].contains(&token) {
            continue;
        }
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

/// Order of floats as an order of integers; both zeros are equal.
#[must_use]
pub fn order_key(value: f32) -> u32 {
    match value.to_bits() {
        0x8000_0000 => 0x8000_0000,
        bits if bits >> 31 == 1 => !bits,
        bits => bits | 0x8000_0000,
    }
}

/// Lowest id among the largest logits.
#[must_use]
pub fn argmax(logits: &[f32]) -> u32 {
    let best = logits.iter().map(|&logit| order_key(logit)).max().unwrap_or(0);
    let id = logits.iter().position(|&logit| order_key(logit) == best).unwrap_or(0);
    u32::try_from(id).expect("a vocabulary below 2^32")
}

/// Weights `floor(softmax(logits / temperature) * 2^30)` of the `top_k` largest logits (all with 0) and of those that tie
/// with the last of them; 0 for the others.
#[must_use]
pub fn weights(logits: &[f32], temperature: f32, top_k: u32) -> Vec<u32> {
    let mut keys: Vec<u32> = logits.iter().map(|&logit| order_key(logit)).collect();
    let threshold = match top_k as usize {
        0 => 0,
        k if k >= keys.len() => 0,
        k => *keys.clone().select_nth_unstable_by(k - 1, |a, b| b.cmp(a)).1,
    };
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    keys.iter_mut().for_each(|key| *key = u32::from(*key >= threshold));
    let exps: Vec<f32> = logits
        .iter()
        .zip(keys)
        .map(|(logit, kept)| if kept == 1 { ((logit - max) / temperature).exp() } else { 0.0 })
        .collect();
    // Many running sums: one would lose the tail of a large vocabulary.
    let mut sums = [0.0_f32; 256];
    exps.chunks(256).for_each(|exps| sums.iter_mut().zip(exps).for_each(|(sum, exp)| *sum += exp));
    let sum: f32 = sums.iter().sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..=2^30, rounded down")]
    exps.iter().map(|exp| (exp / sum * TOTAL) as u32).collect()
}

/// `floor(a * b / 2^32)`.
const fn mul_high(a: u32, b: u32) -> u32 {
    ((a as u64 * b as u64) >> 32) as u32
}

/// A share in 0..1 as a fixed-point number with 32 bits behind the point.
fn fixed(share: f32) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at both ends by design")]
    let bits = (share * 4_294_967_296.0) as u32;
    bits
}

/// Smallest weight that is kept: first by `top_p` (the smallest set of largest weights whose sum is at least
/// `floor(sum * top_p)`, ties with its smallest kept), then by `min_p` (at least `floor(largest * min_p)`). Never 0.
#[must_use]
pub fn weight_threshold(weights: &[u32], top_p: f32, min_p: f32) -> u32 {
    let mut threshold = 1;
    if top_p < 1.0 {
        let total: u32 = weights.iter().sum();
        let target = mul_high(total, fixed(top_p)).max(1);
        let mut sorted = weights.to_vec();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let mut sum = 0;
        for weight in sorted {
            sum += weight;
            if sum >= target {
                threshold = weight.max(1);
                break;
            }
        }
    }
    let max = weights.iter().copied().max().unwrap_or(0);
    let share = if min_p >= 1.0 { max } else { mul_high(max, fixed(min_p)) };
    threshold.max(share)
}

/// The token that a random word points at: the first whose running sum over the kept weights, in order of ids, exceeds
/// `floor(random * sum / 2^32)`.
#[must_use]
pub fn choose(weights: &[u32], top_p: f32, min_p: f32, random: u32) -> u32 {
    let threshold = weight_threshold(weights, top_p, min_p);
    let kept = |weight: u32| if weight >= threshold { weight } else { 0 };
    let total: u32 = weights.iter().map(|&weight| kept(weight)).sum();
    let point = mul_high(random, total);
    let mut sum = 0;
    for (id, &weight) in (0..).zip(weights) {
        sum += kept(weight);
        if sum > point {
            return id;
        }
    }
    0
}

/// First word of Philox4x32-10 with the seed as key and `(position, 0, 0, 0)` as counter: a random word that depends on
/// nothing but the seed and the position, so that a resumed answer draws the same numbers.
#[must_use]
pub fn philox(seed: [u32; 2], position: u32) -> u32 {
    philox4([position, 0, 0, 0], seed)[0]
}

fn philox4(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let [a, b, c, d] = counter;
        counter = [
            mul_high(MULTIPLIERS[1], c) ^ b ^ key[0],
            MULTIPLIERS[1].wrapping_mul(c),
            mul_high(MULTIPLIERS[0], a) ^ d ^ key[1],
            MULTIPLIERS[0].wrapping_mul(a),
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: SamplingParams = SamplingParams {
        temperature: 1.0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        top_k: 0,
        repetition_window: 0,
        seed_lo: 1,
        seed_hi: 0,
    };

    /// The generator's published known answers.
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox4([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4([!0; 4], [!0; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox4([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn keys_order_like_floats() {
        let sorted = [f32::MIN, -2.0, -1.5, -1e-40, 0.0, 1e-40, 1.0, 1.5, f32::MAX];
        for pair in sorted.windows(2) {
            assert!(order_key(pair[0]) < order_key(pair[1]), "{pair:?}");
        }
        assert_eq!(order_key(-0.0), order_key(0.0));
    }

    #[test]
    fn greedy_takes_the_lowest_of_ties() {
        assert_eq!(argmax(&[-3.0, 2.0, 1.0, 2.0]), 1);
        assert_eq!(argmax(&[-1.0, -0.0, 0.0]), 1);
        let mut params = PLAIN;
        params.temperature = 0.0;
        assert_eq!(sample(&mut [0.0, 1.0, 5.0], &[], &params, 3).id, 2);
    }

    #[test]
    fn penalty_counts_each_token_once() {
        let mut logits = [4.0, -4.0, 1.0, 0.0];
        penalize(&mut logits, &[0, 1, 0, 9, 0], 2.0);
        assert_eq!(logits, [2.0, -8.0, 1.0, 0.0]);
    }

    #[test]
    fn non_finite_logits_are_reported() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(sample(&mut [0.0, bad], &[], &PLAIN, 0).status, STATUS_NON_FINITE);
        }
    }

    #[test]
    fn weights_are_softmax_in_fixed_point() {
        // Equal logits: exp is exactly 1 and the sum a power of two.
        assert_eq!(weights(&[3.0; 4], 0.7, 0), [1 << 28; 4]);
        assert_eq!(weights(&[1.0, 5.0, 5.0, 1.0], 1.0, 1), [0, 1 << 29, 1 << 29, 0], "ties with the last are kept");
        let w = weights(&[0.0, 2.0_f32.ln()], 1.0, 9);
        assert!((f64::from(w[1]) / f64::from(w[0]) - 2.0).abs() < 1e-6, "{w:?}");
        assert_eq!(weights(&[0.0, -1e30], 1e-3, 0), [1 << 30, 0]);
    }

    #[test]
    fn top_p_keeps_the_smallest_set() {
        let w = [10, 40, 20, 30];
        for (top_p, threshold) in [(0.0, 40), (0.3, 40), (0.4, 40), (0.5, 30), (0.75, 20), (0.95, 10), (1.0, 1)] {
            assert_eq!(weight_threshold(&w, top_p, 0.0), threshold, "top_p {top_p}");
        }
        assert_eq!(weight_threshold(&[5, 5, 5, 5], 0.3, 0.0), 5, "ties are kept");
    }

    #[test]
    fn min_p_is_relative_to_the_largest() {
        let w = [10, 40, 20, 30];
        for (min_p, threshold) in [(0.0, 1), (0.25, 10), (0.5, 20), (0.6, 24), (1.0, 40)] {
            assert_eq!(weight_threshold(&w, 1.0, min_p), threshold, "min_p {min_p}");
        }
        assert_eq!(weight_threshold(&w, 0.5, 0.875), 35, "the stricter filter counts");
    }

    #[test]
    fn choice_follows_the_running_sum() {
        let w = [1 << 28, 0, 1 << 28, 1 << 29];
        for (random, id) in [(0, 0), (0x3FFF_FFFF, 0), (0x4000_0000, 2), (0x7FFF_FFFF, 2), (0x8000_0000, 3), (!0, 3)] {
            assert_eq!(choose(&w, 1.0, 0.0, random), id, "random {random:#x}");
        }
        assert_eq!(choose(&w, 0.1, 0.0, 0), 3, "only the largest is left");
    }

    /// Chi-square of 40,000 draws over seeds and positions against the softmax (7 degrees of freedom: 24.3 is p = 0.001).
    #[test]
    fn draws_follow_the_distribution() {
        let logits = [0.0, 1.0, -1.0, 2.0, 0.5, -2.0, 1.5, -0.5];
        let temperature = 0.8;
        let exps: Vec<f64> = logits.iter().map(|&l: &f32| (f64::from(l) / temperature).exp()).collect();
        let total: f64 = exps.iter().sum();
        for by_seed in [false, true] {
            let mut counts = [0_u32; 8];
            for i in 0..40_000_u32 {
                let (seed_lo, position) = if by_seed { (i, 17) } else { (5, i) };
                let params = SamplingParams { temperature: 0.8, seed_lo, ..PLAIN };
                counts[sample(&mut logits.clone(), &[], &params, position).id as usize] += 1;
            }
            let chi: f64 = counts
                .iter()
                .zip(&exps)
                .map(|(&n, e)| {
                    let expected = 40_000.0 * e / total;
                    (f64::from(n) - expected).powi(2) / expected
                })
                .sum();
            assert!(chi < 24.3, "chi-square {chi}, counts {counts:?}");
        }
    }

    #[test]
    fn the_same_seed_and_position_draw_the_same() {
        let logits = [0.0; 64];
        let draw = |seed_lo, position| {
            sample(&mut logits.clone(), &[], &SamplingParams { seed_lo, ..PLAIN }, position).id
        };
        assert_eq!(draw(1, 9), draw(1, 9));
        let differing = (0..100).filter(|&p| draw(1, p) != draw(2, p)).count();
        assert!(differing > 90, "{differing} of 100 draws differ between seeds");
    }
}
