//! The state and how it changes.

mod turn;
mod worker;

use protocol::{
    DeviceReport, Fault, FaultCode, Generate, LoadProgress, ModelInfo, Outcome, Request, RequestId,
    Retry,
};

pub use turn::{Answer, Finish, Turn};

use crate::{Switches, strings};

/// How often a dead worker is replaced without an answer or a loaded model in between.
const MAX_RESTARTS: u32 = 3;
/// Ticks (seconds of a running page) without a word from the worker after which it counts as dead. Long enough for a slow
/// device to compile the worker itself.
const MAX_SILENT_TICKS: u32 = 90;

/// Everything that the page knows.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What is going on.
    pub phase: Phase,
    /// The conversation.
    pub turns: Vec<Turn>,
    /// What went wrong last, until the person goes on.
    pub fault: Option<Fault>,
    /// How far loading is.
    pub progress: Option<LoadProgress>,
    /// The loaded model.
    pub model: Option<ModelInfo>,
    /// What the worker runs on.
    pub device: Option<DeviceReport>,
    /// Whether a lost device or a dead worker is being replaced.
    pub recovering: bool,
    /// Whether a file is being fetched again.
    pub network_trouble: bool,
    switches: Switches,
    model_url: String,
    last_id: u32,
    last_key: u32,
    /// The load or the answer that the worker works on.
    request: Option<RequestId>,
    checks: Vec<(RequestId, u32)>,
    /// Whether the worker and the page have greeted each other.
    greeted: bool,
    /// Whether the person wants the running answer to end.
    stopping: bool,
    silent_ticks: u32,
    restarts: u32,
}

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The worker has not spoken yet.
    Starting,
    /// The model is being loaded.
    Loading,
    /// A question can be asked.
    Ready,
    /// A question is being answered; a lost device or a dead worker may be replaced meanwhile.
    Answering,
    /// Nothing goes on until the person does something.
    Failed,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The worker said something.
    Event(protocol::Event),
    /// The worker failed outside its own code, in the browser's words.
    WorkerError(String),
    /// A second of the page's life went by.
    Tick,
    /// The person asks.
    Send {
        /// The question.
        text: String,
        /// A random number.
        seed: u32,
    },
    /// The person wants the answer to end.
    Stop,
    /// The person forgets the conversation.
    NewChat,
    /// The person wants another try after a failure.
    Retry,
    /// A test wants a check.
    Check {
        /// Number under which it wants the result.
        key: u32,
        /// Which one.
        check: Check,
    },
}

/// A check inside the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Compile every kernel in every variant.
    Variants,
    /// Compare prefill with decode.
    Prefill {
        /// Prompt lengths.
        lengths: Vec<u32>,
        /// Where the cache is cut.
        truncate: u32,
    },
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start a worker. One that is there is ended first, and nothing that it still says is heard.
    Spawn,
    /// End the worker.
    Terminate,
    /// Send a request to the worker.
    Post(Request),
    /// Give the result of a check to whoever asked.
    Settle {
        /// Its number.
        key: u32,
        /// The result.
        result: Result<Box<Outcome>, Fault>,
    },
}

impl State {
    /// The state of a page that was just opened, and what it does first. `model_url` is the absolute URL of the package.
    #[must_use]
    pub fn new(switches: Switches, model_url: String) -> (Self, Vec<Effect>) {
        let state = Self {
            phase: Phase::Starting,
            turns: Vec::new(),
            fault: None,
            progress: None,
            model: None,
            device: None,
            recovering: false,
            network_trouble: false,
            switches,
            model_url,
            last_id: 0,
            last_key: 0,
            request: None,
            checks: Vec::new(),
            greeted: false,
            stopping: false,
            silent_ticks: 0,
            restarts: 0,
        };
        (state, vec![Effect::Spawn])
    }

    /// Takes what happened and says what to do.
    #[must_use]
    pub fn on(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Event(event) => self.on_event(event),
            Action::WorkerError(detail) => self.replace_worker(Fault::new(FaultCode::Trap, detail)),
            Action::Tick => self.tick(),
            Action::Send { text, seed } => self.send(&text, seed),
            Action::Stop => self.stop(),
            Action::NewChat => {
                if matches!(self.phase, Phase::Ready | Phase::Failed) {
                    self.turns.clear();
                    if self.phase == Phase::Ready {
                        self.fault = None;
                    }
                }
                Vec::new()
            }
            Action::Retry => self.retry(),
            Action::Check { key, check } => self.check(key, check),
        }
    }

    /// The turn that is being answered.
    #[must_use]
    pub fn running(&self) -> Option<&Turn> {
        self.turns
            .last()
            .filter(|turn| turn.answer.finish.is_none())
    }

    /// A turn by its key.
    #[must_use]
    pub fn turn(&self, key: u32) -> Option<&Turn> {
        self.turns.iter().find(|turn| turn.key == key)
    }

    /// One line on what is going on.
    #[must_use]
    pub fn status(&self) -> String {
        let trouble = |line: String| {
            if self.network_trouble {
                strings::NETWORK_TROUBLE.to_owned()
            } else {
                line
            }
        };
        match self.phase {
            Phase::Starting if self.recovering => strings::RESTARTING.to_owned(),
            Phase::Starting => strings::STARTING.to_owned(),
            Phase::Loading => trouble(strings::loading(self.progress)),
            Phase::Ready => self.model.as_ref().map_or_else(
                || strings::READY.to_owned(),
                |model| strings::ready(&model.name),
            ),
            Phase::Answering if self.recovering => trouble(strings::RECOVERING.to_owned()),
            Phase::Answering => match self.running().map(|turn| &turn.answer) {
                Some(Answer {
                    prefill: Some((done, total)),
                    ..
                }) => strings::prefill(*done, *total),
                Some(answer) if answer.ids.is_empty() => strings::THINKING.to_owned(),
                _ => strings::ANSWERING.to_owned(),
            },
            Phase::Failed => strings::FAILED.to_owned(),
        }
    }

    /// The state's name for tests.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.phase {
            Phase::Failed => "failed",
            Phase::Answering | Phase::Starting | Phase::Loading if self.recovering => "recovering",
            Phase::Starting | Phase::Loading => "loading",
            Phase::Ready => "ready",
            Phase::Answering => "busy",
        }
    }

    /// What the person may do about [`State::fault`], if anything.
    #[must_use]
    pub fn advice(&self) -> Option<Retry> {
        self.fault
            .as_ref()
            .map(|fault| fault.retry)
            .filter(|retry| *retry != Retry::Never)
    }

    fn next_id(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }

    fn send(&mut self, text: &str, seed: u32) -> Vec<Effect> {
        let text = text.trim();
        if self.phase != Phase::Ready || text.is_empty() {
            return Vec::new();
        }
        self.last_key += 1;
        self.turns.push(Turn {
            key: self.last_key,
            question: text.to_owned(),
            seed,
            answer: Answer::default(),
        });
        self.generate()
    }

    /// Has the last turn answered, behind whatever of its answer is there.
    fn generate(&mut self) -> Vec<Effect> {
        let Some(turn) = self.turns.last() else {
            return Vec::new();
        };
        let suggested = self.model.as_ref().and_then(|model| model.sampling);
        let job = Generate {
            messages: turn::messages(&self.turns),
            sampling: self.switches.sampling(suggested, turn.seed),
            max_tokens: self.switches.max_tokens,
            resume: turn.answer.ids.clone(),
        };
        let id = self.next_id();
        self.request = Some(id);
        self.phase = Phase::Answering;
        self.fault = None;
        vec![Effect::Post(Request::Generate { id, job })]
    }

    fn stop(&mut self) -> Vec<Effect> {
        if self.phase != Phase::Answering || self.stopping {
            return Vec::new();
        }
        match self.request {
            Some(id) if self.greeted && self.model.is_some() => {
                self.stopping = true;
                vec![Effect::Post(Request::Cancel { id })]
            }
            // A dead worker is being replaced: there is nobody to ask, and nothing to wait for.
            _ => {
                self.end_answer(Finish::Cancelled);
                self.phase = if self.greeted {
                    Phase::Loading
                } else {
                    Phase::Starting
                };
                Vec::new()
            }
        }
    }

    fn retry(&mut self) -> Vec<Effect> {
        match self.phase {
            Phase::Failed => {
                self.fault = None;
                self.restarts = 0;
                if self.greeted {
                    self.load()
                } else {
                    self.phase = Phase::Starting;
                    vec![Effect::Spawn]
                }
            }
            Phase::Ready if self.fault.is_some() => {
                self.fault = None;
                match self.turns.last_mut() {
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

    fn check(&mut self, key: u32, check: Check) -> Vec<Effect> {
        if self.phase != Phase::Ready {
            let detail = format!("a check needs the state ready, got {}", self.name());
            return vec![Effect::Settle {
                key,
                result: Err(Fault::new(FaultCode::BadRequest, detail)),
            }];
        }
        let id = self.next_id();
        self.checks.push((id, key));
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
    fn end_answer(&mut self, finish: Finish) {
        self.stopping = false;
        self.recovering = false;
        if let Some(turn) = self.turns.last_mut()
            && turn.answer.finish.is_none()
        {
            turn.answer.finish = Some(finish);
            turn.answer.prefill = None;
        }
    }
}
