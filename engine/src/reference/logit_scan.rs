//! Reference of `shaders/logit_scan.wgsl`.

use super::{argmax, order_key, penalize};
use crate::ops::LOGIT_SEGMENT;

/// What a segment of logits holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// [`order_key`] of the largest logit; [`NOT_FINITE`] if one is NaN or infinite.
    pub key: u32,
    /// Its token, the lowest among equals.
    pub id: u32,
}

/// In place of the key of a logit that is NaN or infinite: above those of all others.
pub const NOT_FINITE: u32 = u32::MAX;

/// Penalises the recent tokens in `logits [vocab]`, then looks at each segment of [`LOGIT_SEGMENT`] logits.
pub fn logit_scan(logits: &mut [f32], recent: &[u32], penalty: f32) -> Vec<Found> {
    penalize(logits, recent, penalty);
    (0..)
        .step_by(LOGIT_SEGMENT as usize)
        .zip(logits.chunks(LOGIT_SEGMENT as usize))
        .map(|(start, logits)| {
            let bad = logits.iter().position(|logit| !logit.is_finite());
            let (key, best) = match bad {
                Some(bad) => (NOT_FINITE, bad as u32),
                None => {
                    let best = argmax(logits);
                    (order_key(logits[best as usize]), best)
                }
            };
            Found {
                key,
                id: start + best,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_segment_tells_its_own() {
        let mut logits = vec![0.0; 1100];
        (logits[7], logits[512], logits[1099]) = (2.0, 4.0, f32::INFINITY);
        let found = logit_scan(&mut logits, &[512, 9], 2.0);
        let key = 2.0_f32.to_bits() | 0x8000_0000;
        let of = |key, id| Found { key, id };
        assert_eq!(found, [of(key, 7), of(key, 512), of(NOT_FINITE, 1099)]);
        assert_eq!(logits[512], 2.0, "penalised once");
    }
}
