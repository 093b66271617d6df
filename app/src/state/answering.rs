//! Questions and answers: asking, stopping, asking again.

use protocol::supervisor;
use protocol::{Fault, FaultCode, Generate, Request, RequestId};

use super::engine::Job;
use super::{Action, Answer, Change, Check, DbRequest, Effect, Finish, Phase, State, Turn, turn};

impl State {
    pub(super) fn on_answering(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Send { text } => self.send(&text),
            Action::Stop => self.stop(),
            Action::Regenerate => self.regenerate(),
            Action::Continue => self.go_on(),
            Action::EditAndResend { key, text } => self.edit_and_resend(key, &text),
            _ => Vec::new(),
        }
    }

    fn send(&mut self, text: &str) -> Vec<Effect> {
        let text = text.trim();
        if !self.can_send() || text.is_empty() {
            return Vec::new();
        }
        let number = self.chats.open.turns.last().map_or(0, |turn| turn.number) + 1;
        let turn = Turn {
            key: self.next_key(),
            number,
            question: text.to_owned(),
            asked_millis: self.clock.wall_millis,
            seed: self.random.seed(),
            answer: Answer::default(),
        };
        self.chats.open.turns.push(turn);
        self.answer_anew()
    }

    fn regenerate(&mut self) -> Vec<Effect> {
        if !self.can_regenerate() {
            return Vec::new();
        }
        let (key, seed) = (self.next_key(), self.random.seed());
        if let Some(turn) = self.chats.open.turns.last_mut() {
            turn.key = key;
            turn.seed = seed;
            turn.answer = Answer::default();
        }
        self.answer_anew()
    }

    fn edit_and_resend(&mut self, key: u32, text: &str) -> Vec<Effect> {
        let can_send = self.can_send();
        let open = &mut self.chats.open;
        let Ok(index) = open.turns.binary_search_by_key(&key, |turn| turn.key) else {
            return Vec::new();
        };
        if !can_send || open.loading || text.trim().is_empty() {
            return Vec::new();
        }
        let number = open.turns.get(index).map_or(0, |turn| turn.number);
        open.turns.truncate(index);
        let chat = open.head.id;
        self.save(Change::DeleteTurnsFrom { chat, number });
        self.send(text)
    }

    /// Has the last turn answered from the start, and the chat listed with it.
    fn answer_anew(&mut self) -> Vec<Effect> {
        self.touch_open_chat();
        self.save_last_turn();
        self.generate()
    }

    /// Goes on with the last answer behind its last token.
    fn go_on(&mut self) -> Vec<Effect> {
        if !self.can_continue() {
            return Vec::new();
        }
        if let Some(turn) = self.chats.open.turns.last_mut() {
            turn.answer.finish = None;
        }
        self.touch_open_chat();
        self.save_last_turn();
        self.generate()
    }

    /// Has the last turn answered, behind whatever of its answer is there. While the model is being brought back it waits
    /// for it.
    pub(super) fn generate(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.engine.phase = Phase::Answering;
        self.engine.fault = None;
        if self.environment.hidden {
            // Whoever asks looks at the page, whatever the browser said last.
            self.environment.hidden = false;
            effects.push(Effect::Db(DbRequest::Wake));
            effects.extend(self.supervise(supervisor::Event::Visible));
        }
        // Whoever asks wants an answer more than a measurement.
        effects.extend(self.cancel_trial());
        effects.extend(self.supervise(supervisor::Event::Began));
        if self.engine.model.is_some() {
            effects.extend(self.post_answer());
        }
        effects
    }

    fn post_answer(&mut self) -> Option<Effect> {
        let suggested = self.sampling();
        let model = self.engine.model.as_ref();
        let context = model.map_or(u32::MAX, |model| model.context);
        let model = model.map(|model| model.name.clone());
        let open = &mut self.chats.open;
        let (messages, unsent) = turn::messages(&open.head.system_prompt, &open.turns, context);
        let turn = open.turns.last_mut()?;
        turn.answer.model = model.unwrap_or_default();
        turn.answer.prefill = None;
        turn.answer.unsent = unsent;
        let seed = turn.seed;
        let resume = turn.answer.ids.clone();
        let job = Generate {
            messages,
            sampling: self.switches.sampling(Some(suggested), seed),
            max_tokens: self.switches.max_tokens,
            resume,
        };
        self.start_announcing();
        if let Some(risk) = self.risk_of_answer() {
            self.mark(risk);
        }
        let id = self.engine.begin(Job::Answer);
        Some(Effect::Post(Request::Generate { id, job }))
    }

    fn stop(&mut self) -> Vec<Effect> {
        match self.engine.phase {
            Phase::Answering if !self.engine.stopping => {}
            Phase::Paused => {
                self.end_answer(Finish::Cancelled);
                self.engine.phase = self.idle_phase();
                return Vec::new();
            }
            _ => return Vec::new(),
        }
        match self.engine.request {
            Some(id) if self.engine.job == Job::Answer => {
                self.engine.stopping = true;
                vec![Effect::Post(Request::Cancel { id })]
            }
            // A dead worker is being replaced: there is nobody to ask, and nothing to wait for.
            _ => {
                self.end_answer(Finish::Cancelled);
                self.engine.phase = self.idle_phase();
                Vec::new()
            }
        }
    }

    /// Puts a running answer aside, because the person goes somewhere else; it can be continued later.
    pub(super) fn put_aside(&mut self) -> Vec<Effect> {
        if !matches!(self.engine.phase, Phase::Answering | Phase::Paused) {
            return Vec::new();
        }
        let cancelled = self.break_off();
        let finish = if self.engine.stopping {
            Finish::Cancelled
        } else {
            Finish::Interrupted
        };
        self.end_answer(finish);
        self.engine.phase = self.idle_phase();
        cancelled
            .map(|id| Effect::Post(Request::Cancel { id }))
            .into_iter()
            .collect()
    }

    /// Stops listening to the running answer. Returns the request that the worker should be told of, if it works on one.
    pub(super) fn break_off(&mut self) -> Option<RequestId> {
        let is_answer = self.engine.job == Job::Answer;
        self.engine.request.take_if(|_| is_answer)
    }

    /// The phase of an engine that answers nothing.
    pub(super) const fn idle_phase(&self) -> Phase {
        if self.engine.model.is_some() {
            Phase::Ready
        } else if self.engine.greeted {
            Phase::Loading
        } else {
            Phase::Starting
        }
    }

    pub(super) fn check(&mut self, key: u32, check: Check) -> Vec<Effect> {
        let is_possible = match check {
            Check::Shape(_) => self.can_try(),
            _ => self.engine.phase == Phase::Ready,
        };
        if !is_possible {
            let detail = format!("a check needs an idle engine, got {}", self.name());
            return vec![Effect::Settle {
                key,
                result: Err(Fault::new(FaultCode::BadRequest, detail)),
            }];
        }
        let id = self.engine.next_id();
        self.engine.checks.push((id, key));
        vec![Effect::Post(match check {
            Check::Variants => Request::CompileAllVariants { id },
            Check::Prefill { lengths, truncate } => Request::PrefillEqualsDecode {
                id,
                lengths,
                truncate,
            },
            Check::Shape(job) => Request::MeasureShape {
                id,
                settings: self.settings(),
                job,
            },
        })]
    }

    /// Ends the running answer, if there is one, and stores it.
    pub(super) fn end_answer(&mut self, finish: Finish) {
        self.engine.stopping = false;
        // Without a model it is still being brought back.
        self.engine.recovering &= self.engine.model.is_none();
        self.unmark_answer();
        // Of no consequence but for the supervisor's own counts.
        let _nothing = self.supervise(supervisor::Event::Ended);
        if let Some(turn) = self.chats.open.turns.last_mut()
            && turn.answer.finish.is_none()
        {
            turn.answer.finish = Some(finish);
            turn.answer.prefill = None;
            self.save_last_turn();
        }
    }

    /// Tries the last answer again after a failure.
    pub(super) fn retry_answer(&mut self) -> Vec<Effect> {
        self.engine.fault = None;
        let failed = self.chats.open.turns.last().map(|turn| turn.answer.finish)
            == Some(Some(Finish::Failed));
        if failed { self.go_on() } else { Vec::new() }
    }
}
