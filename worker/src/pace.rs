//! How large the next chunk of prefill may be, by what the last one took.

/// Tokens of the first chunk, while nothing is known of the device.
const FIRST_CHUNK: u32 = 4;

/// The share of the time that is aimed at, so that a chunk that takes a little longer is still in time.
const AIM: f64 = 0.8;

/// A device's speed at reading, as far as it is known. It outlives the prompt.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    millis: f64,
    chunk: u32,
    /// When the running chunk began, and how many tokens were read by then.
    began: Option<(f64, u32)>,
}

impl Pace {
    /// Chunks of at most `millis`.
    pub(crate) fn new(millis: u32) -> Self {
        Self {
            millis: f64::from(millis),
            chunk: FIRST_CHUNK,
            began: None,
        }
    }

    /// A new prompt.
    pub(crate) fn begin(&mut self) {
        self.began = None;
    }

    /// `done` tokens were read at `now`: how many the next chunk may have.
    pub(crate) fn next(&mut self, now: f64, done: u32) -> u32 {
        if let Some((at, before)) = self.began
            && done > before
        {
            let (n_tokens, millis) = (done - before, (now - at).max(0.1));
            let wanted = f64::from(n_tokens) * AIM * self.millis / millis;
            // At most twice as many: a short chunk says little of a long one. `as` saturates.
            self.chunk = (wanted as u32).clamp(1, n_tokens.saturating_mul(2));
        }
        self.began = Some((now, done));
        self.chunk
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

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
    fn a_device_that_was_slow_once_is_trusted_again() {
        let mut pace = Pace::new(100);
        read(&mut pace, 200, 0.0, 500.0);
        let chunks = read(&mut pace, 2000, 1.0, 0.5);
        assert_eq!(chunks[0], 1);
        assert_eq!(chunks[8], 64);
    }
}
