//! How much work the device gets at a time: how large the next chunk of prefill may be, by what the last one took, and how
//! many steps may wait on it, and go to it together, by what a step takes.

use crate::trend::{Speed, Window};

/// Tokens of the first chunk, while nothing is known of the device.
const FIRST_CHUNK: u32 = 4;

/// The share of the time that is aimed at, so that a chunk that takes a little longer is still in time.
const AIM: f64 = 0.8;

/// Most steps that wait on the device behind those that are awaited: enough to hide how long a result takes to be read. What goes
/// together is not cut for it, so of large groups one waits.
const MOST_AHEAD: u32 = 2;

/// Fewest and most steps that go to the device in one submit. A browser's GPU process needs processor time for each submit, as
/// much as for a step's dispatches (docs/PERFORMANCE.md, "In a browser"), which a fast device would have to wait for.
const FEWEST_TOGETHER: u32 = 2;
pub(crate) const MOST_TOGETHER: u32 = 8;
/// Milliseconds of steps that go together, about a frame's: their tokens come together, and nobody is to see that.
const TOGETHER_MILLIS: f64 = 16.0;

/// How much of the time for a piece of work a device gets that has become slow, less with each window in which it is: shorter
/// pieces leave it more pauses, and what is stopped ends as soon as before.
const EASE: [f64; 3] = [1.0, 0.75, 0.5];

/// A device's speed, as far as it is known. It outlives the prompt.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    millis: f64,
    chunk: u32,
    ahead: u32,
    together: u32,
    /// When the running time of some tokens began, and how many came since then.
    since: Option<(f64, u32)>,
    /// Which part of [`EASE`] is in use.
    ease: usize,
    /// When the running chunk began, and how many tokens were read by then.
    began: Option<(f64, u32)>,
}

impl Pace {
    /// Work of at most `millis`.
    pub(crate) fn new(millis: u32) -> Self {
        Self {
            millis: f64::from(millis),
            chunk: FIRST_CHUNK,
            ahead: MOST_AHEAD,
            together: FEWEST_TOGETHER,
            since: None,
            ease: 0,
            began: None,
        }
    }

    /// A new prompt.
    pub(crate) fn begin(&mut self) {
        self.began = None;
        self.rest();
    }

    /// Something that is not the device's fault takes time: what is being timed does not count.
    pub(crate) fn rest(&mut self) {
        self.since = None;
    }

    /// A token came at `now`.
    pub(crate) fn token(&mut self, now: f64) {
        let (began, n_tokens) = match self.since {
            None => (now, 0),
            Some((began, before)) => (began, before + 1),
        };
        self.since = Some((began, n_tokens));
        let millis = now - began;
        let fitting = TOGETHER_MILLIS * f64::from(n_tokens) / millis.max(0.1);
        // Tokens come in groups of any size up to the largest: a time is taken over two of these at least, and whole frames, unless
        // one group alone tells that it is twice as large as may be.
        let is_told = n_tokens >= 2 * MOST_TOGETHER && millis >= TOGETHER_MILLIS;
        let is_far_too_large =
            n_tokens >= self.together && 2.0 * fitting < f64::from(self.together);
        if is_told || is_far_too_large {
            // `as` saturates.
            self.together = (fitting as u32).clamp(FEWEST_TOGETHER, MOST_TOGETHER);
            self.since = Some((now, 0));
        }
    }

    /// `done` tokens were read at `now`: how many the next chunk may have.
    pub(crate) fn next(&mut self, now: f64, done: u32) -> u32 {
        if let Some((at, before)) = self.began
            && done > before
        {
            let (n_tokens, millis) = (done - before, (now - at).max(0.1));
            let aim = AIM * self.allowed_millis();
            // What was left of a prompt says little of a whole chunk, unless even that took too long.
            if n_tokens >= self.chunk || millis > aim {
                let wanted = f64::from(n_tokens) * aim / millis;
                // At most twice as many: a short chunk says little of a long one. `as` saturates.
                self.chunk = (wanted as u32).clamp(1, n_tokens.saturating_mul(2));
            }
        }
        self.began = Some((now, done));
        self.chunk
    }

    /// A stretch of an answer went so: one step easier at a time while the device counts as slow (`is_slow`), and back again.
    pub(crate) fn follow(&mut self, window: &Window, is_slow: bool) {
        match window.speed {
            Speed::Slow if is_slow => self.ease = (self.ease + 1).min(EASE.len() - 1),
            Speed::Fast => self.ease = self.ease.saturating_sub(1),
            _ => {}
        }
        // One step at least waits there: with none the device would idle while its result is read. Short ones are no burden.
        let fitting = self.allowed_millis() / window.millis.max(0.1);
        // `as` saturates.
        self.ahead = (fitting as u32).clamp(1, MOST_AHEAD);
    }

    /// Steps that are to wait on the device behind those that are awaited.
    pub(crate) const fn ahead(&self) -> u32 {
        self.ahead
    }

    /// Steps that may go to the device in one submit. Where one step ahead is enough, there is no second one to go with it.
    pub(crate) const fn together(&self) -> u32 {
        if self.ahead < MOST_AHEAD {
            1
        } else {
            self.together
        }
    }

    fn allowed_millis(&self) -> f64 {
        self.millis * EASE[self.ease]
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, Speed, Window};

    /// Reads `total` tokens on a device whose chunks take `fixed + each * n` ms; returns the chunks.
    fn read(pace: &mut Pace, total: u32, fixed: f64, each: f64) -> Vec<u32> {
        let (mut now, mut done, mut chunks) = (0.0, 0, Vec::new());
        pace.begin();
        while done < total {
            let chunk = pace.next(now, done).min(64).min(total - done);
            now += fixed + each * f64::from(chunk);
            done += chunk;
            chunks.push(chunk);
        }
        pace.next(now, done);
        chunks
    }

    #[test]
    fn chunks_take_their_time_on_any_device() {
        for (fixed, each) in [
            (0.1, 0.1),
            (2.0, 1.0),
            (5.0, 3.0),
            (30.0, 1.0),
            (0.0, 24.0),
            (0.0, 99.0),
            (0.0, 5000.0),
            (400.0, 0.0),
        ] {
            let mut pace = Pace::new(100);
            let chunks = read(&mut pace, 2000, fixed, each);
            for (index, &chunk) in chunks.iter().enumerate().skip(1) {
                let millis = fixed + each * f64::from(chunk);
                assert!(
                    millis <= 100.0 || chunk == 1 || index == 1 && chunk <= 4,
                    "{fixed} + {each} n: chunk {index} of {chunk} takes {millis} ms"
                );
            }
            let n_fast = read(&mut pace, 2000, fixed, each)[0];
            let least = (40.0 / each).min(32.0);
            assert!(
                f64::from(n_fast)
                    >= least
                        .floor()
                        .min(1.0)
                        .max(if fixed < 30.0 { least.floor() } else { 1.0 }),
                "{fixed} + {each} n: the next prompt begins with {n_fast}"
            );
        }
    }

    #[test]
    fn what_is_left_of_a_prompt_does_not_shorten_the_next_chunks() {
        let mut pace = Pace::new(100);
        assert_eq!(read(&mut pace, 68, 5.0, 0.1), [4, 8, 16, 32, 8]);
        assert_eq!(read(&mut pace, 68, 5.0, 0.1), [64, 4]);
        // Too slow for so few: that counts.
        pace.begin();
        pace.next(0.0, 0);
        assert_eq!(pace.next(400.0, 4), 1);
    }

    #[test]
    fn a_device_that_was_slow_once_is_trusted_again() {
        let mut pace = Pace::new(100);
        read(&mut pace, 200, 0.0, 500.0);
        let chunks = read(&mut pace, 2000, 1.0, 0.5);
        assert_eq!(chunks[0], 1);
        assert_eq!(chunks[8], 64);
    }

    /// A window in which a token took so long.
    fn window(millis: f64, speed: Speed) -> Window {
        Window {
            millis,
            speed,
            percent: 100,
            change: None,
        }
    }

    /// Makes tokens for `millis`, each of which takes `each`, in groups as large as they may be.
    fn make(pace: &mut Pace, now: &mut f64, millis: f64, each: f64) -> u32 {
        let end = *now + millis;
        while *now < end {
            let n_steps = 1 << pace.together().ilog2();
            *now += each * f64::from(n_steps);
            (0..n_steps).for_each(|_| pace.token(*now));
        }
        pace.together()
    }

    #[test]
    fn steps_go_together_when_a_frame_has_room_for_them() {
        for (each, expected) in [
            (0.1, 8),
            (1.0, 8),
            (1.9, 8),
            (2.5, 6),
            (3.9, 4),
            (5.0, 3),
            (9.0, 2),
            (60.0, 2),
        ] {
            let (mut pace, mut now) = (Pace::new(100), 0.0);
            assert_eq!(pace.together(), 2, "nothing is known");
            pace.begin();
            assert_eq!(
                make(&mut pace, &mut now, 50.0 * each + 100.0, each),
                expected
            );
            // Another answer begins with what is known, and a pause says nothing.
            now += 60_000.0;
            pace.begin();
            assert_eq!(make(&mut pace, &mut now, 1.0, each), expected);
            pace.rest();
            now += 60_000.0;
            assert_eq!(
                make(&mut pace, &mut now, 40.0 * each + 40.0, each),
                expected
            );
            assert_eq!(make(&mut pace, &mut now, 1_000.0, 20.0), 2, "slower now");
        }
    }

    #[test]
    fn a_device_that_has_become_slow_gets_no_large_group_again() {
        let (mut pace, mut now) = (Pace::new(100), 0.0);
        assert_eq!(make(&mut pace, &mut now, 100.0, 1.0), 8);
        // One group, and it is known.
        assert_eq!(make(&mut pace, &mut now, 1.0, 40.0), 2);
        assert_eq!(make(&mut pace, &mut now, 100.0, 1.0), 8, "and back");
    }

    #[test]
    fn a_device_that_gets_one_step_ahead_gets_no_two_together() {
        let (mut pace, mut now) = (Pace::new(100), 0.0);
        make(&mut pace, &mut now, 100.0, 1.0);
        pace.follow(&window(60.0, Speed::Slow), true);
        assert_eq!((pace.ahead(), pace.together()), (1, 1));
        pace.follow(&window(1.0, Speed::Fast), false);
        assert_eq!((pace.ahead(), pace.together()), (2, 8));
    }

    #[test]
    fn a_slow_device_gets_less_at_a_time_step_by_step_and_then_more_again() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.ahead(), 2);
        let longest = |pace: &mut Pace| {
            let chunks = read(pace, 400, 0.0, 4.0);
            4.0 * f64::from(chunks.into_iter().skip(4).max().unwrap_or(0))
        };
        let fast = window(20.0, Speed::Fast);
        pace.follow(&fast, false);
        assert_eq!((pace.ahead(), longest(&mut pace)), (2, 80.0));
        let slow = window(40.0, Speed::Slow);
        pace.follow(&slow, false);
        assert_eq!((pace.ahead(), longest(&mut pace)), (2, 80.0), "not yet");
        pace.follow(&slow, true);
        assert_eq!((pace.ahead(), longest(&mut pace)), (1, 60.0));
        for _ in 0..3 {
            pace.follow(&slow, true);
            assert_eq!((pace.ahead(), longest(&mut pace)), (1, 40.0));
        }
        pace.follow(&window(28.0, Speed::Between), true);
        assert_eq!((pace.ahead(), longest(&mut pace)), (1, 40.0));
        pace.follow(&fast, true);
        assert_eq!((pace.ahead(), longest(&mut pace)), (2, 60.0));
        pace.follow(&fast, false);
        assert_eq!((pace.ahead(), longest(&mut pace)), (2, 80.0));
        // Whatever is known of it, a device has one step to go on with, and no more than two.
        pace.follow(&window(5_000.0, Speed::Slow), true);
        assert_eq!(pace.ahead(), 1);
        pace.follow(&window(0.0, Speed::Fast), false);
        assert_eq!(pace.ahead(), 2);
    }
}
