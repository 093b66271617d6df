//! Virtual time and the message port.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use model::download::Head;
use protocol::{Event, Request, RequestId};
use sha2::{Digest, Sha256};
use worker::{Ask, AskError, Host, Inbox};

use super::Tiny;
use super::files::MemoryFile;
use super::network::{self, Answer, Network};
use super::store::{Disk, FakeStore};

/// What happens when its time has come.
enum Timer {
    Wake(Waker),
    Push(Request),
}

type Hook = Box<dyn FnMut(&World, &Event)>;

/// What is outside of the worker.
pub(crate) struct World {
    inbox: RefCell<Rc<Inbox>>,
    /// Ends the worker where it stands, as closing a page does.
    pub(crate) killed: Cell<bool>,
    /// Sees every event as it is posted, and may push requests.
    pub(crate) on_event: RefCell<Hook>,
    /// Server and connection.
    pub(crate) network: Network,
    /// What is stored.
    pub(crate) disk: Disk,
    /// Milliseconds that a session takes for a token.
    pub(crate) step_millis: Cell<u32>,
    /// What the engine was told to prefer: scope and kernels.
    pub(crate) preferred: RefCell<Vec<(String, String)>>,
    /// Kernels that were tried.
    pub(crate) tried: RefCell<Vec<String>>,
    /// How many steps sessions were told to keep in flight, one after the other.
    pub(crate) ahead: RefCell<Vec<u32>>,
    /// How many steps the session may have together now.
    pub(crate) together: Cell<u32>,
    /// Contexts that devices were opened with.
    pub(crate) opened: RefCell<Vec<u32>>,
    /// Files that come with requests.
    pub(crate) files: RefCell<HashMap<RequestId, Vec<MemoryFile>>>,
    /// Lengths of what SHA-256 was computed of, since this worker began.
    pub(crate) hashed: RefCell<Vec<usize>>,
    /// Files that went to the page, by their requests.
    pub(crate) given: RefCell<HashMap<RequestId, MemoryFile>>,
    now: Cell<f64>,
    timers: RefCell<Vec<(f64, u64, Timer)>>,
    n_timers: Cell<u64>,
    events: RefCell<Vec<Event>>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            inbox: RefCell::default(),
            killed: Cell::new(false),
            on_event: RefCell::new(Box::new(|_, _| {})),
            network: Network::default(),
            disk: Disk::default(),
            step_millis: Cell::new(7),
            preferred: RefCell::default(),
            tried: RefCell::default(),
            ahead: RefCell::default(),
            together: Cell::default(),
            opened: RefCell::default(),
            files: RefCell::default(),
            hashed: RefCell::default(),
            given: RefCell::default(),
            now: Cell::new(0.0),
            timers: RefCell::default(),
            n_timers: Cell::new(0),
            events: RefCell::default(),
        }
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl World {
    /// A world with the tiny package on its server.
    pub(crate) fn served() -> Self {
        let world = Self::default();
        world.serve(&Tiny::default());
        world
    }

    /// Puts a package on the server.
    pub(crate) fn serve(&self, package: &Tiny) {
        self.serve_at(super::BASE_URL, package);
    }

    /// Puts a package on the server, in a folder of its own.
    pub(crate) fn serve_at(&self, base_url: &str, package: &Tiny) {
        self.network
            .files
            .borrow_mut()
            .extend(package.files(base_url));
    }

    /// The message port of the worker that lives now.
    pub(crate) fn inbox(&self) -> Rc<Inbox> {
        Rc::clone(&self.inbox.borrow())
    }

    /// Sends a request to the worker that lives now.
    pub(crate) fn push(&self, request: Request) {
        self.inbox().push(request);
    }

    /// Makes room for another worker: what belonged to the last one goes.
    pub(crate) fn forget(&self) {
        self.killed.set(false);
        self.inbox.take();
        self.timers.take();
        self.events.take();
        self.network.asked.take();
        self.network.sent_bytes.set(0);
        self.network.shard_bytes.set(0);
        self.disk.calls.take();
        self.hashed.take();
    }

    /// Milliseconds of virtual time.
    pub(crate) fn time(&self) -> f64 {
        self.now.get()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// Runs `future` until it ends or waits for something that only a request can bring.
    pub(crate) fn run_until_idle(&self, future: impl Future<Output = ()>) {
        let mut future = pin!(future);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        for _ in 0..1_000_000 {
            if self.killed.get() {
                return;
            }
            if flag.0.swap(false, Ordering::Relaxed) {
                if future.as_mut().poll(&mut context).is_ready() {
                    return;
                }
            } else if !self.advance() {
                return;
            }
        }
        panic!("the worker does not come to rest");
    }

    /// Lets a request come after `millis`.
    pub(crate) fn push_later(&self, millis: u32, request: Request) {
        let at = self.now.get() + f64::from(millis);
        self.set_timer(at, Timer::Push(request));
    }

    fn set_timer(&self, at: f64, timer: Timer) -> u64 {
        let number = self.n_timers.get();
        self.n_timers.set(number + 1);
        self.timers.borrow_mut().push((at, number, timer));
        number
    }

    /// Moves the clock to the next timer; `false` when there is none.
    fn advance(&self) -> bool {
        let mut timers = self.timers.borrow_mut();
        let Some(next) = (0..timers.len()).min_by(|&a, &b| timers[a].0.total_cmp(&timers[b].0))
        else {
            return false;
        };
        let (at, _, timer) = timers.remove(next);
        drop(timers);
        self.now.set(self.now.get().max(at));
        match timer {
            Timer::Wake(waker) => waker.wake(),
            Timer::Push(request) => self.push(request),
        }
        true
    }
}

/// The world as the worker sees it.
pub(crate) struct Outside {
    world: Rc<World>,
    store: FakeStore,
}

impl Outside {
    pub(crate) fn new(world: Rc<World>) -> Self {
        let store = FakeStore {
            world: Rc::clone(&world),
            open: Cell::new(false),
        };
        Self { world, store }
    }
}

impl std::ops::Deref for Outside {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl World {
    /// Completes after `millis` of virtual time.
    pub(crate) async fn wait(&self, millis: u32) {
        let at = self.now.get() + f64::from(millis);
        let mut armed = None;
        poll_fn(|context| {
            if self.now.get() >= at {
                return Poll::Ready(());
            }
            // Every poll comes with the same waker, so one timer is enough.
            if armed.is_none() {
                let number = self.set_timer(at, Timer::Wake(context.waker().clone()));
                armed = Some(Unset(self, number));
            }
            Poll::Pending
        })
        .await;
    }
}

/// Takes a timer away that nobody waits for any more.
struct Unset<'a>(&'a World, u64);

impl Drop for Unset<'_> {
    fn drop(&mut self) {
        let timers = &mut *self.0.timers.borrow_mut();
        timers.retain(|(_, number, _)| *number != self.1);
    }
}

impl Host for Outside {
    type Bytes = Vec<u8>;
    type Buffer = Vec<u8>;
    type Body = Answer;
    type Store = FakeStore;
    type File = MemoryFile;

    fn store(&self) -> &FakeStore {
        &self.store
    }

    fn now(&self) -> f64 {
        self.now.get()
    }

    async fn sleep(&self, millis: u32) {
        self.wait(millis).await;
    }

    async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn post(&self, event: Event) {
        self.events.borrow_mut().push(event.clone());
        let mut hook = std::mem::replace(&mut *self.on_event.borrow_mut(), Box::new(|_, _| {}));
        hook(self, &event);
        *self.on_event.borrow_mut() = hook;
    }

    fn files(&self, id: RequestId) -> Vec<MemoryFile> {
        self.files.borrow_mut().remove(&id).unwrap_or_default()
    }

    fn give(&self, id: RequestId, file: MemoryFile) {
        self.given.borrow_mut().insert(id, file);
    }

    fn random(&self) -> f64 {
        // The longest waits.
        1.0
    }

    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn buffer(&self, _: u64) -> Vec<u8> {
        Vec::new()
    }

    async fn ask(&self, ask: Ask) -> Result<(Head, Answer), AskError> {
        network::ask(&self.world, ask).await
    }

    async fn sha256(&self, bytes: &Vec<u8>) -> Result<String, String> {
        self.world.hashed.borrow_mut().push(bytes.len());
        Ok(hex(bytes))
    }
}

/// SHA-256 in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
