//! A worker as the page hears it, scripted after `worker/src`: what it says, in which order, and behind what it goes on. Its
//! model is a hash, so that a token lost, doubled or made with another seed changes all that follow.

use std::collections::{BTreeSet, VecDeque};

use protocol::{
    Event, Fault, FaultCode, FinishReason, Generate, Hello, Outcome, Request, RequestId, Status,
};

use crate::support::{answered, finished, info, offer, tokens};

/// What the worker says of a device whose numbers are none.
pub(super) const NONSENSE: &str = "the model produced non-finite logits";

/// How a worker or its device fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The device is lost.
    Device,
    /// The logits of the answer that is under way are not finite, for which the worker gives its device up.
    Nonsense,
    /// There is no adapter for the load that is under way.
    Adapter,
    /// There is not enough memory for the load that is under way.
    Memory,
    /// The worker panics.
    Trap,
    /// The worker never says anything again, and obeys nothing.
    Hang,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Works,
    Hangs,
    Ended,
}

#[derive(Debug)]
enum Work {
    Load(RequestId),
    Answer(Answer),
}

#[derive(Debug)]
struct Answer {
    id: RequestId,
    question: String,
    seed: u32,
    /// Resumed tokens and those that were made since.
    accepted: Vec<u32>,
    /// Made, but not said yet.
    batch: Vec<u32>,
    sequence: u32,
}

#[derive(Debug)]
pub(super) struct Worker {
    /// What it has said and the page has not heard yet.
    pub(super) said: VecDeque<Event>,
    inbox: VecDeque<Request>,
    cancelled: BTreeSet<RequestId>,
    health: Health,
    is_greeted: bool,
    has_device: bool,
    work: Option<Work>,
}

impl Worker {
    pub(super) fn new() -> Self {
        Self {
            said: [Event::Hello(Hello::own())].into(),
            inbox: VecDeque::new(),
            cancelled: BTreeSet::new(),
            health: Health::Works,
            is_greeted: false,
            has_device: false,
            work: None,
        }
    }

    pub(super) fn beats(&self) -> bool {
        self.health == Health::Works
    }

    pub(super) fn hear(&mut self, request: Request) {
        match request {
            _ if self.health != Health::Works => {}
            Request::Retire => {
                self.said.push_back(Event::Retired);
                self.health = Health::Ended;
            }
            Request::Cancel { id } => {
                self.cancelled.insert(id);
            }
            request => self.inbox.push_back(request),
        }
    }

    /// Works for a moment: takes a request, or goes on with the one that it has.
    pub(super) fn step(&mut self) {
        if self.health != Health::Works {
            return;
        }
        match self.work.take() {
            None => {
                if let Some(request) = self.inbox.pop_front() {
                    self.begin(request);
                }
            }
            Some(Work::Load(id)) if self.cancelled.contains(&id) => {
                self.said.push_back(finished(id, Outcome::Cancelled));
            }
            Some(Work::Load(id)) => {
                self.has_device = true;
                self.said.push_back(finished(id, Outcome::Loaded(info())));
            }
            Some(Work::Answer(mut answer)) => match self.next(&mut answer) {
                Some(reason) => {
                    self.say_batch(&mut answer);
                    self.said.push_back(answered(answer.id, reason));
                }
                None => self.work = Some(Work::Answer(answer)),
            },
        }
    }

    fn begin(&mut self, request: Request) {
        if let Request::Hello(_) = request {
            self.is_greeted = true;
            return;
        }
        let id = request.id().unwrap();
        assert!(self.is_greeted, "{request:?} comes before the greeting");
        if self.cancelled.contains(&id) {
            self.said.push_back(finished(id, Outcome::Cancelled));
            return;
        }
        match request {
            Request::Inspect { .. } => {
                let outcome = Outcome::Inspected(offer(true));
                self.said.push_back(finished(id, outcome));
            }
            Request::Load { .. } => {
                self.has_device = false;
                self.work = Some(Work::Load(id));
            }
            Request::Generate { job, .. } if self.has_device => {
                self.said.push_back(Event::Prefill {
                    id,
                    done: 1,
                    total: 1,
                });
                self.work = Some(Work::Answer(Answer::new(id, job)));
            }
            Request::Generate { .. } => self.fail(id, FaultCode::DeviceLost),
            // Of no consequence for answers.
            _ => self.fail(id, FaultCode::Gpu),
        }
    }

    /// Makes a token, or says why there is none.
    fn next(&self, answer: &mut Answer) -> Option<FinishReason> {
        if self.cancelled.contains(&answer.id) {
            return Some(FinishReason::Cancelled);
        }
        let Some(token) = next_token(&answer.question, answer.seed, &answer.accepted) else {
            return Some(FinishReason::Stop);
        };
        answer.accepted.push(token);
        answer.batch.push(token);
        None
    }

    /// The time of a batch is over.
    pub(super) fn flush(&mut self) {
        match self.work.take() {
            Some(Work::Answer(mut answer)) => {
                self.say_batch(&mut answer);
                self.work = Some(Work::Answer(answer));
            }
            work => self.work = work,
        }
    }

    fn say_batch(&mut self, answer: &mut Answer) {
        let ids = std::mem::take(&mut answer.batch);
        if !ids.is_empty() {
            let batch = tokens(answer.id, answer.sequence, &text(&ids), &ids);
            self.said.push_back(batch);
            answer.sequence += 1;
        }
    }

    pub(super) fn break_by(&mut self, failure: Failure) {
        if self.health != Health::Works {
            return;
        }
        match (failure, self.work.take()) {
            (Failure::Trap, _) => {
                self.said.push_back(Event::Trap {
                    text: "scripted".into(),
                });
                self.health = Health::Ended;
            }
            (Failure::Hang, work) => {
                self.work = work;
                self.health = Health::Hangs;
            }
            (Failure::Device, work) if self.has_device || work.is_some() => {
                self.lose(work, "scripted");
            }
            (Failure::Nonsense, work @ Some(Work::Answer(_))) => self.lose(work, NONSENSE),
            (Failure::Adapter, Some(Work::Load(id))) => self.fail(id, FaultCode::NoAdapter),
            (Failure::Memory, Some(Work::Load(id))) => self.fail(id, FaultCode::OutOfMemory),
            (_, work) => self.work = work,
        }
    }

    /// The device is gone. Nothing that was made is kept back, then the loss is told, then the request fails.
    fn lose(&mut self, work: Option<Work>, detail: &str) {
        self.has_device = false;
        let id = match work {
            None => None,
            Some(Work::Load(id)) => Some(id),
            Some(Work::Answer(mut answer)) => {
                self.say_batch(&mut answer);
                Some(answer.id)
            }
        };
        self.said.push_back(Event::Status(Status::DeviceLost {
            detail: detail.into(),
        }));
        if let Some(id) = id {
            self.fail(id, FaultCode::DeviceLost);
        }
    }

    fn fail(&mut self, id: RequestId, code: FaultCode) {
        self.said.push_back(Event::Failed {
            id: Some(id),
            fault: Fault::new(code, "scripted"),
        });
    }
}

impl Answer {
    fn new(id: RequestId, job: Generate) -> Self {
        Self {
            id,
            question: job.messages.last().unwrap().content.clone(),
            seed: job.sampling.seed,
            accepted: job.resume,
            batch: Vec::new(),
            sequence: 0,
        }
    }
}

/// The token behind these, unless the answer is complete.
fn next_token(question: &str, seed: u32, before: &[u32]) -> Option<u32> {
    let mix = |hash: u32, value: u32| (hash ^ value).wrapping_mul(0x0100_0193).rotate_left(5);
    let begin = question
        .bytes()
        .fold(seed, |hash, byte| mix(hash, byte.into()));
    let length = 3 + begin as usize % 30;
    let token = before.iter().fold(begin, |hash, token| mix(hash, *token));
    (before.len() < length).then_some(token % 1000)
}

/// The answer that nothing disturbs.
pub(super) fn undisturbed(question: &str, seed: u32) -> Vec<u32> {
    let mut ids = Vec::new();
    while let Some(token) = next_token(question, seed, &ids) {
        ids.push(token);
    }
    ids
}

/// The text of tokens.
pub(super) fn text(ids: &[u32]) -> String {
    ids.iter().map(|id| format!("{id} ")).collect()
}
