//! Requests that wait, which of them were cancelled, and how the running one is steered.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use protocol::{Request, RequestId};

/// The queue between the message port and the runtime. The port's handler may push at any time, also while a request is
/// being worked on; a `Cancel`, `Pause`, `Resume`, `Online` or `LimitRate` takes effect at once instead of queueing.
#[derive(Debug, Default)]
pub struct Inbox {
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Request>,
    cancelled: HashSet<RequestId>,
    current: Option<RequestId>,
    paused: Option<RequestId>,
    n_resumes: u32,
    is_offline: bool,
    tokens_per_second: u32,
    on_request: Option<Waker>,
    on_cancel: Option<Waker>,
    on_steering: Option<Waker>,
}

/// What a download has to mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steering {
    /// Whether the current request is to rest.
    pub(crate) is_paused: bool,
    /// How often a request was told to go on.
    pub(crate) n_resumes: u32,
    /// Whether the device has a connection, as far as the page knows.
    pub(crate) is_online: bool,
}

impl Inner {
    fn waits(&self, id: RequestId) -> bool {
        self.current == Some(id) || self.queue.iter().any(|queued| queued.id() == Some(id))
    }

    fn steering(&self) -> Steering {
        Steering {
            is_paused: self.paused.is_some() && self.paused == self.current,
            n_resumes: self.n_resumes,
            is_online: !self.is_offline,
        }
    }

    /// Takes a request. Returns who waits for it.
    fn take(&mut self, request: Request) -> Option<Waker> {
        match request {
            Request::Cancel { id } => {
                if self.waits(id) {
                    self.cancelled.insert(id);
                }
                self.on_cancel.take()
            }
            Request::Pause { id } => {
                if self.waits(id) {
                    self.paused = Some(id);
                }
                self.on_steering.take()
            }
            Request::Resume { id } => {
                if self.current == Some(id) {
                    self.n_resumes = self.n_resumes.wrapping_add(1);
                }
                self.paused = self.paused.filter(|paused| *paused != id);
                self.on_steering.take()
            }
            Request::Online(is_online) => {
                self.is_offline = !is_online;
                self.on_steering.take()
            }
            Request::LimitRate { tokens_per_second } => {
                self.tokens_per_second = tokens_per_second;
                None
            }
            request => {
                self.queue.push_back(request);
                self.on_request.take()
            }
        }
    }
}

impl Inbox {
    /// Takes a request.
    pub fn push(&self, request: Request) {
        let waker = self.inner.borrow_mut().take(request);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next request, in order; waits for one. It is the current one until [`Inbox::done`].
    pub async fn next(&self) -> Request {
        poll_fn(|context| {
            let mut inner = self.inner.borrow_mut();
            match inner.queue.pop_front() {
                Some(request) => {
                    inner.current = request.id();
                    Poll::Ready(request)
                }
                None => {
                    inner.on_request = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The current request has its terminal event; a later `Cancel` for it does nothing.
    pub fn done(&self) {
        let mut inner = self.inner.borrow_mut();
        if let Some(id) = inner.current.take() {
            inner.cancelled.remove(&id);
            inner.paused = inner.paused.filter(|paused| *paused != id);
        }
    }

    /// Whether the current request is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let inner = self.inner.borrow();
        inner
            .current
            .is_some_and(|id| inner.cancelled.contains(&id))
    }

    /// Completes when the current request is cancelled.
    pub async fn cancelled(&self) {
        poll_fn(|context| {
            if self.is_cancelled() {
                return Poll::Ready(());
            }
            self.inner.borrow_mut().on_cancel = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Most tokens a second that are to be made; 0 = as many as the device can.
    pub(crate) fn tokens_per_second(&self) -> u32 {
        self.inner.borrow().tokens_per_second
    }

    /// How the current request is steered now.
    pub(crate) fn steering(&self) -> Steering {
        self.inner.borrow().steering()
    }

    /// Ready when the current request is steered otherwise than `known`.
    pub(crate) fn poll_steering(
        &self,
        context: &mut Context<'_>,
        known: &Steering,
    ) -> Poll<Steering> {
        let mut inner = self.inner.borrow_mut();
        let steering = inner.steering();
        if steering != *known {
            return Poll::Ready(steering);
        }
        inner.on_steering = Some(context.waker().clone());
        Poll::Pending
    }
}
