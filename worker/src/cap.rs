//! Saving energy: at most so many tokens a second.

/// How far the tokens may fall behind their times, in milliseconds, and catch up again. A longer delay (a page that was
/// frozen, a device that can't do as many) moves all later times, so that no burst follows.
const BEHIND_MILLIS: f64 = 500.0;

/// When the next token is due. Times are set by the rate alone, one after the other, so that what a wait takes too long is not
/// added to the next one and the mean rate is right.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cap {
    due: Option<f64>,
}

impl Cap {
    /// Milliseconds for which the device is to rest before it makes a token, when it is asked for one at `now` and may make
    /// `tokens_per_second`; 0 = as many as it can.
    pub(crate) fn wait(&mut self, now: f64, tokens_per_second: u32) -> u32 {
        if tokens_per_second == 0 {
            self.due = None;
            return 0;
        }
        let interval = 1000.0 / f64::from(tokens_per_second);
        let due = self.due.map_or(now, |due| due.max(now - BEHIND_MILLIS));
        self.due = Some(due + interval);
        // `as` saturates. A timer's milliseconds are whole; the rest of it is made up for by the next wait.
        (due - now).round() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Cap;

    /// Seconds of `n_tokens`, where a token takes `millis` and a wait `late` longer than asked for.
    fn seconds(rate: u32, n_tokens: u32, millis: impl Fn(u32) -> f64, late: f64) -> f64 {
        let (mut cap, mut now) = (Cap::default(), 5_000.0);
        let began = now;
        for token in 0..n_tokens {
            let wait = cap.wait(now, rate);
            if wait > 0 {
                now += f64::from(wait) + late;
            }
            now += millis(token);
        }
        (now - began) / 1000.0
    }

    #[test]
    fn the_mean_rate_is_the_cap_whatever_a_token_and_a_timer_take() {
        for rate in [1, 3, 7, 10, 15, 30] {
            let interval = 1000.0 / f64::from(rate);
            for (share, late) in [(0.01, 0.0), (0.3, 4.0), (0.9, 0.7), (0.5, 16.0)] {
                let millis = |token: u32| match token % 3 {
                    0 => share * interval * 1.5,
                    _ => share * interval * 0.75,
                };
                let took = seconds(rate, 300, millis, late);
                let got = 300.0 / took;
                let off = got / f64::from(rate) - 1.0;
                assert!(off.abs() < 0.02, "{rate}, {share}, {late}: {got}");
            }
        }
    }

    #[test]
    fn a_device_that_can_not_do_as_many_does_not_wait_and_a_delay_is_not_made_up_for() {
        assert!((seconds(10, 50, |_| 250.0, 0.0) - 12.5).abs() < 1e-9);
        let frozen = |token: u32| if token == 20 { 60_000.0 } else { 10.0 };
        let took = seconds(10, 200, frozen, 0.0);
        // 20 s of tokens and the minute, but for half a second.
        assert!((took - 79.5).abs() < 0.2, "{took}");
    }

    #[test]
    fn without_a_cap_nothing_waits() {
        let mut cap = Cap::default();
        assert_eq!((cap.wait(0.0, 10), cap.wait(1.0, 10)), (0, 99));
        assert_eq!((cap.wait(2.0, 0), cap.wait(3.0, 0)), (0, 0));
        assert_eq!(cap.wait(4.0, 10), 0, "the first one is due at once");
    }
}
