//! A limit on bytes a second.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Milliseconds of traffic that may go out at once.
const BURST_MILLIS: u64 = 20;

/// A limit that several connections may share.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// The limit, and when the bytes that were let through are paid for.
    state: Mutex<(Option<u64>, Option<Instant>)>,
}

impl Throttle {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            state: Mutex::new((bytes_per_second, None)),
        }
    }

    /// Another limit from now on.
    pub(crate) fn set(&self, bytes_per_second: Option<u64>) {
        *self.lock() = (bytes_per_second, None);
    }

    /// Most bytes that should be asked for at once.
    pub(crate) fn piece_bytes(&self) -> Option<u64> {
        self.lock()
            .0
            .map(|limit| (limit * BURST_MILLIS / 1000).max(1))
    }

    /// Waits until `n_bytes` more may go.
    pub(crate) fn wait(&self, n_bytes: u64) {
        let now = Instant::now();
        let until = {
            let mut state = self.lock();
            let Some(limit) = state.0 else { return };
            let cost = Duration::from_secs_f64(n_bytes as f64 / limit.max(1) as f64);
            // A thread that slept for too long may catch up on as much as may go out at once; otherwise a limit would be
            // less than it says, the more so the busier the machine is.
            let earliest = now.checked_sub(Duration::from_millis(BURST_MILLIS));
            let paid = state
                .1
                .zip(earliest)
                .map_or(now, |(paid, least)| paid.max(least))
                + cost;
            state.1 = Some(paid);
            paid
        };
        std::thread::sleep(until.saturating_duration_since(now));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Option<u64>, Option<Instant>)> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
