//! The page's state, its worker, its database and a clock, and what must be true of them at any moment.

use std::collections::BTreeMap;

use app::{Action, Change, ChatId, DbEvent, DbRequest, Effect, Finish, Phase, State, Turn};
use protocol::supervisor::Policy;
use protocol::{Event, Request, RequestId};

use super::worker::{Failure, Worker, text, undisturbed};
use crate::support::{clock, new};

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The worker works for so many moments.
    Work(u32),
    /// The worker says what it has made.
    Flush,
    /// The page hears so much of what the worker has said.
    Hear(u32),
    /// So many half seconds pass.
    Pass(u32),
    Break(Failure),
    /// The browser reports an error of the worker.
    Error,
    /// Something comes from a worker that was ended.
    Late(usize),
    Ask,
    Stop,
    Continue,
    Regenerate,
    NewChat,
    OpenChat(usize),
    Retry,
    Hide(bool),
}

/// What a page with a bug would do; each must be noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// An answer goes on behind one token less than was accepted.
    ResumesShort,
    /// An answer goes on with another seed.
    ForgetsSeed,
    /// What belongs to an earlier request is taken for the present one.
    TakesStaleTokens,
    /// A batch is taken twice.
    TakesTokensTwice,
    /// A batch is not taken.
    LosesTokens,
    /// A worker that is to be ended lives on.
    KeepsWorkers,
}

/// What was last seen of an answer.
#[derive(Debug, Clone)]
struct Seen {
    n_ids: usize,
    finish: Option<Finish>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) state: State,
    live: Option<Worker>,
    /// What workers said that were ended before anybody heard it.
    late: Vec<Event>,
    half_seconds: u32,
    /// When workers were started, in milliseconds.
    spawns: Vec<u64>,
    /// By chat, number and seed: another seed is another answer to the same question.
    seen: BTreeMap<(ChatId, u32, u32), Seen>,
    stored: BTreeMap<(ChatId, u32), Turn>,
    n_asked: u32,
    /// What happened last, but for the database's answers.
    deed: Option<Action>,
    /// The person wanted the running answer to end.
    is_stopped: bool,
    mistake: Option<Mistake>,
    /// The request of the running answer.
    last_request: Option<RequestId>,
    /// Answers that began, and that ended.
    pub(super) n_begun: u32,
    pub(super) n_ended: u32,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(None)
    }

    pub(super) fn with(mistake: Option<Mistake>) -> Self {
        Self {
            state: new(),
            live: Some(Worker::new()),
            late: Vec::new(),
            half_seconds: 0,
            spawns: vec![0],
            seen: BTreeMap::new(),
            stored: BTreeMap::new(),
            n_asked: 0,
            deed: None,
            is_stopped: false,
            mistake,
            last_request: None,
            n_begun: 0,
            n_ended: 0,
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Work(moments) => (0..moments).for_each(|_| self.working(Worker::step)),
            Step::Flush => self.working(Worker::flush),
            Step::Hear(n) => (0..n).for_each(|_| self.hear()),
            Step::Pass(half_seconds) => (0..half_seconds).for_each(|_| self.pass()),
            Step::Break(failure) => self.working(|worker| worker.break_by(failure)),
            Step::Error if self.live.is_some() => {
                self.act(Action::WorkerError("scripted".into()));
            }
            Step::Error => {}
            Step::Late(index) => {
                if let Some(event) = self.late.get(index % self.late.len().max(1)).cloned() {
                    self.act(Action::Event(event));
                }
            }
            Step::Ask => {
                self.n_asked += 1;
                let text = format!("question {}", self.n_asked);
                self.act(Action::Send { text });
            }
            Step::Stop => {
                self.is_stopped |= self.is_running();
                self.act(Action::Stop);
            }
            Step::Continue => self.act(Action::Continue),
            Step::Regenerate => self.act(Action::Regenerate),
            // Nobody looks, and the database rests.
            Step::NewChat | Step::OpenChat(_) if self.state.environment.hidden => {}
            Step::NewChat => self.act(Action::NewChat),
            Step::OpenChat(index) => {
                if let Some(id) = self.state.chats.list.get(index).map(|head| head.id) {
                    self.act(Action::OpenChat(id));
                }
            }
            Step::Retry => self.act(Action::Retry),
            Step::Hide(hidden) => self.act(Action::Visibility { hidden }),
        }
    }

    fn working(&mut self, what: impl FnOnce(&mut Worker)) {
        if let Some(worker) = self.live.as_mut() {
            what(worker);
        }
    }

    fn hear(&mut self) {
        let said = self
            .live
            .as_mut()
            .and_then(|worker| worker.said.pop_front());
        let Some(mut event) = said else { return };
        if let Event::Tokens { id, .. } = &mut event {
            match self.mistake {
                Some(Mistake::LosesTokens) => return,
                Some(Mistake::TakesStaleTokens) => *id = self.last_request.unwrap_or(*id),
                Some(Mistake::TakesTokensTwice) => self.act(Action::Event(event.clone())),
                _ => {}
            }
        }
        self.act(Action::Event(event));
    }

    fn pass(&mut self) {
        self.half_seconds += 1;
        if self.live.as_ref().is_some_and(Worker::beats) {
            self.act(Action::Event(Event::Beat));
        }
        self.act(Action::Tick(clock(f64::from(self.half_seconds) / 2.0)));
    }

    fn act(&mut self, action: Action) {
        // Whoever asks again no longer wants what was wanted before.
        self.is_stopped &= self.is_running() || !begins(&action);
        if !matches!(action, Action::Db(_)) {
            self.deed = Some(action.clone());
        }
        let effects = self.state.on(action);
        let answers: Vec<DbEvent> = effects
            .into_iter()
            .filter_map(|effect| self.perform(effect))
            .collect();
        let open = self.state.chats.open.clone();
        for turn in &open.turns {
            self.look_at(open.head.id, turn);
        }
        if answers.is_empty() {
            self.look_at_others(open.head.id);
        }
        for answer in answers {
            self.act(Action::Db(answer));
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<DbEvent> {
        match effect {
            Effect::Spawn => {
                assert!(self.live.is_none(), "two live workers");
                assert!(!self.state.environment.hidden, "a worker for nobody");
                self.live = Some(Worker::new());
                self.count_spawn();
            }
            Effect::Terminate if self.mistake == Some(Mistake::KeepsWorkers) => {}
            Effect::Terminate => {
                let worker = self.live.take().expect("a worker to end");
                // Words without a number can't be told from those of the next worker: the page's bridge keeps them off.
                let numbered = worker.said.into_iter().filter(|event| event.id().is_some());
                self.late.extend(numbered);
            }
            Effect::Retire => {
                let worker = self.live.as_mut().expect("a worker to retire");
                worker.hear(Request::Retire);
            }
            Effect::Post(request) => self.post(request),
            Effect::Db(DbRequest::Write(changes)) => {
                changes.into_iter().for_each(|change| self.store(change));
                return Some(DbEvent::Written);
            }
            Effect::Db(DbRequest::ReadTurns(chat)) => {
                let range = (chat, 0)..=(chat, u32::MAX);
                let turns = self.stored.range(range).map(|(_, turn)| turn.clone());
                let turns = turns.collect();
                return Some(DbEvent::Turns { chat, turns });
            }
            _ => {}
        }
        None
    }

    fn count_spawn(&mut self) {
        let now = u64::from(self.half_seconds) * 500;
        self.spawns.push(now);
        let policy = Policy::default();
        let recent = self.spawns.iter();
        let recent = recent.filter(|at| **at + policy.window_millis >= now);
        assert!(recent.count() <= policy.max_spawns, "too many workers");
    }

    fn post(&mut self, mut request: Request) {
        if let Request::Generate { id, job } = &mut request {
            assert!(!self.is_stopped, "an answer that was stopped goes on");
            self.last_request = Some(*id);
            match self.mistake {
                Some(Mistake::ResumesShort) => drop(job.resume.pop()),
                Some(Mistake::ForgetsSeed) if !job.resume.is_empty() => job.sampling.seed ^= 1,
                _ => {}
            }
        }
        let worker = self.live.as_mut().expect("a worker to ask");
        worker.hear(request);
    }

    fn store(&mut self, change: Change) {
        match change {
            Change::PutTurn { chat, turn } => drop(self.stored.insert((chat, turn.number), turn)),
            Change::DeleteTurnsFrom { chat, number } => {
                self.stored
                    .retain(|(of, at), _| *of != chat || *at < number);
            }
            _ => {}
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.state.engine.phase, Phase::Answering | Phase::Paused)
    }

    /// Looks at the chats that are not open, once everything is stored.
    fn look_at_others(&mut self, open: ChatId) {
        let others = self.stored.iter().filter(|((chat, _), _)| *chat != open);
        for ((chat, _), turn) in others
            .map(|(key, turn)| (*key, turn.clone()))
            .collect::<Vec<_>>()
        {
            self.look_at(chat, &turn);
        }
    }

    /// What must be true of an answer at any moment.
    fn look_at(&mut self, chat: ChatId, turn: &Turn) {
        let answer = &turn.answer;
        let expected = undisturbed(&turn.question, turn.seed);
        assert!(
            expected.starts_with(&answer.ids),
            "tokens lost or doubled: {:?} of {expected:?}",
            answer.ids
        );
        assert_eq!(answer.text, text(&answer.ids), "the text of other tokens");
        if answer.finish == Some(Finish::Stop) {
            assert_eq!(answer.ids, expected, "the end is missing");
        }
        let key = (chat, turn.number, turn.seed);
        let begins = self.deed.as_ref().is_some_and(begins);
        let before = self.seen.get(&key).cloned();
        let was_running = match &before {
            None => {
                assert!(begins, "an answer that nobody asked for");
                self.begin();
                true
            }
            Some(seen) if seen.finish.is_some() && answer.finish.is_none() => {
                assert!(begins, "an answer goes on behind its end");
                self.begin();
                true
            }
            Some(seen) => seen.finish.is_none(),
        };
        if let Some(seen) = &before {
            assert!(answer.ids.len() >= seen.n_ids, "accepted tokens are gone");
            let is_same = answer.ids.len() == seen.n_ids && answer.finish == seen.finish;
            assert!(was_running || is_same, "something comes behind the end");
        }
        if was_running && let Some(finish) = answer.finish {
            self.n_ended += 1;
            self.check_end(finish);
        }
        let seen = Seen {
            n_ids: answer.ids.len(),
            finish: answer.finish,
        };
        self.seen.insert(key, seen);
    }

    fn begin(&mut self) {
        self.n_begun += 1;
    }

    /// An answer ends as something made it end.
    fn check_end(&self, finish: Finish) {
        let is_called_for = match finish {
            Finish::Stop => true,
            Finish::Cancelled => self.is_stopped,
            Finish::Interrupted => {
                matches!(self.deed, Some(Action::NewChat | Action::OpenChat(_)))
            }
            Finish::Failed => self.state.engine.phase == Phase::Failed,
            Finish::Length | Finish::Context => false,
        };
        assert!(is_called_for, "{finish:?} behind {:?}", self.deed);
    }

    /// Nothing fails any more, and the person wants the answer: whatever goes on comes to an end, and the disk has all of it.
    pub(super) fn settle(&mut self) {
        self.step(Step::Hide(false));
        for _ in 0..2_000 {
            self.step(Step::Hear(10));
            self.step(Step::Work(3));
            if self.state.name() == "failed" {
                self.step(Step::Retry);
            }
            self.step(Step::Pass(1));
            let is_quiet = self
                .live
                .as_ref()
                .is_some_and(|worker| worker.said.is_empty());
            if self.state.name() == "ready" && is_quiet {
                break;
            }
        }
        assert_eq!(
            self.state.name(),
            "ready",
            "{}",
            self.state.recorder().to_text()
        );
        assert_eq!(self.n_begun, self.n_ended, "an answer that never ends");
        let chat = self.state.chats.open.head.id;
        for turn in &self.state.chats.open.turns {
            let stored = &self.stored[&(chat, turn.number)].answer;
            assert_eq!(
                (&stored.ids, stored.finish),
                (&turn.answer.ids, turn.answer.finish),
                "not what is stored"
            );
        }
    }
}

/// Whether an answer may begin, or go on behind its end, by this.
fn begins(action: &Action) -> bool {
    matches!(
        action,
        Action::Send { .. } | Action::Regenerate | Action::Continue | Action::Retry
    )
}
