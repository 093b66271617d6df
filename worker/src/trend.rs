//! Whether the device has become slow at making tokens, compared with itself.
//!
//! Phones and tablets lower their clock when they get warm or are told to save energy, and no browser tells. What can be
//! seen is the time that a token takes, so that is what is watched: medians over windows, against the best that this worker
//! has seen last for two windows at about the same context length. Prompts, pauses and waits of our own are no part of it.

use std::collections::BTreeMap;

use crate::Memory;

/// Times are taken over so many tokens at once and over so many milliseconds: results may come back in groups
/// ([`crate::Session::set_run_ahead`]), in pairs or in what takes as long, and the time between two of a group says nothing.
const SAMPLE_TOKENS: u32 = 2;
const LEAST_SAMPLE_MILLIS: f64 = 16.0;
/// Fewest times that make a median, so that one that a pause has spoilt is outvoted.
const WINDOW_SAMPLES: usize = 3;
/// Least milliseconds of a window.
const WINDOW_MILLIS: f64 = 2_000.0;
/// Most milliseconds that one time counts for: a page that was frozen for an hour was not slow for an hour.
const SAMPLE_MILLIS: f64 = 1_000.0;

/// Slow: below this part of the best rate...
const SLOW_SHARE: f64 = 0.6;
/// ... for so long.
const SLOW_MILLIS: f64 = 10_000.0;
/// Fast again: above this part of it...
const FAST_SHARE: f64 = 0.8;
/// ... for so long. What is in between changes nothing, so that nothing flickers.
const FAST_MILLIS: f64 = 4_000.0;

/// Context lengths within so many tokens are alike.
const ALIKE_TOKENS: u32 = 256;
/// How much slower than weights a device may read the key-value cache, before it counts as slow itself.
const CACHE_COST: f64 = 1.5;

/// How a stretch of an answer went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    /// Milliseconds that a token took.
    pub(crate) millis: f64,
    /// The rate, compared with the best.
    pub(crate) speed: Speed,
    /// The rate in per cent of the best.
    pub(crate) percent: u32,
    /// Whether the device counts as slow from now on, when that has changed.
    pub(crate) change: Option<bool>,
}

/// A rate, compared with the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speed {
    /// As usual.
    Fast,
    /// Neither.
    Between,
    /// Much slower than it was.
    Slow,
}

/// What is known of the device's rate. It outlives answers, but not devices' models: another model has another rate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trend {
    /// Least milliseconds of a token over two windows in a row, by context length in steps of [`ALIKE_TOKENS`]. Of windows in
    /// which nothing was wrong, so that nobody gets used to a device that becomes slow little by little.
    best: BTreeMap<u32, f64>,
    /// How much longer than with an empty cache a token may take with each such step.
    growth: f64,
    /// The median of the window before this one, if nothing was wrong in it.
    before: Option<f64>,
    /// The times of this window, in milliseconds a token.
    times: Vec<f64>,
    /// Milliseconds that they count for.
    window_millis: f64,
    /// When the running time began, and the tokens since then.
    since: Option<(f64, u32)>,
    /// For how long it has been slow, and fast.
    slow_millis: f64,
    fast_millis: f64,
    is_slow: bool,
}

impl Trend {
    /// Whether the device counts as slow.
    pub(crate) const fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// Another answer, by a model in this memory with a cache for `context` tokens: the page knows of no slowness. A device
    /// that was slow to the end of the last answer, and still is, does not get its seconds anew.
    pub(crate) fn begin(&mut self, memory: Memory, context: u32) {
        let of_cache = memory.kv_bytes as f64 / f64::from(context.max(1));
        let of_weights = memory.weight_bytes.max(1) as f64;
        self.growth = CACHE_COST * f64::from(ALIKE_TOKENS) * of_cache / of_weights;
        self.is_slow = false;
        self.leave();
    }

    /// Something that is not the device's fault takes time, such as a wait for the energy cap: what is being timed does not
    /// count. Says whether the device counted as slow, which it does no longer: nobody can tell.
    pub(crate) fn rest(&mut self) -> bool {
        self.leave();
        std::mem::take(&mut self.is_slow)
    }

    fn leave(&mut self) {
        self.since = None;
        self.before = None;
        self.times.clear();
        self.window_millis = 0.0;
        self.fast_millis = 0.0;
    }

    /// A token came at `now`, with `context` tokens in the cache. Says how the window went that ends with it, if one does.
    pub(crate) fn token(&mut self, now: f64, context: usize) -> Option<Window> {
        let Some((began, tokens)) = self.since else {
            self.since = Some((now, 0));
            return None;
        };
        let (tokens, millis) = (tokens + 1, now - began);
        if tokens < SAMPLE_TOKENS || millis < LEAST_SAMPLE_MILLIS {
            self.since = Some((began, tokens));
            return None;
        }
        self.since = Some((now, 0));
        self.times.push(millis / f64::from(tokens));
        self.window_millis += millis.min(SAMPLE_MILLIS);
        if self.window_millis < WINDOW_MILLIS || self.times.len() < WINDOW_SAMPLES {
            return None;
        }
        let millis = median(&mut self.times);
        let window_millis = std::mem::take(&mut self.window_millis);
        self.times.clear();
        // A context that is longer than u32 tells is not made.
        let context = u32::try_from(context).unwrap_or(u32::MAX);
        Some(self.close(millis, window_millis, context / ALIKE_TOKENS))
    }

    fn close(&mut self, millis: f64, window_millis: f64, step: u32) -> Window {
        let share = self.usual(step).map_or(1.0, |usual| usual / millis);
        let is_usual = share > FAST_SHARE;
        let before = std::mem::replace(&mut self.before, is_usual.then_some(millis));
        if let Some(before) = before.filter(|_| is_usual) {
            let held = millis.max(before);
            let best = self.best.entry(step).or_insert(held);
            *best = best.min(held);
        }
        let speed = if share < SLOW_SHARE {
            self.slow_millis += window_millis;
            self.fast_millis = 0.0;
            Speed::Slow
        } else if is_usual {
            self.fast_millis += window_millis;
            self.slow_millis = 0.0;
            Speed::Fast
        } else {
            self.fast_millis = 0.0;
            if !self.is_slow {
                self.slow_millis = 0.0;
            }
            Speed::Between
        };
        let is_slow = if self.is_slow {
            self.fast_millis < FAST_MILLIS
        } else {
            self.slow_millis >= SLOW_MILLIS
        };
        let change = (is_slow != self.is_slow).then_some(is_slow);
        self.is_slow = is_slow;
        Window {
            millis,
            speed,
            // `as` saturates.
            percent: (100.0 * share.min(1.0)).round() as u32,
            change,
        }
    }

    /// Milliseconds that a token takes at this context length when nothing is wrong, as far as that is known. Where it is not,
    /// no longer than with more tokens in the cache, and with fewer by no more than reading the cache takes.
    fn usual(&self, step: u32) -> Option<f64> {
        if let Some(millis) = self.best.get(&step) {
            return Some(*millis);
        }
        let cost = |step: u32| 1.0 + self.growth * f64::from(step);
        let below = self.best.range(..step);
        let below = below.map(|(known, millis)| millis * cost(step) / cost(*known));
        let above = self.best.range(step..).map(|(_, millis)| *millis);
        below.chain(above).reduce(f64::min)
    }
}

/// The middle of times that are there.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[cfg(test)]
#[path = "trend_tests.rs"]
mod tests;
