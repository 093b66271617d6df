//! Fetching files, as a pure state machine: events in, effects out, time and randomness as numbers.
//!
//! It never sees a byte. It says what to ask the server for, which of the bytes that come are kept, when all of a file is
//! there, when to try again and when to give up; whoever drives it has the network, the bytes and the hashes. What it holds
//! to, whatever happens in whatever order:
//!
//! - Bytes are never doubled and never left out: what is held of a file is always its beginning. A cut file goes on at the
//!   byte (one `Range` with a start, which needs no permission of another origin, and no `If-Range`, which would). Where a
//!   server sends the whole file instead, the beginning is dropped as it comes.
//! - Versions are never mixed. A file with a known hash is what its hash says, and comes anew, past all caches, when it is
//!   not. Of any other, only what the server itself calls the same version is put together; where it names none, a cut
//!   file begins again.
//! - It ends. Failures in a row are counted, waits double up to a limit, and a file may come wrong only so often. While the
//!   platform says that there is no connection, and while the person wants a pause, nothing is counted: it waits.

mod head;
mod item;
mod problem;
mod schedule;
mod words;

use std::ops::Range;

pub use head::Head;
pub use problem::{Failure, Problem, Remedy};
pub use words::{Attempt, Effect, End, Event, Extent, Millis, Policy, Want};

use item::{Item, Stage, Verdict};

/// A download of several files.
#[derive(Debug, Clone, PartialEq)]
pub struct Download {
    policy: Policy,
    items: Vec<Item>,
    /// Requests so far.
    attempts: u32,
    /// Before this nothing is asked for: the server said so.
    held_until: Millis,
    is_online: bool,
    is_paused: bool,
    has_ended: bool,
}

impl Download {
    /// A download that has not begun: [`Event::Wake`] begins it.
    #[must_use]
    pub fn new(policy: Policy, wants: Vec<Want>) -> Self {
        Self {
            policy,
            items: wants.into_iter().map(Item::new).collect(),
            attempts: 0,
            held_until: f64::NEG_INFINITY,
            is_online: true,
            is_paused: false,
            has_ended: false,
        }
    }

    /// Takes an event. `random` is a number in 0..1 that nobody could foretell.
    pub fn on(&mut self, now: Millis, random: f64, event: Event) -> Vec<Effect> {
        if self.has_ended {
            return Vec::new();
        }
        let mut effects = Vec::new();
        match event {
            Event::Wake => self.watch(now, random, &mut effects),
            Event::Answered(attempt, head) => {
                if let Some(index) = self.find(attempt) {
                    let max_skip_bytes = self.policy.max_skip_bytes;
                    let verdict = self.items[index].answered(&head, now, max_skip_bytes);
                    self.judge(index, verdict, now, random, &mut effects);
                }
            }
            Event::Came(attempt, n_bytes) => {
                if let Some(index) = self.find(attempt) {
                    let verdict = self.items[index].came(n_bytes, now, self.policy.progress_bytes);
                    self.judge(index, verdict, now, random, &mut effects);
                }
            }
            Event::Ended(attempt) => self.ended(attempt, None, now, random, &mut effects),
            Event::Broke(attempt, detail) => {
                let problem = Problem::Network { detail };
                self.ended(attempt, Some(problem), now, random, &mut effects);
            }
            Event::Good(index) => {
                if let Some(item) = self.checked(index) {
                    item.stage = Stage::Done;
                }
            }
            Event::Wrong(index, problem) => {
                if self.checked(index).is_some() {
                    self.failed(index, problem, now, random, &mut effects);
                }
            }
            Event::Online(is_online) => self.online(is_online, now),
            Event::Pause => self.pause(now, &mut effects),
            Event::Resume => self.resume(now),
            Event::Cancel => self.end(End::Cancelled, &mut effects),
        }
        self.begin_what_is_due(now, &mut effects);
        effects
    }

    /// When the machine wants an [`Event::Wake`], if nothing else comes before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Millis> {
        if self.has_ended {
            return None;
        }
        let running = self.items.iter().filter_map(Item::run);
        let watches = running.map(|run| run.touched + self.policy.idle_millis);
        let waits = self.candidates().map(|(_, at)| at.max(self.held_until));
        watches.chain(waits).min_by(f64::total_cmp)
    }

    /// Which of the next `n_bytes` of a body are kept; the rest is thrown away.
    #[must_use]
    pub fn keeps(&self, attempt: Attempt, n_bytes: u64) -> Range<u64> {
        self.find(attempt)
            .map_or(0..0, |index| self.items[index].keeps(n_bytes))
    }

    /// Bytes that are held of a want, in front.
    #[must_use]
    pub fn held_bytes(&self, item: usize) -> u64 {
        self.items.get(item).map_or(0, |item| item.held)
    }

    /// Number of the want that a request is for; `None` when nobody wants its bytes any more.
    #[must_use]
    pub fn item(&self, attempt: Attempt) -> Option<usize> {
        self.find(attempt)
    }

    /// Whether the person wants a pause.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether it is over.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn find(&self, attempt: Attempt) -> Option<usize> {
        let is_it = |item: &Item| item.run().is_some_and(|run| run.attempt == attempt);
        self.items.iter().position(is_it)
    }

    fn checked(&mut self, index: usize) -> Option<&mut Item> {
        self.items
            .get_mut(index)
            .filter(|item| item.stage == Stage::Checking)
    }

    /// Looks for requests that have been silent for too long.
    fn watch(&mut self, now: Millis, random: f64, effects: &mut Vec<Effect>) {
        let Policy {
            idle_millis,
            late_millis,
            ..
        } = self.policy;
        for index in 0..self.items.len() {
            let Stage::Running(run) = &mut self.items[index].stage else {
                continue;
            };
            // Rounded as `wake_at` rounds it: a wake at that very moment must not come too early.
            let over = now - (run.touched + idle_millis);
            if over > late_millis {
                // The device slept, and so did the connection perhaps: it gets the same time once more.
                run.touched = now;
            } else if over >= 0.0 {
                let attempt = run.attempt;
                effects.push(Effect::Abort(attempt));
                let seconds = (idle_millis / 1000.0) as u32;
                self.ended(
                    attempt,
                    Some(Problem::Stalled { seconds }),
                    now,
                    random,
                    effects,
                );
            }
        }
    }

    fn ended(
        &mut self,
        attempt: Attempt,
        problem: Option<Problem>,
        now: Millis,
        random: f64,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(index) = self.find(attempt) {
            match self.items[index].ended(problem) {
                Verdict::Bad(problem) => self.failed(index, problem, now, random, effects),
                _ => self.check(index, effects),
            }
        }
    }

    fn check(&mut self, index: usize, effects: &mut Vec<Effect>) {
        self.items[index].stage = Stage::Checking;
        effects.push(Effect::Check(index));
    }

    /// Does what an item thinks of its answer.
    fn judge(
        &mut self,
        index: usize,
        verdict: Verdict,
        now: Millis,
        random: f64,
        effects: &mut Vec<Effect>,
    ) {
        let abort = self.items[index]
            .run()
            .map(|run| Effect::Abort(run.attempt));
        match verdict {
            Verdict::Fine => {}
            Verdict::Anew => {
                effects.push(Effect::Forget(index));
                let item = &mut self.items[index];
                item.wrongs += 1;
                if item.wrongs > self.policy.max_wrongs {
                    effects.extend(abort);
                    self.failed(index, Problem::Changed, now, random, effects);
                }
            }
            Verdict::Whole => {
                effects.extend(abort);
                self.forget(index, effects);
                self.items[index].stage = Stage::Waiting(now);
            }
            Verdict::Complete => {
                effects.extend(abort);
                self.check(index, effects);
            }
            Verdict::Bad(problem) => {
                effects.extend(abort);
                self.failed(index, problem, now, random, effects);
            }
        }
    }

    fn forget(&mut self, index: usize, effects: &mut Vec<Effect>) {
        self.items[index].forget();
        effects.push(Effect::Forget(index));
    }

    /// An attempt was in vain: another one, or the end.
    fn failed(
        &mut self,
        index: usize,
        problem: Problem,
        now: Millis,
        random: f64,
        effects: &mut Vec<Effect>,
    ) {
        let is_excused = !self.is_online && problem.is_of_connection();
        let item = &mut self.items[index];
        // Its request, if there was one, is over.
        item.stage = Stage::Waiting(now);
        let is_borne = match problem.remedy() {
            Remedy::Wait => {
                item.failures += u32::from(!is_excused);
                item.failures <= self.policy.max_failures
            }
            Remedy::Anew => {
                item.wrongs += 1;
                item.fresh = true;
                item.wrongs <= self.policy.max_wrongs
            }
            Remedy::Nothing => false,
        };
        let asked = match problem {
            Problem::Busy {
                retry_after_millis, ..
            } => retry_after_millis.unwrap_or(0.0),
            _ => 0.0,
        };
        if problem.remedy() == Remedy::Anew {
            self.forget(index, effects);
        }
        let item = &self.items[index];
        if !is_borne || asked > self.policy.max_retry_after_millis {
            let failure = Failure {
                name: item.want.name.clone(),
                attempts: item.attempts,
                problem,
            };
            return self.end(End::Failed(failure), effects);
        }
        let wait_millis = match problem.remedy() {
            Remedy::Anew => 0.0,
            _ if is_excused => self.policy.max_wait_millis,
            _ => self.back_off(item.failures, random).max(asked),
        };
        if asked > 0.0 {
            self.held_until = self.held_until.max(now + wait_millis);
        }
        effects.push(Effect::Trouble {
            item: index,
            attempt: item.attempts + 1,
            problem: problem.clone(),
            wait_millis,
        });
        let item = &mut self.items[index];
        item.trouble = Some(problem);
        item.stage = Stage::Waiting(now + wait_millis);
    }

    fn online(&mut self, is_online: bool, now: Millis) {
        self.is_online = is_online;
        if !is_online {
            return;
        }
        for item in &mut self.items {
            let is_due = item.trouble.as_ref().is_some_and(Problem::is_of_connection);
            if let (true, Stage::Waiting(at)) = (is_due, &mut item.stage) {
                *at = at.min(now);
            }
        }
    }

    fn pause(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.is_paused = true;
        for item in &mut self.items {
            if let Some(run) = item.run() {
                effects.push(Effect::Abort(run.attempt));
                item.stage = Stage::Waiting(now);
            }
        }
    }

    /// Whoever asks again gets new attempts at once, but for what the server asked.
    fn resume(&mut self, now: Millis) {
        self.is_paused = false;
        for item in &mut self.items {
            item.failures = 0;
            if let Stage::Waiting(at) = &mut item.stage {
                *at = at.min(now);
            }
        }
    }

    fn end(&mut self, end: End, effects: &mut Vec<Effect>) {
        self.has_ended = true;
        let running = self.items.iter().filter_map(Item::run);
        effects.extend(running.map(|run| Effect::Abort(run.attempt)));
        for item in self.items.iter_mut().filter(|item| item.run().is_some()) {
            item.stage = Stage::Waiting(f64::INFINITY);
        }
        effects.push(Effect::End(end));
    }
}
