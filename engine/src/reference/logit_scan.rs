//! Reference of `shaders/logit_scan.wgsl`.

use super::{argmax, order_key, penalize};
use crate::ops::LOGIT_SEGMENT;

/// What a segment of logits holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// [`order_key`] of the largest logit.
    pub key: u32,
    /// Its token, the lowest among equals.
    pub id: u32,
    /// Whether a logit is NaN or infinite; then key and id mean nothing.
    pub is_bad: bool,
}

/// Penalises the recent tokens in `logits [vocab]`, then looks at each segment of [`LOGIT_SEGMENT`] logits.
pub fn logit_scan(logits: &mut [f32], recent: &[u32], penalty: f32) -> Vec<Found> {
    penalize(logits, recent, penalty);
    (0..)
        .step_by(LOGIT_SEGMENT as usize)
        .zip(logits.chunks(LOGIT_SEGMENT as usize))
        .map(|(start, logits)| {
            let best = argmax(logits);
            Found {
                key: order_key(logits[best as usize]),
                id: start + best,
                is_bad: logits.iter().any(|logit| !logit.is_finite()),
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
        let good = |id| Found {
            key,
            id,
            is_bad: false,
        };
        assert_eq!(found[..2], [good(7), good(512)]);
        assert!(found[2].is_bad && found.len() == 3);
        assert_eq!(logits[512], 2.0, "penalised once");
    }
}
