//! Ranges of the sampling that a person can choose, narrower than what the worker takes.

use std::ops::RangeInclusive;

use protocol::SamplingSettings;

/// Temperature; 0 = always the likeliest token.
pub const TEMPERATURE: RangeInclusive<f64> = 0.0..=2.0;
/// Choose among this many tokens; 0 = all.
pub const TOP_K: RangeInclusive<u32> = 0..=200;
/// Choose among the tokens that together have this probability.
pub const TOP_P: RangeInclusive<f64> = 0.05..=1.0;
/// Leave out tokens below this part of the best one's probability.
pub const MIN_P: RangeInclusive<f64> = 0.0..=0.5;
/// Penalty on repeated tokens.
pub const REPETITION_PENALTY: RangeInclusive<f64> = 1.0..=2.0;
/// How many of the latest tokens the penalty looks at.
pub const REPETITION_WINDOW: RangeInclusive<u32> = 0..=SamplingSettings::MAX_WINDOW;
/// Longest system prompt, in bytes.
pub const MAX_SYSTEM_PROMPT: usize = 16 << 10;
/// Largest file of chats that is read, in bytes. While it is imported a page needs about five times as much memory.
pub const MAX_FILE_BYTES: u32 = 256 << 20;
/// Longest title, in characters.
pub const MAX_TITLE: usize = 80;

/// Brings every value into its range; what is no number becomes the suggestion's. The seed is 0.
#[must_use]
pub fn clamp(wanted: SamplingSettings, suggested: SamplingSettings) -> SamplingSettings {
    SamplingSettings {
        temperature: float(wanted.temperature, suggested.temperature, &TEMPERATURE),
        top_k: wanted.top_k.clamp(*TOP_K.start(), *TOP_K.end()),
        top_p: float(wanted.top_p, suggested.top_p, &TOP_P),
        min_p: float(wanted.min_p, suggested.min_p, &MIN_P),
        repetition_penalty: float(
            wanted.repetition_penalty,
            suggested.repetition_penalty,
            &REPETITION_PENALTY,
        ),
        repetition_window: wanted
            .repetition_window
            .clamp(*REPETITION_WINDOW.start(), *REPETITION_WINDOW.end()),
        seed: 0,
    }
}

fn float(wanted: f64, suggested: f64, range: &RangeInclusive<f64>) -> f64 {
    let value = if wanted.is_finite() {
        wanted
    } else {
        suggested
    };
    value.clamp(*range.start(), *range.end())
}

/// Whether a file of so many bytes can be imported.
#[must_use]
pub fn is_readable(bytes: f64) -> bool {
    bytes <= f64::from(MAX_FILE_BYTES)
}

/// `text` up to `n_bytes`, cut between characters.
pub fn cut(text: &str, n_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(n_bytes))
        .unwrap_or(text)
}
