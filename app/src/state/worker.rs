//! What the worker says, and what becomes of a worker that says nothing any more.

use protocol::{Event, Fault, FaultCode, Hello, Outcome, Request, RequestId, Status};

use super::{Clock, Effect, Finish, MAX_RESTARTS, MAX_SILENT_TICKS, Phase, State, TICK_MILLIS};

impl State {
    pub(super) fn on_event(&mut self, event: Event) -> Vec<Effect> {
        self.engine.silent_ticks = 0;
        match event {
            Event::Hello(hello) => self.on_hello(&hello),
            Event::Beat => Vec::new(),
            Event::Trap { text } => self.replace_worker(Fault::new(FaultCode::Trap, text)),
            Event::Status(status) => {
                self.on_status(&status);
                Vec::new()
            }
            Event::Loading { progress, .. } => {
                self.engine.progress = Some(progress);
                self.engine.network_trouble = false;
                Vec::new()
            }
            Event::Trimmed { id, messages } => {
                if self.engine.request == Some(id)
                    && let Some(turn) = self.chats.open.turns.last_mut()
                {
                    turn.answer.trimmed = messages;
                }
                Vec::new()
            }
            Event::Prefill { id, done, total } => {
                if self.engine.request == Some(id)
                    && let Some(turn) = self.chats.open.turns.last_mut()
                    && turn.answer.ids.is_empty()
                {
                    turn.answer.prefill = Some((done, total));
                }
                Vec::new()
            }
            Event::Tokens { id, text, ids, .. } => {
                if self.engine.request == Some(id)
                    && let Some(turn) = self.chats.open.turns.last_mut()
                {
                    turn.answer.text.push_str(&text);
                    turn.answer.ids.extend(ids);
                    turn.answer.prefill = None;
                    self.engine.recovering = false;
                }
                Vec::new()
            }
            Event::Finished { id, outcome } => self.on_finished(id, outcome),
            Event::Failed { id, fault } => self.on_failed(id, fault),
        }
    }

    fn on_hello(&mut self, hello: &Hello) -> Vec<Effect> {
        if let Err(fault) = hello.check() {
            // What the page shows if that does not help.
            self.fail(fault);
            return vec![Effect::Terminate, Effect::Heal];
        }
        self.engine.greeted = true;
        let mut effects = vec![Effect::Post(Request::Hello(Hello::own()))];
        effects.extend(self.load());
        effects
    }

    /// Asks for the model. An answer that waits for it keeps its phase.
    pub(super) fn load(&mut self) -> Vec<Effect> {
        let id = self.engine.next_id();
        self.engine.request = Some(id);
        self.engine.model = None;
        self.engine.progress = None;
        if self.engine.phase != Phase::Answering {
            self.engine.phase = Phase::Loading;
        }
        let (model_url, settings) = (self.model_url.clone(), self.switches.settings);
        vec![Effect::Post(Request::Load {
            id,
            model_url,
            settings,
        })]
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
                self.engine.progress = None;
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
        match *outcome {
            Outcome::Described(report) => self.engine.device = Some(report),
            Outcome::Loaded(info) if self.engine.request == Some(id) => {
                self.engine.request = None;
                self.engine.model = Some(info);
                self.engine.progress = None;
                let mut effects =
                    if self.engine.phase == Phase::Answering && self.running().is_some() {
                        self.generate()
                    } else {
                        self.engine.phase = Phase::Ready;
                        self.engine.recovering = false;
                        self.engine.restarts = 0;
                        Vec::new()
                    };
                if self.engine.device.is_none() {
                    let id = self.engine.next_id();
                    effects.push(Effect::Post(Request::DescribeDevice { id }));
                }
                return effects;
            }
            Outcome::Answered { reason, usage } if self.engine.request == Some(id) => {
                if let Some(turn) = self.chats.open.turns.last_mut() {
                    turn.answer.usage = Some(usage);
                }
                self.end_request(Finish::from(reason));
            }
            Outcome::Cancelled if self.engine.request == Some(id) => {
                self.end_request(Finish::Cancelled)
            }
            _ => {}
        }
        Vec::new()
    }

    fn end_request(&mut self, finish: Finish) {
        self.end_answer(finish);
        self.engine.request = None;
        self.engine.restarts = 0;
        self.engine.network_trouble = false;
        self.engine.phase = Phase::Ready;
    }

    fn on_failed(&mut self, id: Option<RequestId>, fault: Fault) -> Vec<Effect> {
        if let Some(key) = id.and_then(|id| self.take_check(id)) {
            return vec![Effect::Settle {
                key,
                result: Err(fault),
            }];
        }
        if id.is_none() || id == self.engine.request {
            let loaded = self.engine.model.is_some() && fault.code != FaultCode::VersionMismatch;
            self.engine.request = None;
            if loaded {
                // The worker lives and has its model: only this answer failed.
                self.end_request(Finish::Failed);
                self.engine.fault = Some(fault);
            } else {
                self.fail(fault);
            }
        }
        Vec::new()
    }

    fn take_check(&mut self, id: RequestId) -> Option<u32> {
        let index = self
            .engine
            .checks
            .iter()
            .position(|(check, _)| *check == id)?;
        Some(self.engine.checks.remove(index).1)
    }

    fn fail(&mut self, fault: Fault) {
        self.end_answer(Finish::Failed);
        self.engine.request = None;
        self.engine.progress = None;
        self.engine.network_trouble = false;
        self.engine.phase = Phase::Failed;
        self.engine.fault = Some(fault);
    }

    pub(super) fn tick(&mut self, clock: Clock) -> Vec<Effect> {
        self.clock = clock;
        if self.engine.phase == Phase::Failed {
            return Vec::new();
        }
        self.engine.silent_ticks += 1;
        if self.engine.silent_ticks <= MAX_SILENT_TICKS {
            return Vec::new();
        }
        self.replace_worker(Fault::new(
            FaultCode::Silent,
            format!(
                "the worker said nothing for {} s",
                MAX_SILENT_TICKS * TICK_MILLIS / 1000
            ),
        ))
    }

    pub(super) fn worker_error(&mut self, detail: String) -> Vec<Effect> {
        self.replace_worker(Fault::new(FaultCode::Trap, detail))
    }

    /// The worker is dead: a new one loads the model, and a running answer goes on behind its last token.
    pub(super) fn replace_worker(&mut self, fault: Fault) -> Vec<Effect> {
        let mut effects: Vec<Effect> = std::mem::take(&mut self.engine.checks)
            .into_iter()
            .map(|(_, key)| Effect::Settle {
                key,
                result: Err(fault.clone()),
            })
            .collect();
        self.engine.greeted = false;
        self.engine.request = None;
        self.engine.model = None;
        self.engine.device = None;
        self.engine.silent_ticks = 0;
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
