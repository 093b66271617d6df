//! Questions and answers: asking, stopping, asking again.

use protocol::{Fault, FaultCode, Generate, Request};

use super::{Action, Answer, Check, Effect, Finish, Phase, State, Turn, turn};

impl State {
    pub(super) fn on_answering(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Send { text } => self.send(&text),
            Action::Stop => self.stop(),
            _ => Vec::new(),
        }
    }

    fn send(&mut self, text: &str) -> Vec<Effect> {
        let text = text.trim();
        if !self.can_send() || text.is_empty() {
            return Vec::new();
        }
        self.last_key += 1;
        let number = self.chats.open.turns.last().map_or(0, |turn| turn.number) + 1;
        let turn = Turn {
            key: self.last_key,
            number,
            question: text.to_owned(),
            asked_millis: self.clock.wall_millis,
            seed: self.random.seed(),
            answer: Answer::default(),
        };
        self.chats.open.turns.push(turn);
        self.generate()
    }

    /// Has the last turn answered, behind whatever of its answer is there.
    pub(super) fn generate(&mut self) -> Vec<Effect> {
        let Some(turn) = self.chats.open.turns.last() else {
            return Vec::new();
        };
        let suggested = self.engine.model.as_ref().and_then(|model| model.sampling);
        let job = Generate {
            messages: turn::messages(&self.chats.open.head.system_prompt, &self.chats.open.turns),
            sampling: self.switches.sampling(suggested, turn.seed),
            max_tokens: self.switches.max_tokens,
            resume: turn.answer.ids.clone(),
        };
        let id = self.engine.next_id();
        self.engine.request = Some(id);
        self.engine.phase = Phase::Answering;
        self.engine.fault = None;
        vec![Effect::Post(Request::Generate { id, job })]
    }

    fn stop(&mut self) -> Vec<Effect> {
        if self.engine.phase != Phase::Answering || self.engine.stopping {
            return Vec::new();
        }
        match self.engine.request {
            Some(id) if self.engine.greeted && self.engine.model.is_some() => {
                self.engine.stopping = true;
                vec![Effect::Post(Request::Cancel { id })]
            }
            // A dead worker is being replaced: there is nobody to ask, and nothing to wait for.
            _ => {
                self.end_answer(Finish::Cancelled);
                self.engine.phase = if self.engine.greeted {
                    Phase::Loading
                } else {
                    Phase::Starting
                };
                Vec::new()
            }
        }
    }

    pub(super) fn retry(&mut self) -> Vec<Effect> {
        match self.engine.phase {
            Phase::Failed => {
                self.engine.fault = None;
                self.engine.restarts = 0;
                if self.engine.greeted {
                    self.load()
                } else {
                    self.engine.phase = Phase::Starting;
                    vec![Effect::Spawn]
                }
            }
            Phase::Ready if self.engine.fault.is_some() => {
                self.engine.fault = None;
                match self.chats.open.turns.last_mut() {
                    Some(turn) if turn.answer.finish == Some(Finish::Failed) => {
                        turn.answer.finish = None;
                        self.generate()
                    }
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn check(&mut self, key: u32, check: Check) -> Vec<Effect> {
        if self.engine.phase != Phase::Ready {
            let detail = format!("a check needs the state ready, got {}", self.name());
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
        })]
    }

    /// Ends the running answer, if there is one.
    pub(super) fn end_answer(&mut self, finish: Finish) {
        self.engine.stopping = false;
        self.engine.recovering = false;
        if let Some(turn) = self.chats.open.turns.last_mut()
            && turn.answer.finish.is_none()
        {
            turn.answer.finish = Some(finish);
            turn.answer.prefill = None;
        }
    }
}
