//! The database of chats, `tern-chats`, through rexie. `docs/CHATS.md` describes what lies in it.
//!
//! Requests are worked on one after the other, each as one transaction. A request that fails or takes too long is tried
//! again on a new connection: browsers lose connections, above all while a page sleeps. Every request is idempotent.
//!
//! A future of rexie that is dropped while its request runs takes its callbacks with it, and the browser's call of one
//! of them would be an error. So requests run as tasks of their own, and one that takes too long is only no longer waited for.

mod records;
mod tabs;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use app::{Action, DbEvent, DbRequest};
use futures_channel::oneshot;
use gloo::timers::callback::Timeout;
use rexie::Rexie;
use wasm_bindgen_futures::spawn_local;

use crate::page::Listener;
pub(crate) use records::DATABASE;
use records::{Problem, Result};
use tabs::Tabs;

/// How often a request is tried.
const TRIES: u32 = 3;
/// How long opening may take. It hangs when another tab of another version keeps the database, or when the system has
/// suspended the process that stores.
const OPEN_MILLIS: u32 = 5_000;
/// How long a request may take.
const REQUEST_MILLIS: u32 = 15_000;

/// The database, seen from the page.
pub(crate) struct Db(Rc<Inner>);

struct Inner {
    listener: Listener,
    queue: RefCell<VecDeque<DbRequest>>,
    database: RefCell<Option<Rc<Rexie>>>,
    /// Whether a task works on the queue.
    working: Cell<bool>,
    /// Whether nothing may be started.
    resting: Cell<bool>,
    tabs: Tabs,
}

impl Db {
    pub(crate) fn new(listener: Listener) -> Self {
        Self(Rc::new(Inner {
            tabs: Tabs::listen(&listener),
            listener,
            queue: RefCell::default(),
            database: RefCell::default(),
            working: Cell::new(false),
            resting: Cell::new(false),
        }))
    }

    /// Queues a request. It is begun at once when nothing else is under way, so that a write is on its way before the
    /// page does anything else.
    pub(crate) fn perform(&self, request: DbRequest) {
        if request == DbRequest::Wake {
            // A rest that was not reached yet is no longer wanted.
            let mut queue = self.0.queue.borrow_mut();
            queue.retain(|queued| *queued != DbRequest::Rest);
            self.0.resting.set(false);
        } else {
            self.0.queue.borrow_mut().push_back(request);
        }
        if !self.0.working.replace(true) {
            spawn_local(Rc::clone(&self.0).work());
        }
    }

    /// Closes the connection and forgets what waits: the database is going to be deleted.
    pub(crate) fn close(&self) {
        self.0.queue.borrow_mut().clear();
        self.0.close();
    }
}

impl Inner {
    async fn work(self: Rc<Self>) {
        while !self.resting.get() {
            let next = self.queue.borrow_mut().pop_front();
            let Some(request) = next else { break };
            if request == DbRequest::Rest {
                self.resting.set(true);
                self.close();
                break;
            }
            if let Some(event) = self.answer(request).await {
                (self.listener)(Action::Db(event));
            }
        }
        self.working.set(false);
    }

    async fn answer(&self, request: DbRequest) -> Option<DbEvent> {
        let mut tries = 0;
        loop {
            tries += 1;
            let problem = match self.attempt(&request).await {
                Ok(event) => {
                    self.tabs.tell_of(&request);
                    return Some(event);
                }
                Err(problem) => problem,
            };
            self.close();
            if tries >= TRIES || problem.is_final() {
                return Some(failed(&request, &problem));
            }
        }
    }

    async fn attempt(&self, request: &DbRequest) -> Result<DbEvent> {
        let open = self.database.borrow().clone();
        let database = match open {
            Some(database) => database,
            None => {
                let opened = within(OPEN_MILLIS, records::open()).await?;
                let opened = Rc::new(opened);
                *self.database.borrow_mut() = Some(Rc::clone(&opened));
                opened
            }
        };
        within(REQUEST_MILLIS, records::answer(database, request.clone())).await
    }

    fn close(&self) {
        // A request that hangs may still hold it; then the browser closes it when that ends, or with the page.
        let database = self.database.borrow_mut().take();
        if let Some(Ok(database)) = database.map(Rc::try_unwrap) {
            database.close();
        }
    }
}

fn failed(request: &DbRequest, problem: &Problem) -> DbEvent {
    let detail = problem.to_string();
    match request {
        DbRequest::ReadAll(purpose) => DbEvent::ExportFailed {
            purpose: *purpose,
            detail,
        },
        DbRequest::Write(_) => DbEvent::WriteFailed {
            full: matches!(problem, Problem::Full { .. }),
            detail,
        },
        _ => DbEvent::Failed { detail },
    }
}

/// What `work` gives, or a timeout. The work goes on as a task of its own either way.
async fn within<T: 'static>(
    millis: u32,
    work: impl Future<Output = Result<T>> + 'static,
) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    let sender = Rc::new(Cell::new(Some(sender)));
    let late = Rc::clone(&sender);
    let timeout = Timeout::new(millis, move || {
        if let Some(sender) = late.take() {
            // Whoever gave up waiting does not want to know.
            let _unheard = sender.send(Err(Problem::TooSlow { millis }));
        }
    });
    spawn_local(async move {
        let result = work.await;
        if let Some(sender) = sender.take() {
            let _unheard = sender.send(result);
        }
    });
    let result = receiver.await;
    drop(timeout);
    result.unwrap_or(Err(Problem::TooSlow { millis }))
}
