//! Bytes from the network to whoever converts them, in order, each once, a few at a time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use model::download::{Head, Problem};
use protocol::{Fault, FaultCode};

use super::pinned::PinnedFile;
use crate::Blob;
use crate::fetching::Keeper;

/// Bytes that lie in it. What comes while something is stored is there when it is wanted.
const ROOM_BYTES: u64 = 4 << 20;

/// A run of bytes of one file.
pub(super) struct Pipe<B> {
    file: PinnedFile,
    /// Whether the commit or the server says which version it is.
    is_named: bool,
    /// Whether the transfer broke, and nobody can tell whether another one brings the same file.
    is_cut: Cell<bool>,
    inner: RefCell<Inner<B>>,
}

struct Inner<B> {
    queue: VecDeque<B>,
    bytes: u64,
    /// How the transfer ended.
    end: Option<Result<(), Fault>>,
    on_bytes: Option<Waker>,
    on_room: Option<Waker>,
}

impl<B: Blob> Pipe<B> {
    /// For bytes of `file`, of which `is_named` says whether other bytes can be told from it.
    pub(super) fn new(file: PinnedFile, is_named: bool) -> Self {
        Self {
            file,
            is_named,
            is_cut: Cell::new(false),
            inner: RefCell::new(Inner {
                queue: VecDeque::new(),
                bytes: 0,
                end: None,
                on_bytes: None,
                on_room: None,
            }),
        }
    }

    /// Whether the transfer was cut and can only begin again.
    pub(super) const fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// Nothing follows.
    pub(super) fn end(&self, result: Result<(), Fault>) {
        let mut inner = self.inner.borrow_mut();
        inner.end = Some(result);
        wake(&mut inner.on_bytes);
    }

    fn push(&self, bytes: B) {
        if bytes.is_empty() {
            return;
        }
        let mut inner = self.inner.borrow_mut();
        inner.bytes += bytes.len();
        inner.queue.push_back(bytes);
        wake(&mut inner.on_bytes);
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.borrow_mut();
        if inner.bytes < ROOM_BYTES {
            return Poll::Ready(());
        }
        inner.on_room = Some(context.waker().clone());
        Poll::Pending
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// Why the transfer ended before that.
    pub(super) async fn next(&self) -> Result<Option<Vec<u8>>, Fault> {
        poll_fn(|context| {
            let mut inner = self.inner.borrow_mut();
            if let Some(bytes) = inner.queue.pop_front() {
                inner.bytes -= bytes.len();
                wake(&mut inner.on_room);
                return Poll::Ready(Ok(Some(bytes.to_vec())));
            }
            match &inner.end {
                Some(Ok(())) => Poll::Ready(Ok(None)),
                Some(Err(fault)) => Poll::Ready(Err(fault.clone())),
                None => {
                    inner.on_bytes = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl<B: Blob> Keeper for Pipe<B> {
    type Bytes = B;

    async fn take(&self, _: usize, bytes: B) -> Result<Option<Problem>, Fault> {
        self.push(bytes);
        Ok(None)
    }

    async fn save(&self, _: usize, _: u64, bytes: B) -> Result<(), Fault> {
        self.push(bytes);
        poll_fn(|context| self.poll_room(context)).await;
        Ok(())
    }

    /// What was handed over can't be taken back.
    async fn forget(&self, _: usize) -> Result<(), Fault> {
        if self.is_named {
            return Err(changed(&self.file.name));
        }
        self.is_cut.set(true);
        let detail = format!(
            "the connection broke, and the server names no version of {}, so the transfer can't go on where it was",
            self.file.name
        );
        Err(Fault::new(FaultCode::Network, detail))
    }

    fn is_saving(&self) -> bool {
        true
    }

    fn hands_over(&self) -> bool {
        true
    }

    /// Of a file that nobody has pinned only the version is taken that was seen first.
    fn answered(&self, _: usize, head: &Head) -> Result<(), Fault> {
        let is_answer = matches!(head.status, 200 | 206) && !head.is_page;
        let is_other = |total| total != self.file.bytes;
        let is_new = self.file.version.is_some() && head.version != self.file.version;
        if is_answer && (head.total_bytes.is_some_and(is_other) || is_new) {
            return Err(changed(&self.file.name));
        }
        Ok(())
    }

    fn progress(&self, _: u64, _: u64) {}

    fn kept(&self, _: usize, _: u64) {}
}

/// The fault of a file that is not the one any more that it was.
pub(super) fn changed(file: &str) -> Fault {
    let detail = format!("{file} was replaced on the server while it was fetched");
    Fault::new(FaultCode::Corrupt, detail)
}
