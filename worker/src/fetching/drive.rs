//! Does what the state machine of a download says.

mod work;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use model::download::{Attempt, Download, Effect, End, Event, Head, Millis, Policy, Problem};
use protocol::{Event as Word, Fault, Status};

use super::item::{Item, Work};
use super::words::{fault, trouble};
use super::{Keeper, Order};
use crate::inbox::Steering;
use crate::network::{Ask, AskError, Body, Buffer};
use crate::{Host, Inbox};

/// Longest wait in one go.
const MAX_SLEEP_MILLIS: f64 = 60_000.0;

type Task<'a, H> = Pin<Box<dyn Future<Output = Done<H>> + 'a>>;
type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// A request, or the next piece of its body.
    Network(Attempt),
    /// The keeper is busy with an order.
    Keeper(usize),
}

/// What has ended.
enum Done<H: Host> {
    Answered(Result<(Head, H::Body), AskError>),
    Came(H::Body, Result<Option<u64>, String>),
    /// Up to where an order is stored.
    Saved(Result<u64, Fault>),
    Forgotten(Result<(), Fault>),
    Taken(Result<Option<Problem>, Fault>),
}

/// What happens next.
enum Next<H: Host> {
    Done(Key, Done<H>),
    Steered(Steering),
    Due,
}

/// A download under way.
pub(super) struct Driver<'a, H: Host, K> {
    host: &'a H,
    inbox: &'a Inbox,
    keeper: &'a K,
    machine: Download,
    items: Vec<Item<H>>,
    tasks: Vec<(Key, Task<'a, H>)>,
    /// The wait that runs, and until when.
    timer: Option<(Millis, Sleep<'a>)>,
    end: Option<End>,
}

impl<'a, H: Host, K: Keeper<Bytes = H::Bytes>> Driver<'a, H, K> {
    pub(super) fn new(
        host: &'a H,
        inbox: &'a Inbox,
        keeper: &'a K,
        policy: Policy,
        orders: Vec<Order<H::Buffer>>,
    ) -> Self {
        let (wants, items) = orders
            .into_iter()
            .map(|order| (order.want.clone(), Item::new(order)))
            .unzip();
        Self {
            host,
            inbox,
            keeper,
            machine: Download::new(policy, wants),
            items,
            tasks: Vec::new(),
            timer: None,
            end: None,
        }
    }

    /// Works until it is over. Files are stored in parts of about `part_bytes`. A patient download minds the connection, and
    /// rests when it is told to.
    pub(super) async fn run(mut self, part_bytes: u64, is_patient: bool) -> Result<(), Fault> {
        let result = self.work(part_bytes, is_patient).await;
        self.tasks.retain(|(key, _)| matches!(key, Key::Keeper(_)));
        // What failed for one file shall not cost another one that is about to be stored.
        self.put_keeper_to_work();
        while !self.tasks.is_empty() {
            poll_fn(|context| match self.poll_tasks(context) {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            })
            .await;
            self.put_keeper_to_work();
        }
        result
    }

    async fn work(&mut self, part_bytes: u64, is_patient: bool) -> Result<(), Fault> {
        let mut known = Steering {
            is_paused: false,
            is_online: true,
            n_resumes: self.inbox.steering().n_resumes,
        };
        let steering = self.inbox.steering();
        self.steer(&known, &steering, is_patient);
        known = steering;
        self.tell(Event::Wake);
        loop {
            match self.end.take() {
                Some(End::Failed(failure)) => return Err(fault(&failure)),
                Some(End::Done | End::Cancelled) => return Ok(()),
                None => {}
            }
            match self.next(&known).await {
                Next::Done(key, done) => self.on_done(key, done)?,
                Next::Steered(steering) => {
                    self.steer(&known, &steering, is_patient);
                    known = steering;
                }
                Next::Due => {
                    self.excuse_parked();
                    self.tell(Event::Wake);
                }
            }
            self.save_parts(part_bytes);
            self.put_keeper_to_work();
        }
    }

    /// Waits for what happens next.
    async fn next(&mut self, known: &Steering) -> Next<H> {
        self.set_timer();
        poll_fn(|context| {
            if let Poll::Ready(steering) = self.inbox.poll_steering(context, known) {
                return Poll::Ready(Next::Steered(steering));
            }
            if let Some((key, done)) = self.poll_tasks(context) {
                return Poll::Ready(Next::Done(key, done));
            }
            let Some((_, timer)) = &mut self.timer else {
                return Poll::Pending;
            };
            timer.as_mut().poll(context).map(|()| {
                self.timer = None;
                Next::Due
            })
        })
        .await
    }

    /// The first task that has ended. What follows it is put behind the others, so that all have their turn.
    fn poll_tasks(&mut self, context: &mut Context<'_>) -> Option<(Key, Done<H>)> {
        let ended = self
            .tasks
            .iter_mut()
            .enumerate()
            .find_map(|(index, (_, task))| match task.as_mut().poll(context) {
                Poll::Ready(done) => Some((index, done)),
                Poll::Pending => None,
            });
        ended.map(|(index, done)| (self.tasks.remove(index).0, done))
    }

    /// Sees to it that something happens when the machine wants it. A wait that ends too early only has to be followed by
    /// another one, which is cheaper than a new one for each piece that comes.
    fn set_timer(&mut self) {
        let Some(at) = self.machine.wake_at() else {
            self.timer = None;
            return;
        };
        if self.timer.as_ref().is_some_and(|(until, _)| *until <= at) {
            return;
        }
        let now = self.host.now();
        let millis = (at - now).clamp(0.0, MAX_SLEEP_MILLIS).ceil();
        let sleep = self.host.sleep(millis as u32);
        self.timer = Some((now + millis, Box::pin(sleep)));
    }

    fn steer(&mut self, known: &Steering, steering: &Steering, is_patient: bool) {
        if !is_patient {
            return;
        }
        if steering.is_online != known.is_online {
            self.tell(Event::Online(steering.is_online));
        }
        if steering.is_paused && !known.is_paused {
            self.tell(Event::Pause);
            self.host.post(Word::Status(Status::DownloadPaused));
        }
        let is_told = steering.n_resumes != known.n_resumes;
        if !steering.is_paused && (known.is_paused || is_told) {
            self.tell(Event::Resume);
            if known.is_paused {
                self.host.post(Word::Status(Status::DownloadResumed));
            }
        }
    }

    fn on_done(&mut self, key: Key, done: Done<H>) -> Result<(), Fault> {
        match (key, done) {
            (Key::Network(attempt), Done::Answered(Ok((head, body)))) => {
                if let Some(index) = self.machine.item(attempt) {
                    self.keeper.answered(index, &head)?;
                }
                self.tell(Event::Answered(attempt, head));
                self.read(attempt, body);
            }
            // No other attempt helps until a person says so.
            (Key::Network(_), Done::Answered(Err(AskError::Forbidden(forbidden)))) => {
                return Err(forbidden.into());
            }
            (
                Key::Network(attempt),
                Done::Answered(Err(AskError::Network(detail))) | Done::Came(_, Err(detail)),
            ) => self.tell(Event::Broke(attempt, detail)),
            (Key::Network(attempt), Done::Came(body, Ok(Some(n_bytes)))) => {
                self.came(attempt, &body, n_bytes);
                self.read(attempt, body);
            }
            (Key::Network(attempt), Done::Came(_, Ok(None))) => self.tell(Event::Ended(attempt)),
            (Key::Keeper(_), Done::Forgotten(result)) => result?,
            (Key::Keeper(index), Done::Saved(result)) => {
                let saved = result?;
                log::debug!("order {index} is stored up to byte {saved}");
                if let Some((attempt, body)) = self.items[index].parked.take() {
                    self.tell(Event::Came(attempt, 0));
                    self.read(attempt, body);
                }
            }
            (Key::Keeper(index), Done::Taken(result)) => match result? {
                None => {
                    self.items[index].is_kept = true;
                    self.keeper.kept(index, self.part_bytes());
                    self.tell(Event::Good(index));
                }
                Some(problem) => self.tell(Event::Wrong(index, problem)),
            },
            // No such pair is ever made.
            _ => {}
        }
        Ok(())
    }

    /// A piece of a body: what is wanted of it goes behind what is there.
    fn came(&mut self, attempt: Attempt, body: &H::Body, n_bytes: u64) {
        let keeps = self.machine.keeps(attempt, n_bytes);
        let index = self.machine.item(attempt);
        if let Some(buffer) = index.and_then(|index| self.items[index].buffer.as_mut())
            && !keeps.is_empty()
        {
            body.copy(keeps, buffer);
        }
        if index.is_some() {
            self.tell(Event::Came(attempt, n_bytes));
            self.keeper.progress(n_bytes, self.part_bytes());
        }
    }

    /// Asks for the next piece of a body, if anybody wants it.
    fn read(&mut self, attempt: Attempt, mut body: H::Body) {
        let Some(index) = self.machine.item(attempt) else {
            return;
        };
        if self.is_full(index) {
            self.items[index].parked = Some((attempt, body));
            return;
        }
        let task = async move {
            let piece = body.next().await;
            Done::Came(body, piece)
        };
        self.tasks.push((Key::Network(attempt), Box::pin(task)));
    }

    /// Bytes that are there of what is not whole.
    fn part_bytes(&self) -> u64 {
        let parts = self
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| !item.is_kept);
        parts.map(|(index, _)| self.machine.held_bytes(index)).sum()
    }

    /// Tells the machine, and does what it says.
    fn tell(&mut self, event: Event) {
        let effects = self.machine.on(self.host.now(), self.host.random(), event);
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Request {
                item: index,
                attempt,
                range,
                fresh,
            } => {
                let item = &mut self.items[index];
                if item.buffer.is_none() {
                    item.buffer = Some(self.host.buffer(item.bytes));
                }
                // Nothing else would tell that what a cache has is old.
                let fresh = fresh || !item.has_hash;
                let (host, url) = (self.host, item.url.clone());
                let task = async move { Done::Answered(host.ask(Ask { url, range, fresh }).await) };
                self.tasks.push((Key::Network(attempt), Box::pin(task)));
            }
            Effect::Abort(attempt) => {
                self.tasks.retain(|(key, _)| *key != Key::Network(attempt));
                for item in &mut self.items {
                    item.parked.take_if(|(parked, _)| *parked == attempt);
                }
            }
            Effect::Forget(index) => self.items[index].forget(),
            Effect::Check(index) => {
                let item = &mut self.items[index];
                let buffer = item.buffer.take();
                let buffer = buffer.unwrap_or_else(|| self.host.buffer(0));
                item.work.push_back(Work::Take(buffer.finish()));
            }
            Effect::Trouble {
                item: index,
                attempt,
                problem,
                wait_millis,
            } => {
                let file = self.items[index].name.clone();
                log::warn!("{file}: {problem}; attempt {attempt} in {wait_millis} ms");
                self.host.post(Word::Status(Status::FetchRetry {
                    file,
                    attempt,
                    trouble: trouble(&problem),
                    wait_millis: wait_millis as u32,
                }));
            }
            Effect::End(end) => self.end = Some(end),
        }
    }
}
