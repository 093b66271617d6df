//! The same on several threads.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Deliver, Job, Made, Work, run_job};
use crate::manifest::FileHash;
use crate::source::Source;
use crate::{Error, convert::Plan};

/// What a thread tells the caller's.
enum Message {
    Bytes(Job, u64),
    Done(Job, Result<Made, Error>),
}

/// Which jobs are taken.
struct Queue {
    next_hash: usize,
    next_step: usize,
    /// Steps whose results were handed over.
    n_delivered: usize,
}

/// What all threads share.
struct Shared<'a> {
    source: &'a dyn Source,
    plan: &'a Plan,
    queue: Mutex<Queue>,
    has_moved: Condvar,
    is_stopped: AtomicBool,
    /// Steps that may be under way or wait for their turn: results are large.
    window: usize,
}

impl Shared<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; one thread prefers hashes, so that files are hashed while others convert what they hold.
    fn take(&self, prefers_hashes: bool) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if self.is_stopped.load(Ordering::Relaxed) {
                return None;
            }
            let has_hash = queue.next_hash < self.plan.source_files.len();
            let has_step = queue.next_step < self.plan.steps.len();
            let may_step = has_step && queue.next_step < queue.n_delivered + self.window;
            if has_hash && (prefers_hashes || !may_step) {
                queue.next_hash += 1;
                return Some(Job::Hash(queue.next_hash - 1));
            }
            if may_step {
                queue.next_step += 1;
                return Some(Job::Step(queue.next_step - 1));
            }
            if !has_step {
                return None;
            }
            queue = self
                .has_moved
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self, prefers_hashes: bool, messages: &Sender<Message>) {
        while let Some(job) = self.take(prefers_hashes) {
            // A message that cannot be sent means that the caller has given up.
            let mut on_bytes = |bytes| match messages.send(Message::Bytes(job, bytes)) {
                Ok(()) if !self.is_stopped.load(Ordering::Relaxed) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            };
            let made = run_job(self.source, self.plan, job, &mut on_bytes);
            if messages.send(Message::Done(job, made)).is_err() {
                return;
            }
        }
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        // With the lock held, so that no thread is between its look at the flag and its wait.
        let _queue = self.queue();
        self.has_moved.notify_all();
    }
}

pub(super) fn run(
    source: &dyn Source,
    work: &mut Work<'_>,
    n_threads: usize,
    deliver: &mut Deliver<'_>,
) -> Result<Vec<FileHash>, Error> {
    let shared = Shared {
        source,
        plan: work.plan,
        queue: Mutex::new(Queue {
            next_hash: 0,
            next_step: 0,
            n_delivered: 0,
        }),
        has_moved: Condvar::new(),
        is_stopped: AtomicBool::new(false),
        window: n_threads + 1,
    };
    std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        for index in 0..n_threads {
            let (shared, sender) = (&shared, sender.clone());
            scope.spawn(move || shared.work(index == 0, &sender));
        }
        drop(sender);
        let result = receive(&shared, work, &receiver, deliver);
        shared.stop();
        result
    })
}

/// Takes messages until every job is done.
fn receive(
    shared: &Shared<'_>,
    work: &mut Work<'_>,
    messages: &Receiver<Message>,
    deliver: &mut Deliver<'_>,
) -> Result<Vec<FileHash>, Error> {
    let plan = shared.plan;
    let mut hashes: Vec<Option<FileHash>> = vec![None; plan.source_files.len()];
    let mut waiting: BTreeMap<usize, Result<Made, Error>> = BTreeMap::new();
    let mut n_delivered = 0;
    for message in messages {
        match message {
            Message::Bytes(job, bytes) => {
                if work.add(job, bytes).is_break() {
                    return Err(Error::Cancelled);
                }
            }
            Message::Done(Job::Hash(file), made) => match made? {
                Made::Hash(hash) => hashes[file] = Some(hash),
                Made::Step(_) => unreachable!("a hash job makes a hash"),
            },
            Message::Done(Job::Step(step), made) => {
                waiting.insert(step, made);
            }
        }
        while let Some(made) = waiting.remove(&n_delivered) {
            if let Made::Step(output) = made? {
                deliver(&plan.steps[n_delivered], output)?;
            }
            n_delivered += 1;
            shared.queue().n_delivered = n_delivered;
            shared.has_moved.notify_all();
        }
    }
    Ok(hashes.into_iter().flatten().collect())
}
