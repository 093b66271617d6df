//! A server, a connection and somebody who does what the machine says, with real bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) use crate::server::{Answer, Served};
use crate::server::{Body, body};

use model::download::{Attempt, Download, Effect, End, Event, Extent, Policy, Problem, Want};

/// Bytes of a part of a body.
pub(crate) const PART: usize = 1000;
/// Milliseconds until a head or a part has come.
pub(crate) const LATENCY: f64 = 10.0;

/// Number of a want, the range that was asked for, and whether caches were to be passed by.
pub(crate) type Asked = (usize, Option<(u64, Option<u64>)>, bool);

/// Server, connection and driver.
pub(crate) struct World {
    pub(crate) machine: Download,
    pub(crate) now: f64,
    pub(crate) random: f64,
    pub(crate) wants: Vec<Want>,
    pub(crate) files: Vec<Served>,
    /// For each want: how its next requests are treated.
    pub(crate) script: Vec<VecDeque<Answer>>,
    /// What is held of each want.
    pub(crate) held: Vec<Vec<u8>>,
    /// What was found good.
    pub(crate) good: BTreeMap<usize, Vec<u8>>,
    /// Everything the machine said.
    pub(crate) log: Vec<Effect>,
    pub(crate) end: Option<End>,
    pub(crate) most_at_once: usize,
    /// The files of the beginning: what hashes are of.
    originals: Vec<Vec<u8>>,
    /// Files whose bytes the server spoiled.
    pub(crate) spoilt: BTreeSet<usize>,
    bodies: BTreeMap<Attempt, Body>,
}

impl World {
    pub(crate) fn new(policy: Policy, wants: Vec<Want>, files: Vec<Served>) -> Self {
        let held = wants.iter().zip(&files).map(|(want, file)| {
            let start = want.extent.start() as usize;
            file.bytes[start..start + want.held_bytes as usize].to_vec()
        });
        Self {
            machine: Download::new(policy, wants.clone()),
            now: 0.0,
            random: 1.0,
            script: vec![VecDeque::new(); files.len()],
            held: held.collect(),
            good: BTreeMap::new(),
            log: Vec::new(),
            end: None,
            most_at_once: 0,
            originals: files.iter().map(|file| file.bytes.clone()).collect(),
            spoilt: BTreeSet::new(),
            bodies: BTreeMap::new(),
            wants,
            files,
        }
    }

    /// One whole file with a hash, and how its requests are treated.
    pub(crate) fn one(n_bytes: usize, script: &[Answer]) -> Self {
        let mut world = Self::new(
            Policy::default(),
            vec![whole("a", n_bytes)],
            vec![file(n_bytes, 1)],
        );
        world.script[0].extend(script.iter().cloned());
        world
    }

    /// The bytes that a want should end as.
    pub(crate) fn right(&self, item: usize) -> &[u8] {
        let (want, served) = (&self.wants[item], &self.files[item].bytes);
        let file = if want.has_hash {
            &self.originals[item]
        } else {
            served
        };
        let extent = want.extent;
        let start = (extent.start() as usize).min(file.len());
        let n_bytes = extent.bytes().map_or(file.len(), |bytes| bytes as usize);
        &file[start..(start + n_bytes).min(file.len())]
    }

    /// Tells the machine, and does what it says.
    pub(crate) fn tell(&mut self, event: Event) {
        let effects = self.machine.on(self.now, self.random, event);
        for effect in effects {
            assert!(self.end.is_none(), "{effect:?} behind the end");
            self.log.push(effect.clone());
            match effect {
                Effect::Request {
                    item,
                    attempt,
                    range,
                    ..
                } => self.ask(item, attempt, range),
                Effect::Abort(attempt) => {
                    self.bodies
                        .remove(&attempt)
                        .expect("only what runs is aborted");
                }
                Effect::Forget(item) => self.held[item].clear(),
                Effect::Check(item) => {
                    let is_good = !self.wants[item].has_hash || self.held[item] == self.right(item);
                    if is_good {
                        self.good.insert(item, self.held[item].clone());
                        self.tell(Event::Good(item));
                    } else {
                        let problem = Problem::WrongHash {
                            expected: "right".into(),
                            got: "wrong".into(),
                        };
                        self.tell(Event::Wrong(item, problem));
                    }
                }
                Effect::Trouble { .. } => {}
                Effect::End(end) => {
                    assert!(self.bodies.is_empty(), "requests that nobody wants");
                    self.end = Some(end);
                }
            }
        }
        self.most_at_once = self.most_at_once.max(self.bodies.len());
        for (item, held) in self.held.iter().enumerate() {
            assert_eq!(held.len() as u64, self.machine.held_bytes(item));
        }
    }

    fn ask(&mut self, item: usize, attempt: Attempt, range: Option<(u64, Option<u64>)>) {
        let answer = self.script[item].pop_front().unwrap_or(Answer::Well);
        if matches!(answer, Answer::Flip(_) | Answer::Longer | Answer::Repeat(_)) {
            self.spoilt.insert(item);
        }
        let body = body(&self.files[item], item, attempt, range, &answer, self.now);
        assert!(self.bodies.insert(attempt, body).is_none());
    }

    /// Whether a request is under way.
    pub(crate) fn runs(&self, attempt: Attempt) -> bool {
        self.bodies.contains_key(&attempt)
    }

    /// Does what comes next; `false` when nothing will ever come.
    pub(crate) fn step(&mut self) -> bool {
        let next = self
            .bodies
            .iter()
            .map(|(attempt, body)| (body.due, Some(*attempt)));
        let wake = self.machine.wake_at().map(|at| (at, None));
        let Some((due, attempt)) = next.chain(wake).min_by(|a, b| a.0.total_cmp(&b.0)) else {
            return false;
        };
        if due == f64::INFINITY {
            return false;
        }
        self.now = self.now.max(due);
        match attempt {
            None => self.tell(Event::Wake),
            Some(attempt) => self.deliver(attempt),
        }
        true
    }

    fn deliver(&mut self, attempt: Attempt) {
        let body = self.bodies.get_mut(&attempt).expect("it was found");
        body.due = self.now + LATENCY;
        if let Some(head) = body.head.take() {
            return self.tell(Event::Answered(attempt, head));
        }
        if !body.rest.is_empty() {
            let n_bytes = PART.min(body.rest.len());
            let part: Vec<u8> = body.rest.drain(..n_bytes).collect();
            let keeps = self.machine.keeps(attempt, n_bytes as u64);
            let kept = &part[keeps.start as usize..keeps.end as usize];
            self.held[body.item].extend(kept);
            return self.tell(Event::Came(attempt, n_bytes as u64));
        }
        match body.ending.take() {
            Some(event) => {
                self.bodies.remove(&attempt);
                self.tell(event);
            }
            None => body.due = f64::INFINITY,
        }
    }

    /// Runs until it is over or nothing will ever come.
    pub(crate) fn run(&mut self) -> Option<End> {
        self.tell(Event::Wake);
        self.go_on()
    }

    pub(crate) fn go_on(&mut self) -> Option<End> {
        for _ in 0..200_000 {
            if self.end.is_some() || !self.step() {
                return self.end.clone();
            }
        }
        panic!("it does not end");
    }

    /// Lets so many milliseconds pass.
    pub(crate) fn pass(&mut self, millis: f64) {
        let until = self.now + millis;
        loop {
            let bodies = self.bodies.values().map(|body| body.due);
            let next = bodies.chain(self.machine.wake_at()).min_by(f64::total_cmp);
            if self.end.is_some() || next.is_none_or(|at| at > until) {
                break;
            }
            self.step();
        }
        self.now = until;
    }

    /// The ranges that were asked for, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = self.log.iter().filter_map(|effect| match effect {
            Effect::Request {
                item, range, fresh, ..
            } => Some((*item, *range, *fresh)),
            _ => None,
        });
        asked.collect()
    }

    /// The problems that the person was told of, and the waits.
    pub(crate) fn troubles(&self) -> Vec<(Problem, f64)> {
        let told = self.log.iter().filter_map(|effect| match effect {
            Effect::Trouble {
                problem,
                wait_millis,
                ..
            } => Some((problem.clone(), *wait_millis)),
            _ => None,
        });
        told.collect()
    }
}

/// The problem of a download that failed.
pub(crate) fn problem(end: Option<End>) -> Problem {
    match end {
        Some(End::Failed(failure)) => failure.problem,
        other => panic!("expected a failure, got {other:?}"),
    }
}

/// Ranges that were asked for a single file.
pub(crate) fn ranges(world: &World) -> Vec<Option<u64>> {
    world
        .asked()
        .iter()
        .map(|(_, range, _)| range.map(|(first, _)| first))
        .collect()
}

/// A file of bytes that differ by place and by version.
pub(crate) fn file(n_bytes: usize, version: u8) -> Served {
    let bytes =
        (0..n_bytes).map(|index| (index / 7) as u8 ^ (index as u8).wrapping_mul(31) ^ version);
    Served {
        bytes: bytes.collect(),
        etag: Some(if version == 1 { "\"one\"" } else { "\"two\"" }),
    }
}

/// A whole file whose length and hash are known.
pub(crate) fn whole(name: &str, n_bytes: usize) -> Want {
    Want {
        name: name.to_owned(),
        extent: Extent::Whole {
            bytes: n_bytes as u64,
        },
        has_hash: true,
        held_bytes: 0,
        held_version: None,
    }
}
