//! A scripted worker and a page around the supervisor, under virtual time and random events: how many workers there are, and
//! that whatever is lost comes to an end. What becomes of an answer's tokens is not for the supervisor to decide: that is
//! shown with the page's own state, in `app/tests/state/continuity`.

use proptest::prelude::*;
use protocol::supervisor::{Cause, Effect, Event, Phase, Policy, Supervisor};

/// A worker, as far as the supervisor can tell.
#[derive(Debug)]
struct Worker {
    generation: u32,
    /// Whether its event loop runs.
    is_alive: bool,
    is_greeted: bool,
    is_loading: bool,
    /// Whether it works on the answer.
    is_answering: bool,
    is_retiring: bool,
}

/// An answer that lacks so many tokens.
#[derive(Debug)]
struct Job {
    n_missing: u32,
}

#[derive(Debug)]
struct World {
    supervisor: Supervisor,
    now: u64,
    worker: Option<Worker>,
    /// Generations of workers that were ended.
    dead: Vec<u32>,
    spawns: Vec<u64>,
    job: Option<Job>,
    has_given_up: bool,
    is_hidden: bool,
}

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    Pass(u64),
    Greet,
    Load,
    Token,
    Lose(Cause),
    Retire,
    Late(Cause),
    Ask(u32),
    Stop,
    Hide(bool),
    Retry,
    Start,
    Shutdown,
    Discard,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            supervisor: Supervisor::new(Policy::default()),
            now: 0,
            worker: None,
            dead: Vec::new(),
            spawns: Vec::new(),
            job: None,
            has_given_up: false,
            is_hidden: false,
        };
        world.tell(Event::Start);
        world
    }

    fn tell(&mut self, event: Event) {
        for effect in self.supervisor.on(self.now, event) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn(generation) => {
                assert!(self.worker.is_none(), "two live workers");
                assert!(!self.is_hidden, "a worker for nobody");
                self.spawns.push(self.now);
                self.has_given_up = false;
                self.worker = Some(Worker {
                    generation,
                    is_alive: true,
                    is_greeted: false,
                    is_loading: false,
                    is_answering: false,
                    is_retiring: false,
                });
            }
            Effect::Terminate => {
                let worker = self.worker.take().expect("a worker to end");
                self.dead.push(worker.generation);
            }
            Effect::Silent => panic!("this worker is never silent"),
            Effect::Retire => {
                let worker = self.worker.as_mut().expect("a worker to retire");
                worker.is_answering = false;
                worker.is_loading = false;
                worker.is_retiring = true;
            }
            Effect::Reopen => {
                let worker = self.worker.as_mut().expect("a worker to load");
                assert!(worker.is_alive && worker.is_greeted);
                worker.is_answering = false;
                worker.is_loading = true;
            }
            Effect::GiveUp(_) => {
                self.has_given_up = true;
                self.end_job();
            }
        }
    }

    fn end_job(&mut self) {
        if self.job.take().is_some() {
            self.tell(Event::Ended);
        }
    }

    /// What the worker does, if it lives and has not been told to end.
    fn working(&mut self) -> Option<&mut Worker> {
        self.worker
            .as_mut()
            .filter(|worker| worker.is_alive && !worker.is_retiring)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Pass(millis) => {
                for _ in 0..millis / 500 {
                    self.now += 500;
                    // Beats come; a dead worker has said so.
                    if let Some(worker) = &self.worker {
                        self.tell(Event::Heard(worker.generation));
                    }
                    self.tell(Event::Tick);
                }
            }
            Step::Greet => {
                if let Some(worker) = self.working().filter(|worker| !worker.is_greeted) {
                    worker.is_greeted = true;
                    worker.is_loading = true;
                    let generation = worker.generation;
                    self.tell(Event::Greeted(generation));
                }
            }
            Step::Load => {
                let has_job = self.job.is_some();
                if let Some(worker) = self.working().filter(|worker| worker.is_loading) {
                    worker.is_loading = false;
                    worker.is_answering = has_job;
                    let generation = worker.generation;
                    self.tell(Event::Loaded(generation));
                }
            }
            Step::Token => self.token(),
            Step::Lose(cause) => self.lose(cause),
            Step::Retire => {
                if let Some(worker) = self.worker.as_mut().filter(|worker| worker.is_retiring) {
                    let generation = worker.generation;
                    worker.is_alive = false;
                    self.tell(Event::Retired(generation));
                }
            }
            Step::Late(cause) => {
                if let Some(&generation) = self.dead.last() {
                    let before = self.supervisor.clone();
                    self.tell(Event::Lost(generation, cause));
                    self.tell(Event::Loaded(generation));
                    self.tell(Event::Retired(generation));
                    let is_same = before == self.supervisor;
                    assert!(is_same || self.supervisor.generation() == generation);
                }
            }
            Step::Ask(n_tokens) => {
                let can_ask = self.supervisor.phase() == Phase::Ready && self.job.is_none();
                if let Some(worker) = self.working().filter(|_| can_ask) {
                    worker.is_answering = true;
                    let n_missing = n_tokens;
                    self.job = Some(Job { n_missing });
                    self.tell(Event::Began);
                }
            }
            Step::Stop => {
                if let Some(worker) = self.working() {
                    worker.is_answering = false;
                }
                self.end_job();
            }
            Step::Hide(is_hidden) => {
                self.is_hidden = is_hidden;
                self.tell(if is_hidden {
                    Event::Hidden
                } else {
                    Event::Visible
                });
            }
            Step::Retry => self.tell(Event::Retry),
            Step::Start => self.tell(Event::Start),
            Step::Shutdown => {
                self.end_job();
                self.tell(Event::Shutdown);
            }
            Step::Discard => {
                self.end_job();
                self.has_given_up = true;
                self.tell(Event::Discard);
            }
        }
    }

    fn token(&mut self) {
        if self.working().is_none_or(|worker| !worker.is_answering) {
            return;
        }
        let job = self.job.as_mut().expect("an answer that is worked on");
        job.n_missing -= 1;
        let is_done = job.n_missing == 0;
        self.tell(Event::Accepted);
        if is_done {
            if let Some(worker) = self.working() {
                worker.is_answering = false;
            }
            self.end_job();
        }
    }

    fn lose(&mut self, cause: Cause) {
        let Some(worker) = self.worker.as_mut().filter(|worker| worker.is_alive) else {
            return;
        };
        worker.is_answering = false;
        worker.is_loading = false;
        worker.is_alive &= cause != Cause::Trap;
        let generation = worker.generation;
        self.tell(Event::Lost(generation, cause));
    }

    fn check(&self) {
        let policy = Policy::default();
        for (index, at) in self.spawns.iter().enumerate() {
            let within = self.spawns[index..]
                .iter()
                .filter(|other| **other <= at + policy.window_millis);
            assert!(within.count() <= policy.max_spawns, "too many workers");
        }
        assert_eq!(self.worker.is_some(), self.supervisor.has_worker());
    }

    /// A world in which nothing fails any more: whatever goes on comes to an end.
    fn settle(&mut self) {
        self.step(Step::Hide(false));
        for _ in 0..40 {
            for step in [
                Step::Retire,
                Step::Pass(5_000),
                Step::Greet,
                Step::Load,
                Step::Token,
                Step::Token,
            ] {
                self.step(step);
                self.check();
            }
        }
    }
}

fn any_cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        6 => Just(Cause::Device),
        2 => Just(Cause::Adapter),
        1 => Just(Cause::Memory),
        2 => Just(Cause::Trap),
        2 => Just(Cause::Worker),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..200_000).prop_map(Step::Pass),
        4 => (0u64..3_000).prop_map(Step::Pass),
        6 => Just(Step::Greet),
        6 => Just(Step::Load),
        8 => Just(Step::Token),
        5 => any_cause().prop_map(Step::Lose),
        4 => Just(Step::Retire),
        1 => any_cause().prop_map(Step::Late),
        4 => (1u32..30).prop_map(Step::Ask),
        1 => Just(Step::Stop),
        2 => any::<bool>().prop_map(Step::Hide),
        1 => Just(Step::Retry),
        1 => Just(Step::Start),
        1 => Just(Step::Shutdown),
        1 => Just(Step::Discard),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn whatever_happens_there_is_one_worker_and_an_end(
        steps in proptest::collection::vec(any_step(), 0..120),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.check();
        }
        world.settle();
        let is_at_rest = world.supervisor.phase() == Phase::Ready
            || world.supervisor.phase() == Phase::Cold
            || world.has_given_up;
        prop_assert!(is_at_rest, "{:?}", world.supervisor);
        prop_assert!(world.job.is_none(), "an answer that never ends: {:?}", world.job);
    }
}
