//! Requests that wait, and which of them were cancelled.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::task::{Poll, Waker};

use protocol::{Request, RequestId};

/// The queue between the message port and the runtime. The port's handler may push at any time, also while a request is
/// being worked on; a `Cancel` takes effect at once instead of queueing.
#[derive(Debug, Default)]
pub struct Inbox {
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Request>,
    cancelled: HashSet<RequestId>,
    current: Option<RequestId>,
    on_request: Option<Waker>,
    on_cancel: Option<Waker>,
}

impl Inbox {
    /// Takes a request.
    pub fn push(&self, request: Request) {
        let mut inner = self.inner.borrow_mut();
        let waker = if let Request::Cancel { id } = request {
            let waits = inner.current == Some(id)
                || inner.queue.iter().any(|queued| queued.id() == Some(id));
            if waits {
                inner.cancelled.insert(id);
            }
            inner.on_cancel.take()
        } else {
            inner.queue.push_back(request);
            inner.on_request.take()
        };
        drop(inner);
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
}
