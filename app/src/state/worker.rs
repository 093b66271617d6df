//! What the worker says, and what becomes of a worker that says nothing any more.

use protocol::{Event, Fault, FaultCode, Hello, Outcome, Request, RequestId, Status};

use super::{Effect, Finish, MAX_RESTARTS, MAX_SILENT_TICKS, Phase, State};

impl State {
    pub(super) fn on_event(&mut self, event: Event) -> Vec<Effect> {
        self.silent_ticks = 0;
        match event {
            Event::Hello(hello) => self.on_hello(&hello),
            Event::Beat => Vec::new(),
            Event::Trap { text } => self.replace_worker(Fault::new(FaultCode::Trap, text)),
            Event::Status(status) => {
                self.on_status(&status);
                Vec::new()
            }
            Event::Loading { progress, .. } => {
                self.progress = Some(progress);
                self.network_trouble = false;
                Vec::new()
            }
            Event::Trimmed { .. } => Vec::new(),
            Event::Prefill { id, done, total } => {
                if self.request == Some(id)
                    && let Some(turn) = self.turns.last_mut()
                    && turn.answer.ids.is_empty()
                {
                    turn.answer.prefill = Some((done, total));
                }
                Vec::new()
            }
            Event::Tokens { id, text, ids, .. } => {
                if self.request == Some(id)
                    && let Some(turn) = self.turns.last_mut()
                {
                    turn.answer.text.push_str(&text);
                    turn.answer.ids.extend(ids);
                    turn.answer.prefill = None;
                    self.recovering = false;
                }
                Vec::new()
            }
            Event::Finished { id, outcome } => self.on_finished(id, outcome),
            Event::Failed { id, fault } => self.on_failed(id, fault),
        }
    }

    fn on_hello(&mut self, hello: &Hello) -> Vec<Effect> {
        if let Err(fault) = hello.check() {
            self.fail(fault);
            return vec![Effect::Terminate];
        }
        self.greeted = true;
        let mut effects = vec![Effect::Post(Request::Hello(Hello::own()))];
        effects.extend(self.load());
        effects
    }

    /// Asks for the model. An answer that waits for it keeps its phase.
    pub(super) fn load(&mut self) -> Vec<Effect> {
        let id = self.next_id();
        self.request = Some(id);
        self.model = None;
        self.progress = None;
        if self.phase != Phase::Answering {
            self.phase = Phase::Loading;
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
                self.recovering = true;
                self.count_recovery();
            }
            // An answer goes on recovering until its next token.
            Status::DeviceRestored { generation } => {
                self.recovering &= self.phase == Phase::Answering;
                self.progress = None;
                if let Some(device) = &mut self.device {
                    device.generation = *generation;
                }
            }
            Status::FetchRetry { .. } => self.network_trouble = true,
        }
    }

    fn count_recovery(&mut self) {
        if self.phase == Phase::Answering
            && let Some(turn) = self.turns.last_mut()
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
            Outcome::Described(report) => self.device = Some(report),
            Outcome::Loaded(info) if self.request == Some(id) => {
                self.request = None;
                self.model = Some(info);
                self.progress = None;
                let mut effects = if self.phase == Phase::Answering && self.running().is_some() {
                    self.generate()
                } else {
                    self.phase = Phase::Ready;
                    self.recovering = false;
                    self.restarts = 0;
                    Vec::new()
                };
                if self.device.is_none() {
                    let id = self.next_id();
                    effects.push(Effect::Post(Request::DescribeDevice { id }));
                }
                return effects;
            }
            Outcome::Answered { reason, usage } if self.request == Some(id) => {
                if let Some(turn) = self.turns.last_mut() {
                    turn.answer.usage = Some(usage);
                }
                self.end_request(Finish::from(reason));
            }
            Outcome::Cancelled if self.request == Some(id) => self.end_request(Finish::Cancelled),
            _ => {}
        }
        Vec::new()
    }

    fn end_request(&mut self, finish: Finish) {
        self.end_answer(finish);
        self.request = None;
        self.restarts = 0;
        self.network_trouble = false;
        self.phase = Phase::Ready;
    }

    fn on_failed(&mut self, id: Option<RequestId>, fault: Fault) -> Vec<Effect> {
        if let Some(key) = id.and_then(|id| self.take_check(id)) {
            return vec![Effect::Settle {
                key,
                result: Err(fault),
            }];
        }
        if id.is_none() || id == self.request {
            let loaded = self.model.is_some() && fault.code != FaultCode::VersionMismatch;
            self.request = None;
            if loaded {
                // The worker lives and has its model: only this answer failed.
                self.end_request(Finish::Failed);
                self.fault = Some(fault);
            } else {
                self.fail(fault);
            }
        }
        Vec::new()
    }

    fn take_check(&mut self, id: RequestId) -> Option<u32> {
        let index = self.checks.iter().position(|(check, _)| *check == id)?;
        Some(self.checks.remove(index).1)
    }

    fn fail(&mut self, fault: Fault) {
        self.end_answer(Finish::Failed);
        self.request = None;
        self.progress = None;
        self.network_trouble = false;
        self.phase = Phase::Failed;
        self.fault = Some(fault);
    }

    pub(super) fn tick(&mut self) -> Vec<Effect> {
        if self.phase == Phase::Failed {
            return Vec::new();
        }
        self.silent_ticks += 1;
        if self.silent_ticks <= MAX_SILENT_TICKS {
            return Vec::new();
        }
        self.replace_worker(Fault::new(
            FaultCode::Silent,
            format!("the worker said nothing for {MAX_SILENT_TICKS} s"),
        ))
    }

    /// The worker is dead: a new one loads the model, and a running answer goes on behind its last token.
    pub(super) fn replace_worker(&mut self, fault: Fault) -> Vec<Effect> {
        let mut effects: Vec<Effect> = std::mem::take(&mut self.checks)
            .into_iter()
            .map(|(_, key)| Effect::Settle {
                key,
                result: Err(fault.clone()),
            })
            .collect();
        self.greeted = false;
        self.request = None;
        self.model = None;
        self.device = None;
        self.silent_ticks = 0;
        if self.stopping {
            self.end_answer(Finish::Cancelled);
        }
        self.restarts += 1;
        if self.restarts > MAX_RESTARTS {
            self.fail(fault);
            effects.push(Effect::Terminate);
            return effects;
        }
        self.recovering = true;
        if self.running().is_some() {
            self.count_recovery();
        } else {
            self.phase = Phase::Starting;
        }
        effects.push(Effect::Spawn);
        effects
    }
}
