//! What becomes of a lost GPU device or a dead worker, as a pure state machine: events in, effects out, time as a number.
//!
//! It sits on the page's side, because a dead GPU process can leave the worker's own GPU object dead for good, so that only
//! another worker helps. Its moves go from mild to harsh ([`Policy::ladder`]): another device in the same worker, another
//! worker, another worker with a smaller configuration, an end with an explanation. It never trusts a browser's reason for a
//! loss; a worker that is ended on purpose is marked by [`Event::Shutdown`]. There is never more than one worker: another
//! one is started only behind [`Effect::Terminate`]. Every worker has a generation, and what one of an earlier generation
//! still says changes nothing.

mod decide;
mod policy;
mod words;

use std::collections::VecDeque;

pub use policy::{Level, Millis, Move, Policy, Rung};
pub use words::{Cause, Effect, Event, Phase};

/// The state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Supervisor {
    policy: Policy,
    phase: Phase,
    generation: u32,
    level: u32,
    is_hidden: bool,
    /// Losses of the running answer.
    job_losses: Option<u32>,
    /// Losses without a token in between.
    fruitless: u32,
    /// When something was lost, within the window.
    losses: VecDeque<Millis>,
    /// When workers were started, within the window.
    spawns: VecDeque<Millis>,
    /// Whether there ever was a device.
    had_device: bool,
    /// Adapters in a row that did not come.
    missing_adapters: u32,
    quiet_ticks: u32,
}

impl Supervisor {
    /// A supervisor of nothing yet.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            phase: Phase::Cold,
            generation: 0,
            level: 0,
            is_hidden: false,
            job_losses: None,
            fruitless: 0,
            losses: VecDeque::new(),
            spawns: VecDeque::new(),
            had_device: false,
            missing_adapters: 0,
            quiet_ticks: 0,
        }
    }

    /// What goes on.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// How many workers there have been, the present one included.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Number of the configuration in use.
    #[must_use]
    pub const fn level(&self) -> u32 {
        self.level
    }

    /// Starts with a smaller configuration, because an earlier life of the page ended with a larger one.
    pub fn begin_at(&mut self, level: u32) {
        self.level = self.level.max(level.min(self.last_level()));
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The configuration in use.
    #[must_use]
    pub fn configuration(&self) -> Level {
        let index = self.level.min(self.last_level()) as usize;
        self.policy.levels.get(index).copied().unwrap_or(Level {
            context_divisor: 1,
            prefill_chunk: 0,
            divisor_in_bytes: 0,
        })
    }

    /// Until when a move waits, if it does.
    #[must_use]
    pub const fn waits_until(&self) -> Option<Millis> {
        match self.phase {
            Phase::Waiting(until, _) | Phase::Retiring(_, Some(until)) => Some(until),
            _ => None,
        }
    }

    /// Whether there is a worker, of use or not.
    #[must_use]
    pub const fn has_worker(&self) -> bool {
        match self.phase {
            Phase::Starting | Phase::Up | Phase::Ready | Phase::Retiring(..) => true,
            Phase::Waiting(_, movement) => matches!(movement, Move::Reopen),
            Phase::Cold | Phase::Stopped => false,
        }
    }

    /// Whether there is a worker whose words count.
    #[must_use]
    pub const fn is_listening(&self) -> bool {
        self.has_worker() && !matches!(self.phase, Phase::Retiring(..))
    }

    /// How many losses the window holds.
    #[must_use]
    pub fn recent_losses(&self) -> usize {
        self.losses.len()
    }

    /// Whether the adapter is what is waited for.
    #[must_use]
    pub const fn waits_for_adapter(&self) -> bool {
        self.missing_adapters > 1 && self.waits_until().is_some()
    }

    /// Takes what happened at `now` and says what to do, in order.
    #[must_use]
    pub fn on(&mut self, now: Millis, event: Event) -> Vec<Effect> {
        match event {
            Event::Start if matches!(self.phase, Phase::Cold | Phase::Stopped) => {
                self.make(now, now, Move::Replace)
            }
            Event::Start => {
                if let Phase::Retiring(until, None) = self.phase {
                    self.phase = Phase::Retiring(until, Some(now));
                }
                Vec::new()
            }
            Event::Retry => self.retry(now),
            Event::Discard => self.discard(),
            Event::Shutdown => self.shut_down(now),
            Event::Retired(generation) if self.is_current(generation) => self.retired(now),
            Event::Lost(generation, cause) if self.is_working(generation) => self.lost(now, cause),
            Event::Lost(generation, cause) if self.is_current(generation) => {
                self.lost_while_waiting(now, cause)
            }
            Event::Heard(generation) | Event::Greeted(generation) | Event::Loaded(generation)
                if self.is_working(generation) =>
            {
                self.heard(event);
                Vec::new()
            }
            Event::Began => {
                self.job_losses.get_or_insert(0);
                Vec::new()
            }
            Event::Accepted => {
                self.fruitless = 0;
                Vec::new()
            }
            Event::Ended => {
                self.job_losses = None;
                Vec::new()
            }
            Event::Hidden => {
                self.is_hidden = true;
                Vec::new()
            }
            Event::Visible => {
                self.is_hidden = false;
                self.quiet_ticks = 0;
                self.look_at_clock(now)
            }
            Event::Tick => self.tick(now),
            _ => Vec::new(),
        }
    }

    const fn is_current(&self, generation: u32) -> bool {
        self.generation == generation
    }

    /// Whether a worker of this generation is there and is meant to be.
    fn is_working(&self, generation: u32) -> bool {
        let works = matches!(self.phase, Phase::Starting | Phase::Up | Phase::Ready);
        works && self.is_current(generation)
    }

    fn last_level(&self) -> u32 {
        u32::try_from(self.policy.levels.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn heard(&mut self, event: Event) {
        self.quiet_ticks = 0;
        match event {
            Event::Greeted(_) if self.phase == Phase::Starting => self.phase = Phase::Up,
            Event::Loaded(_) if self.phase == Phase::Up => {
                self.phase = Phase::Ready;
                self.had_device = true;
                self.missing_adapters = 0;
            }
            _ => {}
        }
    }

    fn tick(&mut self, now: Millis) -> Vec<Effect> {
        let limit = match self.phase {
            Phase::Starting => self.policy.start_ticks,
            Phase::Up | Phase::Ready => self.policy.silent_ticks,
            _ => return self.look_at_clock(now),
        };
        // Whoever is hidden may be frozen, and so may the worker.
        if self.is_hidden {
            return Vec::new();
        }
        self.quiet_ticks += 1;
        if self.quiet_ticks > limit {
            let mut effects = vec![Effect::Silent];
            effects.extend(self.lost(now, Cause::Worker));
            return effects;
        }
        Vec::new()
    }

    fn look_at_clock(&mut self, now: Millis) -> Vec<Effect> {
        match self.phase {
            Phase::Retiring(until, _) if until <= now => self.retired(now),
            Phase::Waiting(until, movement) if until <= now && !self.is_hidden => {
                self.make(now, until, movement)
            }
            _ => Vec::new(),
        }
    }

    /// The worker has given up what it had, or has had its time.
    fn retired(&mut self, now: Millis) -> Vec<Effect> {
        let Phase::Retiring(_, then) = self.phase else {
            return Vec::new();
        };
        let mut effects = vec![Effect::Terminate];
        match then {
            Some(at) => effects.extend(self.make(now, at, Move::Replace)),
            None => self.phase = Phase::Cold,
        }
        effects
    }

    fn shut_down(&mut self, now: Millis) -> Vec<Effect> {
        self.job_losses = None;
        self.fruitless = 0;
        match self.phase {
            Phase::Starting | Phase::Up | Phase::Ready => self.retire(now, None),
            Phase::Waiting(_, Move::Reopen) => self.retire(now, None),
            Phase::Retiring(until, _) => {
                self.phase = Phase::Retiring(until, None);
                Vec::new()
            }
            Phase::Cold | Phase::Stopped | Phase::Waiting(_, Move::Replace) => {
                self.phase = Phase::Cold;
                Vec::new()
            }
        }
    }

    fn discard(&mut self) -> Vec<Effect> {
        let effects = if self.has_worker() {
            vec![Effect::Terminate]
        } else {
            Vec::new()
        };
        self.job_losses = None;
        self.fruitless = 0;
        self.phase = Phase::Stopped;
        effects
    }

    fn retry(&mut self, now: Millis) -> Vec<Effect> {
        self.fruitless = 0;
        self.missing_adapters = 0;
        match self.phase {
            Phase::Stopped => self.make(now, now, Move::Replace),
            Phase::Waiting(_, movement) => self.make(now, now, movement),
            Phase::Retiring(until, Some(_)) => {
                self.phase = Phase::Retiring(until, Some(now));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn retire(&mut self, now: Millis, then: Option<Millis>) -> Vec<Effect> {
        self.phase = Phase::Retiring(now + self.policy.retire_millis, then);
        vec![Effect::Retire]
    }

    /// Makes a move at time `at`, or as soon as somebody looks and the limit on workers allows it.
    fn make(&mut self, now: Millis, at: Millis, movement: Move) -> Vec<Effect> {
        let mut at = at;
        if movement == Move::Replace {
            forget_before(&mut self.spawns, now, self.policy.window_millis);
            if self.spawns.len() >= self.policy.max_spawns
                && let Some(oldest) = self.spawns.front()
            {
                at = at.max(oldest + self.policy.window_millis + 1);
            }
        }
        if at > now || self.is_hidden {
            self.phase = Phase::Waiting(at, movement);
            return Vec::new();
        }
        self.quiet_ticks = 0;
        match movement {
            Move::Reopen => {
                self.phase = Phase::Up;
                vec![Effect::Reopen]
            }
            Move::Replace => {
                self.spawns.push_back(now);
                self.generation += 1;
                self.phase = Phase::Starting;
                vec![Effect::Spawn(self.generation)]
            }
        }
    }
}

/// Forgets what is older than the window.
fn forget_before(times: &mut VecDeque<Millis>, now: Millis, window: Millis) {
    while times.front().is_some_and(|at| at + window < now) {
        times.pop_front();
    }
}
