//! What the worker says.

use protocol::{Event, Fault, FaultCode, Hello, Outcome, Request, RequestId, Status};

use protocol::supervisor::{self, Cause};

use super::engine::Job;
use super::supervise::cause;
use super::{Answer, Effect, Finish, Look, Notice, Phase, Progress, State};

impl State {
    pub(super) fn on_event(&mut self, event: Event) -> Vec<Effect> {
        let generation = self.engine.supervisor.generation();
        if event == Event::Retired {
            return self.supervise(supervisor::Event::Retired(generation));
        }
        // What a worker says that is being replaced or ended no longer counts.
        if !self.engine.supervisor.is_listening() {
            return Vec::new();
        }
        let mut effects = self.supervise(supervisor::Event::Heard(generation));
        effects.extend(self.on_word(event));
        effects
    }

    fn on_word(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Hello(hello) => return self.on_hello(&hello),
            Event::Beat | Event::Retired => {}
            Event::Trap { text } => {
                return self.lost(Cause::Trap, Fault::new(FaultCode::Trap, text));
            }
            Event::Status(Status::DeviceLost { detail }) => {
                return self.lost(Cause::Device, Fault::new(FaultCode::DeviceLost, detail));
            }
            Event::Status(Status::FetchRetry {
                file,
                attempt,
                trouble,
                wait_millis,
            }) => {
                self.engine.trouble = Some(trouble);
                self.engine.trouble_until = self.clock.steady_millis + f64::from(wait_millis);
                self.note(&format!(
                    "{file} is fetched again in {wait_millis} ms, attempt {attempt}: {trouble:?}"
                ));
            }
            // It may come late, for a load that was given up.
            Event::Status(Status::DownloadPaused) => {
                let is_loading = self.engine.request.is_some() && self.engine.job == Job::Load;
                self.engine.download_paused = is_loading;
            }
            Event::Status(Status::Tuned { detail }) => {
                self.note(&format!("kernels for the next start: {detail}"));
            }
            Event::Status(Status::DownloadResumed) => self.engine.download_paused = false,
            Event::Loading { id, progress } => self.on_load_progress(id, progress),
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
                    self.has_worked();
                    self.note_recovered("the answer goes on");
                    let mut effects = self.supervise(supervisor::Event::Accepted);
                    effects.extend(self.announce(false));
                    return effects;
                }
            }
            Event::Slowdown {
                id,
                is_slow,
                percent,
            } => self.on_slowdown(id, is_slow, percent),
            Event::Measuring {
                id,
                step,
                done,
                total,
            } => self.on_measuring(id, Progress { step, done, total }),
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

    /// The running answer comes slower than it could, or no longer.
    fn on_slowdown(&mut self, id: RequestId, is_slow: bool, percent: u32) {
        if self.answer_of(id).is_none() {
            return;
        }
        self.engine.slowed = is_slow.then_some(id);
        let what = if is_slow { "slow" } else { "fast again" };
        self.note(&format!(
            "the device is {what}: {percent} % of its usual rate"
        ));
    }

    fn on_hello(&mut self, hello: &Hello) -> Vec<Effect> {
        if let Err(fault) = hello.check() {
            // What the page shows if that does not help.
            self.fail(fault);
            let mut effects = self.supervise(supervisor::Event::Discard);
            effects.push(Effect::Heal);
            return effects;
        }
        self.engine.greeted = true;
        let generation = self.engine.supervisor.generation();
        let mut effects = vec![Effect::Post(Request::Hello(Hello::own()))];
        effects.extend(self.supervise(supervisor::Event::Greeted(generation)));
        effects.extend(self.tell_rate());
        let deletion = self.engine.deletion.take();
        // A model that is deleted is looked at again behind that.
        if deletion.as_ref() != Some(&self.model_url) {
            effects.extend(self.begin());
        }
        effects.extend(deletion.into_iter().flat_map(|url| self.post_deletion(url)));
        effects
    }

    fn on_finished(&mut self, id: RequestId, outcome: Box<Outcome>) -> Vec<Effect> {
        if let Some(key) = self.take_check(id) {
            return vec![Effect::Settle {
                key,
                result: Ok(outcome),
            }];
        }
        if let Some(work) = self.take_work(id) {
            return self.on_worked(work, Ok(*outcome));
        }
        if let Some(chore) = self.take_chore(id) {
            return self.on_chore(chore, Ok(*outcome));
        }
        if let Some(trial) = self.take_trial(id) {
            self.on_trial(trial, Ok(*outcome));
            return Vec::new();
        }
        let is = |job: Job| self.engine.request == Some(id) && self.engine.job == job;
        match *outcome {
            Outcome::Described(report) => {
                self.learn_from_device(&report);
                self.engine.device = Some(report);
            }
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
        if let Some(work) = id.and_then(|id| self.take_work(id)) {
            return self.on_worked(work, Err(fault));
        }
        if let Some(chore) = id.and_then(|id| self.take_chore(id)) {
            return self.on_chore(chore, Err(fault));
        }
        if let Some(trial) = id.and_then(|id| self.take_trial(id)) {
            self.on_trial(trial, Err(fault));
            return Vec::new();
        }
        if id.is_some() && id != self.engine.request {
            return Vec::new();
        }
        if id.is_some()
            && self.engine.job != Job::Inspect
            && let Some(cause) = cause(fault.code)
        {
            return self.lost(cause, fault);
        }
        let is_answer = self.engine.job == Job::Answer || self.engine.request.is_none();
        let is_loaded = self.engine.model.is_some() && is_answer;
        if !is_loaded || fault.code == FaultCode::VersionMismatch {
            // A page that begins again with such a model would end here again.
            let is_gone = fault.code == FaultCode::FilesGone;
            self.fail(fault);
            let forget = is_gone.then(|| Effect::ForgetModel(self.model_url.clone()));
            return forget.into_iter().collect();
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
        self.note_now(&format!("failed: {:?}, {}", fault.code, fault.detail));
        self.unmark();
        self.lost_at = None;
        self.engine.request = None;
        self.engine.recovering = false;
        self.end_progress();
        self.engine.download_paused = false;
        self.engine.phase = Phase::Failed;
        self.engine.fault = Some(fault);
    }

    /// The worker failed outside its own code.
    pub(super) fn worker_error(&mut self, detail: String) -> Vec<Effect> {
        self.lost(Cause::Worker, Fault::new(FaultCode::Trap, detail))
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
        self.engine.told_online = true;
        self.engine.told_rate = 0;
        self.engine.told_budget = None;
        self.engine.waits_for_database = false;
        self.engine.request = None;
        self.engine.model = None;
        self.engine.device = None;
        if self.saved_model().is_some() {
            let detail = super::notice::WORKER_REPLACED.to_owned();
            self.notice = Some(Notice::ExportFailed { detail });
        }
        self.engine.chores.clear();
        self.forget_work();
        self.engine.look.take_if(|look| *look == Look::Asking);
        self.end_trial();
        self.end_progress();
    }
}
