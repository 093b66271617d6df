//! What the worker says, and what becomes of a worker that says nothing any more.

use protocol::{Event, Fault, FaultCode, Hello, Outcome, Request, RequestId, Status};

use super::engine::Job;
use super::{Answer, Effect, Finish, MAX_RESTARTS, MAX_SILENT_TICKS, Phase, State, TICK_MILLIS};

impl State {
    pub(super) fn on_event(&mut self, event: Event) -> Vec<Effect> {
        if self.engine.phase == Phase::Elsewhere {
            return Vec::new();
        }
        self.engine.silent_ticks = 0;
        match event {
            Event::Hello(hello) => return self.on_hello(&hello),
            Event::Beat => {}
            Event::Trap { text } => return self.replace_worker(Fault::new(FaultCode::Trap, text)),
            Event::Status(status) => self.on_status(&status),
            Event::Loading { progress, .. } => {
                self.engine.progress = Some(progress);
                self.engine.network_trouble = false;
            }
            Event::Trimmed { id, messages } => {
                if let Some(answer) = self.answer_of(id) {
                    answer.trimmed = answer.unsent.saturating_add(messages);
                }
            }
            Event::Prefill { id, done, total } => {
                if let Some(answer) = self.answer_of(id).filter(|answer| answer.ids.is_empty()) {
                    answer.prefill = Some((done, total));
                }
            }
            Event::Tokens { id, text, ids, .. } => {
                if let Some(answer) = self.answer_of(id) {
                    answer.text.push_str(&text);
                    answer.ids.extend(ids);
                    answer.prefill = None;
                    self.engine.recovering = false;
                    return self.announce(false).into_iter().collect();
                }
            }
            Event::Finished { id, outcome } => return self.on_finished(id, outcome),
            Event::Failed { id, fault } => return self.on_failed(id, fault),
        }
        Vec::new()
    }

    /// The running answer, if this request is for it.
    fn answer_of(&mut self, id: RequestId) -> Option<&mut Answer> {
        let is_current = self.engine.request == Some(id) && self.engine.job == Job::Answer;
        let turn = self.chats.open.turns.last_mut().filter(|_| is_current)?;
        Some(&mut turn.answer)
    }

    fn on_hello(&mut self, hello: &Hello) -> Vec<Effect> {
        if let Err(fault) = hello.check() {
            // What the page shows if that does not help.
            self.fail(fault);
            return vec![Effect::Terminate, Effect::Heal];
        }
        self.engine.greeted = true;
        let mut effects = vec![Effect::Post(Request::Hello(Hello::own()))];
        effects.extend(self.begin());
        effects
    }

    fn on_status(&mut self, status: &Status) {
        match status {
            Status::DeviceLost { .. } => {
                self.engine.recovering = true;
                self.count_recovery();
            }
            // An answer goes on recovering until its next token.
            Status::DeviceRestored { generation } => {
                self.engine.recovering &= self.engine.phase == Phase::Answering;
                self.end_progress();
                if let Some(device) = &mut self.engine.device {
                    device.generation = *generation;
                }
            }
            Status::FetchRetry { .. } => self.engine.network_trouble = true,
        }
    }

    fn count_recovery(&mut self) {
        if self.engine.phase == Phase::Answering
            && let Some(turn) = self.chats.open.turns.last_mut()
        {
            turn.answer.recoveries += 1;
        }
    }

    fn on_finished(&mut self, id: RequestId, outcome: Box<Outcome>) -> Vec<Effect> {
        if let Some(key) = self.take_check(id) {
            return vec![Effect::Settle {
                key,
                result: Ok(outcome),
            }];
        }
        if let Some(chore) = self.take_chore(id) {
            return self.on_chore(chore, Ok(*outcome));
        }
        let is = |job: Job| self.engine.request == Some(id) && self.engine.job == job;
        match *outcome {
            Outcome::Described(report) => self.engine.device = Some(report),
            Outcome::Inspected(offer) if is(Job::Inspect) => return self.on_inspected(offer),
            Outcome::Loaded(info) if is(Job::Load) => return self.on_loaded(info),
            Outcome::Answered { reason, usage } if is(Job::Answer) => {
                if let Some(turn) = self.chats.open.turns.last_mut() {
                    turn.answer.usage = Some(usage);
                }
                return self.end_request(Finish::from(reason));
            }
            Outcome::Cancelled if is(Job::Answer) => return self.end_request(Finish::Cancelled),
            Outcome::Cancelled if is(Job::Load) => {
                self.end_answer(Finish::Cancelled);
                return self.on_load_cancelled();
            }
            _ => {}
        }
        Vec::new()
    }

    fn end_request(&mut self, finish: Finish) -> Vec<Effect> {
        let rest = self.announce(true);
        self.end_answer(finish);
        self.engine.request = None;
        self.engine.restarts = 0;
        self.end_progress();
        self.engine.phase = Phase::Ready;
        rest.into_iter().collect()
    }

    fn on_failed(&mut self, id: Option<RequestId>, fault: Fault) -> Vec<Effect> {
        if let Some(key) = id.and_then(|id| self.take_check(id)) {
            return vec![Effect::Settle {
                key,
                result: Err(fault),
            }];
        }
        if let Some(chore) = id.and_then(|id| self.take_chore(id)) {
            return self.on_chore(chore, Err(fault));
        }
        if id.is_some() && id != self.engine.request {
            return Vec::new();
        }
        let is_answer = self.engine.job == Job::Answer || self.engine.request.is_none();
        let is_loaded = self.engine.model.is_some() && is_answer;
        if !is_loaded || fault.code == FaultCode::VersionMismatch {
            self.fail(fault);
            return Vec::new();
        }
        // The worker lives and has its model: only this answer failed.
        let effects = self.end_request(Finish::Failed);
        self.engine.fault = Some(fault);
        effects
    }

    fn take_check(&mut self, id: RequestId) -> Option<u32> {
        let checks = &mut self.engine.checks;
        let index = checks.iter().position(|(check, _)| *check == id)?;
        Some(checks.remove(index).1)
    }

    pub(super) fn fail(&mut self, fault: Fault) {
        self.end_answer(Finish::Failed);
        self.engine.request = None;
        self.end_progress();
        self.engine.phase = Phase::Failed;
        self.engine.fault = Some(fault);
    }

    /// Counts how long the worker has said nothing. A hidden page counts nothing: it may be frozen, and so may the worker.
    pub(super) fn count_silence(&mut self) -> Vec<Effect> {
        let is_quiet = matches!(self.engine.phase, Phase::Failed | Phase::Elsewhere);
        if is_quiet || self.environment.hidden || self.engine.waits_for_lock {
            return Vec::new();
        }
        self.engine.silent_ticks += 1;
        if self.engine.silent_ticks <= MAX_SILENT_TICKS {
            return Vec::new();
        }
        let seconds = MAX_SILENT_TICKS * TICK_MILLIS / 1000;
        self.replace_worker(Fault::new(
            FaultCode::Silent,
            format!("the worker said nothing for {seconds} s"),
        ))
    }

    pub(super) fn worker_error(&mut self, detail: String) -> Vec<Effect> {
        if self.engine.phase == Phase::Elsewhere {
            return Vec::new();
        }
        self.replace_worker(Fault::new(FaultCode::Trap, detail))
    }

    /// Gives everybody who waits for a check the same answer.
    pub(super) fn settle_checks(&mut self, fault: &Fault) -> Vec<Effect> {
        std::mem::take(&mut self.engine.checks)
            .into_iter()
            .map(|(_, key)| Effect::Settle {
                key,
                result: Err(fault.clone()),
            })
            .collect()
    }

    /// Whatever was known of the worker is true no more.
    pub(super) fn forget_worker(&mut self) {
        self.engine.greeted = false;
        self.engine.request = None;
        self.engine.model = None;
        self.engine.device = None;
        self.engine.chores.clear();
        self.engine.silent_ticks = 0;
        self.end_progress();
    }

    /// The worker is dead: a new one loads the model, and a running answer goes on behind its last token.
    fn replace_worker(&mut self, fault: Fault) -> Vec<Effect> {
        let mut effects = self.settle_checks(&fault);
        self.forget_worker();
        if self.engine.stopping {
            self.end_answer(Finish::Cancelled);
        }
        self.engine.restarts += 1;
        if self.engine.restarts > MAX_RESTARTS {
            self.fail(fault);
            effects.push(Effect::Terminate);
            return effects;
        }
        self.engine.recovering = true;
        if self.running().is_some() {
            self.count_recovery();
        } else {
            self.engine.phase = Phase::Starting;
        }
        effects.push(Effect::Spawn);
        effects
    }
}
