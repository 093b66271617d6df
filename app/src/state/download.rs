//! A download under way: how far it is and how fast, and what the person and the connection have to say to it.

use protocol::{LoadProgress, LoadStage, Request, RequestId};

use super::engine::Job;
use super::{Action, Effect, Phase, Rate, State, Step};

/// Weight of the newest second in the speed of a download.
const RATE_WEIGHT: f64 = 0.25;
/// Shortest time, in milliseconds, over which the speed is measured.
const RATE_MILLIS: f64 = 900.0;

impl State {
    pub(super) fn on_download(&mut self, action: &Action) -> Vec<Effect> {
        let Some(id) = self.engine.request else {
            return Vec::new();
        };
        if self.engine.job != Job::Load || !self.engine.greeted {
            return Vec::new();
        }
        let request = match action {
            // An answer that waits for it is stopped by its own button.
            Action::CancelDownload if self.engine.phase == Phase::Loading => Request::Cancel { id },
            Action::PauseDownload => Request::Pause { id },
            Action::ResumeDownload => {
                // The worker says so only if it has got to the download.
                self.engine.download_paused = false;
                self.end_trouble();
                Request::Resume { id }
            }
            _ => return Vec::new(),
        };
        vec![Effect::Post(request)]
    }

    /// Whatever became of the worker, a download that the person let rest goes on resting in the next load.
    pub(super) fn rest(&self, id: RequestId) -> Option<Effect> {
        let is_paused = self.engine.download_paused;
        is_paused.then_some(Effect::Post(Request::Pause { id }))
    }

    /// The connection has come or gone.
    pub(super) fn on_connection(&mut self) -> Vec<Effect> {
        // What was waited for is tried at once.
        if self.environment.online {
            self.end_trouble();
        }
        let is_loading = self.engine.request.is_some() && self.engine.job == Job::Load;
        if (is_loading || self.is_fetching_any()) && self.engine.greeted {
            self.tell_online().into_iter().collect()
        } else {
            Vec::new()
        }
    }

    /// Tells the worker whether there is a connection, if it does not know: not every browser tells workers. A new one takes
    /// for granted that there is.
    pub(super) fn tell_online(&mut self) -> Option<Effect> {
        let online = self.environment.online;
        let known = std::mem::replace(&mut self.engine.told_online, online);
        (online != known).then_some(Effect::Post(Request::Online(online)))
    }

    /// How far loading is.
    pub(super) fn on_load_progress(&mut self, id: RequestId, progress: LoadProgress) {
        if self.on_work_progress(id, progress) {
            return;
        }
        self.engine.progress = Some(progress);
        if self.clock.steady_millis >= self.engine.trouble_until {
            self.engine.trouble = None;
        }
        if progress.stage != LoadStage::Download {
            self.engine.download_paused = false;
        }
        if progress.stage == LoadStage::Upload && self.engine.request == Some(id) {
            self.mark(Step::Load);
        }
    }

    /// Looks at the download's speed, about once a second.
    pub(super) fn measure_download(&mut self) {
        let now = self.clock.steady_millis;
        let engine = &mut self.engine;
        let Some(progress) = engine
            .progress
            .filter(|progress| progress.stage == LoadStage::Download)
        else {
            engine.rate = None;
            engine.rate_mark = None;
            return;
        };
        let fetched = progress.fetched_bytes.get();
        let Some((bytes, since)) = engine.rate_mark else {
            engine.rate_mark = Some((fetched, now));
            return;
        };
        if now - since < RATE_MILLIS {
            return;
        }
        engine.rate_mark = Some((fetched, now));
        let newest = fetched.saturating_sub(bytes) as f64 * 1000.0 / (now - since);
        let bytes_per_second = engine.rate.map_or(newest, |rate| {
            rate.bytes_per_second + RATE_WEIGHT * (newest - rate.bytes_per_second)
        });
        let missing = progress
            .bytes_total
            .get()
            .saturating_sub(progress.bytes_done.get());
        engine.rate = (bytes_per_second >= 1.0).then(|| Rate {
            bytes_per_second,
            seconds_left: missing as f64 / bytes_per_second,
        });
    }

    pub(super) const fn end_progress(&mut self) {
        self.engine.progress = None;
        self.engine.rate = None;
        self.engine.rate_mark = None;
        self.end_trouble();
    }

    /// Nothing is waited for any more.
    pub(super) const fn end_trouble(&mut self) {
        self.engine.trouble = None;
        self.engine.trouble_until = 0.0;
    }
}
