//! Reference of `shaders/sample.wgsl`. Everything after the weights is in integers, so a device that computed the same
//! weights chooses the same token.

use super::{Found, NOT_FINITE};
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

/// Chooses the token of absolute position `position` from the penalised `logits [vocab]` and what
/// [`logit_scan`](super::logit_scan) found in them.
#[must_use]
pub fn sample(logits: &[f32], found: &[Found], params: &SamplingParams, position: u32) -> Sampled {
    let chosen = |id, status| Sampled {
        id,
        status,
        weights: Vec::new(),
    };
    if found.iter().any(|found| found.key == NOT_FINITE) {
        return chosen(0, STATUS_NON_FINITE);
    }
    if params.temperature < GREEDY_BELOW {
        // The last of the largest keys in descending order of segments has the lowest id.
        let best = found.iter().rev().max_by_key(|found| found.key);
        return chosen(best.map_or(0, |found| found.id), STATUS_OK);
    }
    let weights = weights(logits, params.temperature, params.top_k);
    let random = philox([params.seed_lo, params.seed_hi], position);
    let id = choose(&weights, params.top_p, params.min_p, random);
    Sampled {
        id,
        status: STATUS_OK,
        weights,
    }
}

/// Repetition penalty, once for each distinct token: positive logits are divided by it, the others multiplied.
pub fn penalize(logits: &mut [f32], recent: &[u32], penalty: f32) {
    for (i, &token) in recent.iter().enumerate() {
        if recent[..i].contains(&token) {
            continue;
        }
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
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
    let best = logits
        .iter()
        .map(|&logit| order_key(logit))
        .max()
        .unwrap_or(0);
    let id = logits
        .iter()
        .position(|&logit| order_key(logit) == best)
        .unwrap_or(0);
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
        k => {
            *keys
                .clone()
                .select_nth_unstable_by(k - 1, |a, b| b.cmp(a))
                .1
        }
    };
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    keys.iter_mut()
        .for_each(|key| *key = u32::from(*key >= threshold));
    let exps: Vec<f32> = logits
        .iter()
        .zip(keys)
        .map(|(logit, kept)| {
            if kept == 1 {
                ((logit - max) / temperature).exp()
            } else {
                0.0
            }
        })
        .collect();
    // Many running sums: one would lose the tail of a large vocabulary.
    let mut sums = [0.0_f32; 256];
    exps.chunks(256)
        .for_each(|exps| sums.iter_mut().zip(exps).for_each(|(sum, exp)| *sum += exp));
    let sum: f32 = sums.iter().sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 0..=2^30, rounded down"
    )]
    exps.iter().map(|exp| (exp / sum * TOTAL) as u32).collect()
}

/// `floor(a * b / 2^32)`.
const fn mul_high(a: u32, b: u32) -> u32 {
    ((a as u64 * b as u64) >> 32) as u32
}

/// A share in 0..1 as a fixed-point number with 32 bits behind the point.
fn fixed(share: f32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates at both ends by design"
    )]
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
    let share = if min_p >= 1.0 {
        max
    } else {
        mul_high(max, fixed(min_p))
    };
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
mod tests;
