//! What a person asks to know a device: is it sound, how fast is it, and does the app survive its loss.

use protocol::{
    BenchmarkReport, BenchmarkStep, Fault, FaultCode, Outcome, Request, RequestId, SelfTestReport,
};

use super::transfer::date;
use super::{Action, Effect, Phase, Screen, State, Step};
use crate::facts;

/// What was found out on request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diagnosis {
    /// What is being tried.
    pub running: Option<Trial>,
    /// How far the benchmark is.
    pub progress: Option<Progress>,
    /// What the last self-test on request gave.
    pub self_test: Option<Result<SelfTestReport, Fault>>,
    /// What the last benchmark gave.
    pub benchmark: Option<Result<BenchmarkReport, Fault>>,
    /// The request behind `running`.
    request: Option<RequestId>,
    /// Whether device and storage were asked about since the page was opened.
    has_asked: bool,
    /// Where "Done" leads.
    back: Screen,
}

/// What is tried on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// The numeric self-test.
    SelfTest,
    /// The benchmark.
    Benchmark,
}

/// How far a benchmark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being measured.
    pub step: BenchmarkStep,
    /// Tokens that are done.
    pub done: u32,
    /// Most tokens of this step.
    pub total: u32,
}

impl State {
    pub(super) fn on_diagnosis(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::OpenDiagnostics | Action::Address { diagnostics: true } => {
                self.open_diagnostics();
            }
            Action::CloseDiagnostics | Action::Address { diagnostics: false }
                if self.screen == Screen::Diagnostics =>
            {
                self.screen = self.diagnosis.back;
            }
            Action::Try(trial) => return self.begin_trial(trial),
            Action::CancelTrial => return self.cancel_trial(),
            Action::LoseDevice if self.can_lose_device() => {
                self.note_now("the device is destroyed on request");
                return vec![Effect::Post(Request::LoseDevice)];
            }
            Action::SaveDiagnosis => {
                return vec![Effect::SaveFile {
                    name: format!("tern-diagnostics-{}.txt", date(self.clock.wall_millis)),
                    mime: "text/plain",
                    text: facts::text(self),
                }];
            }
            _ => {}
        }
        Vec::new()
    }

    fn open_diagnostics(&mut self) {
        if self.screen != Screen::Diagnostics {
            self.diagnosis.back = self.screen;
            self.diagnosis.has_asked = false;
            self.screen = Screen::Diagnostics;
        }
    }

    /// Whether something can be tried now: the worker is there and does nothing else.
    #[must_use]
    pub fn can_try(&self) -> bool {
        let engine = &self.engine;
        engine.greeted
            && engine.request.is_none()
            && engine.checks.is_empty()
            && engine.supervisor.is_listening()
            && self.diagnosis.running.is_none()
            && matches!(engine.phase, Phase::Ready | Phase::Offer | Phase::Failed)
    }

    /// Whether there is a device to be lost.
    #[must_use]
    pub const fn can_lose_device(&self) -> bool {
        self.engine.model.is_some() && self.engine.supervisor.is_listening()
    }

    /// The last self-test: on request, or else that of the loaded model's device.
    #[must_use]
    pub fn last_self_test(&self) -> Option<Result<&SelfTestReport, &Fault>> {
        let own = self.diagnosis.self_test.as_ref();
        let of_model = || self.engine.model.as_ref().map(|model| Ok(&model.self_test));
        own.map(Result::as_ref).or_else(of_model)
    }

    fn begin_trial(&mut self, trial: Trial) -> Vec<Effect> {
        if !self.can_try() {
            return Vec::new();
        }
        let id = self.engine.next_id();
        let settings = self.settings();
        self.diagnosis.running = Some(trial);
        self.diagnosis.request = Some(id);
        self.diagnosis.progress = None;
        vec![Effect::Post(match trial {
            Trial::SelfTest => {
                self.diagnosis.self_test = None;
                Request::SelfTest { id, settings }
            }
            Trial::Benchmark => {
                self.diagnosis.benchmark = None;
                // The first tokens of a model are as much of a risk here as in an answer.
                if self.engine.model.is_some() && !self.has_answered {
                    self.mark(Step::FirstToken);
                }
                Request::Benchmark { id, settings }
            }
        })]
    }

    /// What runs on request makes room for what matters more.
    pub(super) fn cancel_trial(&self) -> Vec<Effect> {
        let id = self.diagnosis.request;
        id.map(|id| Effect::Post(Request::Cancel { id }))
            .into_iter()
            .collect()
    }

    pub(super) fn on_measuring(&mut self, id: RequestId, progress: Progress) {
        if self.diagnosis.request == Some(id) {
            self.diagnosis.progress = Some(progress);
        }
    }

    /// The trial behind this request, which is over.
    pub(super) fn take_trial(&mut self, id: RequestId) -> Option<Trial> {
        self.diagnosis.request.take_if(|request| *request == id)?;
        self.diagnosis.progress = None;
        self.diagnosis.running.take()
    }

    pub(super) fn on_trial(&mut self, trial: Trial, result: Result<Outcome, Fault>) {
        match (trial, result) {
            (_, Ok(Outcome::Cancelled)) => {}
            (Trial::SelfTest, Ok(Outcome::Tested(report))) => {
                self.note_self_test(&report);
                self.diagnosis.self_test = Some(Ok(report));
            }
            (Trial::Benchmark, Ok(Outcome::Measured(report))) => {
                if !report.is_made_up {
                    self.has_worked();
                }
                self.note(&format!(
                    "benchmark of {}: prompts {:.1} tokens/s, answers {:.1} tokens/s",
                    report.model,
                    report.prefill_speed(),
                    report.decode_speed()
                ));
                self.diagnosis.benchmark = Some(Ok(report));
            }
            (trial, Ok(other)) => {
                let detail = format!("the worker answered {other:?}");
                self.failed_trial(trial, Fault::new(FaultCode::BadRequest, detail));
            }
            (trial, Err(fault)) => self.failed_trial(trial, fault),
        }
        self.unmark_answer();
    }

    fn failed_trial(&mut self, trial: Trial, fault: Fault) {
        let what = match trial {
            Trial::SelfTest => "self-test",
            Trial::Benchmark => "benchmark",
        };
        let (code, detail) = (fault.code, &fault.detail);
        self.note(&format!("{what} failed: {code:?}, {detail}"));
        match trial {
            Trial::SelfTest => self.diagnosis.self_test = Some(Err(fault)),
            Trial::Benchmark => self.diagnosis.benchmark = Some(Err(fault)),
        }
    }

    /// What was being tried ends with its worker. A lost device alone does not: the worker still says what came of it.
    pub(super) fn end_trial(&mut self) {
        self.diagnosis.request = None;
        self.diagnosis.progress = None;
        if let Some(trial) = self.diagnosis.running.take() {
            let ended = || Fault::new(FaultCode::BadRequest, "the worker was ended meanwhile");
            let fault = self.engine.loss.clone().unwrap_or_else(ended);
            self.failed_trial(trial, fault);
        }
    }

    /// Asks once for what the diagnostics show and nobody has asked for yet, as soon as that disturbs nothing.
    pub(super) fn with_questions(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        let wants = self.screen == Screen::Diagnostics && !self.diagnosis.has_asked;
        if !wants || !self.can_try() {
            return effects;
        }
        self.diagnosis.has_asked = true;
        effects.push(Effect::AskPersisted);
        effects.extend(self.ask_storage());
        if self.engine.device.is_none() {
            let id = self.engine.next_id();
            effects.push(Effect::Post(Request::DescribeDevice { id }));
        }
        effects
    }

    /// Keeps the address in step with the screen, so that the diagnostics have a link, and "back" leads out of them.
    pub(super) fn with_address(&self, before: Screen, mut effects: Vec<Effect>) -> Vec<Effect> {
        let is_shown = self.screen == Screen::Diagnostics;
        if is_shown != (before == Screen::Diagnostics) {
            effects.push(Effect::Address {
                diagnostics: is_shown,
            });
        }
        effects
    }
}
