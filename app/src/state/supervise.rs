//! Lost devices and dead workers: the supervisor (`protocol::supervisor`) decides, this asks it and does what it says.

use protocol::supervisor::{self, Cause};
use protocol::{Fault, FaultCode, KvType, SelfTestReport, Settings};

use super::engine::Job;
use super::{Effect, Finish, Notice, Phase, Setback, State};

/// A wait that is shorter passes without being counted down.
const SHOWN_WAIT_MILLIS: u64 = 3_000;

/// What a fault says of device and memory, if anything.
pub(super) const fn cause(code: FaultCode) -> Option<Cause> {
    match code {
        FaultCode::DeviceLost => Some(Cause::Device),
        FaultCode::NoAdapter => Some(Cause::Adapter),
        FaultCode::OutOfMemory => Some(Cause::Memory),
        _ => None,
    }
}

/// What a loss is to the person who is told of what followed.
fn setback(loss: Option<&Fault>) -> Setback {
    match loss.map(|fault| fault.code) {
        Some(FaultCode::OutOfMemory) => Setback::Memory,
        Some(FaultCode::Trap | FaultCode::Silent) => Setback::Worker,
        _ => Setback::Gpu,
    }
}

impl State {
    /// Tells the supervisor what happened, and says what it wants done.
    pub(super) fn supervise(&mut self, event: supervisor::Event) -> Vec<Effect> {
        let level = self.engine.supervisor.level();
        let phase = self.engine.supervisor.phase();
        let decided = self.engine.supervisor.on(self.now(), event);
        let mut effects = Vec::new();
        for effect in decided {
            effects.extend(self.decided(phase, effect));
        }
        if self.engine.supervisor.level() > level {
            self.engine.setback = setback(self.engine.loss.as_ref());
            self.note("from now on with a smaller configuration");
        }
        self.note_wait(phase);
        effects
    }

    /// Notes a wait that has just begun.
    fn note_wait(&mut self, before: supervisor::Phase) {
        let after = self.engine.supervisor.phase();
        if let supervisor::Phase::Waiting(until, movement) = after
            && after != before
        {
            let what = match movement {
                supervisor::Move::Reopen => "another device in the same worker",
                supervisor::Move::Replace => "another worker",
            };
            let seconds = until.saturating_sub(self.now()).div_ceil(1000);
            self.note_now(&format!("{what} in {seconds} s"));
        }
    }

    fn decided(&mut self, before: supervisor::Phase, effect: supervisor::Effect) -> Vec<Effect> {
        match effect {
            supervisor::Effect::Silent => {
                let policy = self.engine.supervisor.policy();
                let ticks = match before {
                    supervisor::Phase::Starting => policy.start_ticks,
                    _ => policy.silent_ticks,
                };
                let seconds = ticks * supervisor::Policy::TICK_MILLIS / 1000;
                let detail = format!("the worker said nothing for {seconds} s");
                self.note_loss(Fault::new(FaultCode::Silent, detail))
            }
            supervisor::Effect::Spawn(generation) => {
                self.forget_worker();
                self.note(&format!("worker {generation} is started"));
                vec![Effect::Spawn]
            }
            supervisor::Effect::Retire => {
                self.forget_worker();
                self.note("the worker is asked to give its device back and to end");
                vec![Effect::Retire]
            }
            supervisor::Effect::Terminate => {
                self.forget_worker();
                self.note("the worker is ended");
                vec![Effect::Terminate]
            }
            supervisor::Effect::Reopen => {
                self.note("another device in the same worker");
                // The model may have been deleted meanwhile.
                self.begin()
            }
            supervisor::Effect::GiveUp(_) => {
                self.note_now("given up");
                let unknown = || Fault::new(FaultCode::DeviceLost, "nothing is known of the loss");
                let fault = self.engine.loss.take().unwrap_or_else(unknown);
                self.fail(fault);
                Vec::new()
            }
        }
    }

    /// A device or a worker is gone. A running answer goes on behind its last token as soon as there is another.
    pub(super) fn lost(&mut self, cause: Cause, fault: Fault) -> Vec<Effect> {
        if !self.engine.supervisor.is_listening() {
            return Vec::new();
        }
        let generation = self.engine.supervisor.generation();
        let mut effects = self.note_loss(fault);
        effects.extend(self.supervise(supervisor::Event::Lost(generation, cause)));
        effects
    }

    /// Whatever needed the device is over, but for the answer.
    fn note_loss(&mut self, fault: Fault) -> Vec<Effect> {
        let effects = self.settle_checks(&fault);
        let tokens = self.running().map(|turn| turn.answer.ids.len());
        let during = match (self.engine.request, self.engine.job, tokens) {
            (Some(_), Job::Load, _) => "while loading".to_owned(),
            (Some(_), Job::Answer, Some(tokens)) => format!("behind token {tokens} of an answer"),
            _ => "while idle".to_owned(),
        };
        self.note_now(&format!(
            "lost {during}: {:?}, {}",
            fault.code, fault.detail
        ));
        let is_new = self.lost_at.is_none();
        self.lost_at.get_or_insert(self.clock.steady_millis);
        // The page is still here, so this was not what ends pages.
        self.unmark();
        self.blame_work(&fault);
        self.engine.loss = Some(fault);
        self.engine.request = None;
        self.engine.model = None;
        self.engine.device = None;
        self.end_progress();
        if self.engine.stopping {
            self.end_answer(Finish::Cancelled);
        }
        self.engine.recovering = true;
        if self.running().is_none() {
            self.engine.fault = None;
            self.engine.phase = Phase::Starting;
        } else if is_new {
            self.count_recovery();
        }
        effects
    }

    /// Says once that the model was started with less than was asked for.
    pub(super) fn tell_smaller(&mut self, context: u32) {
        let level = self.engine.supervisor.level();
        if level > self.engine.told_level {
            self.engine.told_level = level;
            self.note(&format!("the context is {context} tokens"));
            let because = self.engine.setback;
            let is_rounded = self.settings().kv != self.switches.settings.kv;
            if is_rounded {
                self.note("the key-value cache is kept as bytes");
            }
            self.notice = Some(Notice::Smaller {
                context,
                is_rounded,
                because,
            });
        }
    }

    /// What the self-test of the new device found.
    pub(super) fn note_self_test(&mut self, test: &SelfTestReport) {
        let SelfTestReport {
            variant,
            millis,
            dropped,
            inexact,
            ..
        } = test;
        self.note(&format!("self-test passed by {variant} in {millis:.0} ms"));
        for failed in dropped {
            let line = format!("not used any more: {}, {}", failed.variant, failed.problem);
            self.note(&line);
        }
        if let Some(difference) = inexact {
            self.note(&format!("prompts are read token by token: {difference}"));
        }
    }

    /// The answer has a token again, or there is no answer and the model is back.
    pub(super) fn note_recovered(&mut self, what: &str) {
        if let Some(since) = self.lost_at.take() {
            let millis = self.clock.steady_millis - since;
            self.note(&format!("{what}, {millis:.0} ms behind the loss"));
        }
    }

    /// Counts a recovery of the running answer. What fails on the way to it belongs to the same one.
    fn count_recovery(&mut self) {
        if let Some(turn) = self.chats.open.turns.last_mut() {
            turn.answer.recoveries += 1;
        }
    }

    /// The settings of the next session: what the address asks for, less what had to be given up.
    pub(super) fn settings(&self) -> Settings {
        let asked = self.switches.settings;
        let supervisor = &self.engine.supervisor;
        let given_up = supervisor.configuration();
        if supervisor.level() == 0 {
            return asked;
        }
        let offer = self.engine.offer.as_ref();
        let most = offer.map_or(u32::MAX, |offer| offer.max_context);
        let full = match (asked.context, self.engine.full_context) {
            (0, 0) => Settings::USUAL_CONTEXT.min(most),
            (0, full) => full,
            (asked, _) => asked.min(most),
        };
        let least = supervisor.policy().least_context.min(full);
        // A cache of bytes changes what the model says, so it is only for what it helps against.
        let is_short_of_memory = matches!(self.engine.setback, Setback::Memory | Setback::Killed);
        let (divisor, kv) = match (given_up.divisor_in_bytes, asked.kv) {
            (divisor @ 1.., KvType::F16) if is_short_of_memory => (divisor, KvType::I8),
            (_, kv) => (given_up.context_divisor.max(1), kv),
        };
        Settings {
            context: (full / divisor).max(least),
            kv,
            prefill_chunk: given_up.prefill_chunk,
            ..asked
        }
    }

    /// Seconds until the supervisor's next move, when they are worth counting down.
    #[must_use]
    pub fn seconds_to_wait(&self) -> Option<u64> {
        let left = self
            .engine
            .supervisor
            .waits_until()?
            .saturating_sub(self.now());
        (left >= SHOWN_WAIT_MILLIS).then(|| left.div_ceil(1000))
    }

    /// The supervisor's clock.
    fn now(&self) -> supervisor::Millis {
        // The clock never goes back and begins at 0.
        self.clock.steady_millis as u64
    }
}
