//! The files of a model on a server, as a conversion reads them.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use model::download::{Extent, Want};
use model::source::{ByteRange, RemoteSource};
use protocol::Fault;

use super::pinned::{Pinned, PinnedFile};
use super::pipe::Pipe;
use super::{Stop, Tools};
use crate::fetching::{Order, Trying, fetch};
use crate::{Blob as _, Host};

type Transfer<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The transfer that runs. It goes on while its bytes are converted and stored.
#[derive(Default)]
pub(super) struct Line<'a> {
    transfer: RefCell<Option<Transfer<'a>>>,
    /// How many there were.
    count: Cell<u32>,
}

impl<'a> Line<'a> {
    /// Begins another transfer; the one before it is ended.
    fn begin(&self, transfer: Transfer<'a>) {
        self.count.set(self.count.get() + 1);
        *self.transfer.borrow_mut() = Some(transfer);
    }

    fn end(&self) {
        self.transfer.borrow_mut().take();
    }

    /// Does `work`, and keeps the transfers going that it begins.
    pub(super) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            loop {
                let transfer = self.transfer.borrow_mut().take();
                if let Some(mut transfer) = transfer
                    && transfer.as_mut().poll(context).is_pending()
                {
                    *self.transfer.borrow_mut() = Some(transfer);
                }
                let before = self.count.get();
                if let Poll::Ready(value) = work.as_mut().poll(context) {
                    return Poll::Ready(value);
                }
                if self.count.get() == before {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

/// The tokenizer file, once it was read as a whole. What plans need of it, a tokenizer and the package want as well; it is kept
/// outside of the worker's own memory.
pub(super) struct Read<B>(RefCell<Option<B>>);

impl<B> Default for Read<B> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

/// The file that is kept.
const KEPT_FILE: &str = "tokenizer.json";

/// Where a run of bytes goes on.
struct Run<B> {
    file: String,
    offset: u64,
    pipe: Rc<Pipe<B>>,
}

/// The files. Everything that it does has to run beside its line.
pub(super) struct WebSource<'a, 'l, H: Host> {
    tools: Tools<'a, H>,
    trying: Trying,
    line: &'l Line<'a>,
    pinned: &'l Pinned,
    read: &'l Read<H::Bytes>,
    run: Option<Run<H::Bytes>>,
    /// Whether the last transfer ended because it was cut and can't be gone on with.
    is_cut: bool,
}

impl<'a, 'l, H: Host> WebSource<'a, 'l, H> {
    pub(super) fn new(
        tools: Tools<'a, H>,
        trying: Trying,
        line: &'l Line<'a>,
        pinned: &'l Pinned,
        read: &'l Read<H::Bytes>,
    ) -> Self {
        Self {
            tools,
            trying,
            line,
            pinned,
            read,
            run: None,
            is_cut: false,
        }
    }

    /// Whether the last transfer was cut and can only begin again.
    pub(super) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether this is all of the file that is kept.
    fn is_kept(&self, range: &ByteRange) -> bool {
        let is_all = |file: &PinnedFile| range.offset == 0 && range.bytes == file.bytes;
        let limit = self.tools.policy.max_tokenizer_bytes;
        range.file == KEPT_FILE
            && range.bytes <= limit
            && self.pinned.file(&range.file).is_some_and(is_all)
    }

    /// All bytes of a range, which are asked for once.
    async fn fetch(&mut self, range: &ByteRange) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::new();
        self.begin(&range.file, range.offset, Some(range.bytes))?;
        while let Some(more) = self.more().await? {
            bytes.extend(more);
        }
        self.run = None;
        self.line.end();
        Ok(bytes)
    }

    /// Begins to fetch bytes from a place on: so many, or all.
    fn begin(&mut self, name: &str, start: u64, bytes: Option<u64>) -> Result<(), Stop> {
        let missing = || model::Error::FileMissing {
            file: name.to_owned(),
            purpose: "the model",
        };
        let file = self.pinned.file(name).ok_or_else(missing)?.clone();
        let bytes = bytes.unwrap_or_else(|| file.bytes.saturating_sub(start));
        let order = Order {
            url: file.url.clone(),
            want: Want {
                name: name.to_owned(),
                extent: Extent::Part { start, bytes },
                // What a commit names never changes.
                has_hash: self.pinned.commit.is_some(),
                held_bytes: 0,
                held_version: None,
            },
            held: None,
        };
        let pipe = Rc::new(Pipe::new(file, self.pinned.can_go_on()));
        self.run = Some(Run {
            file: name.to_owned(),
            offset: start,
            pipe: Rc::clone(&pipe),
        });
        let Tools {
            host,
            policy,
            inbox,
            ..
        } = self.tools;
        let trying = self.trying;
        self.line.begin(Box::pin(async move {
            let result = fetch(host, policy, inbox, &*pipe, trying, vec![order]).await;
            pipe.end(result);
        }));
        Ok(())
    }

    /// The next bytes of the run; none at its end.
    async fn more(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let Some(run) = &mut self.run else {
            return Ok(None);
        };
        let bytes = run.pipe.next().await;
        self.is_cut = run.pipe.is_cut();
        let bytes = bytes?;
        run.offset += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(bytes)
    }
}

impl<H: Host> RemoteSource for WebSource<'_, '_, H> {
    type Error = Stop;

    async fn files(&mut self) -> Result<Vec<String>, Stop> {
        let names = self.pinned.files.iter().map(|file| file.name.clone());
        Ok(names.collect())
    }

    async fn len(&mut self, file: &str) -> Result<Option<u64>, Stop> {
        Ok(self.pinned.file(file).map(|file| file.bytes))
    }

    async fn read(&mut self, range: &ByteRange) -> Result<Vec<u8>, Stop> {
        if range.bytes == 0 {
            return Ok(Vec::new());
        }
        let is_kept = self.is_kept(range);
        if let Some(bytes) = self.read.0.borrow().as_ref().filter(|_| is_kept) {
            return Ok(bytes.to_vec());
        }
        let mut tries = self.tools.policy.download.max_failures;
        loop {
            let read = self.fetch(range).await;
            tries = tries.saturating_sub(1);
            match read {
                Err(_) if self.is_cut && tries > 0 => {}
                Ok(bytes) if is_kept => {
                    *self.read.0.borrow_mut() = Some(H::Bytes::copied(&bytes));
                    return Ok(bytes);
                }
                read => return read,
            }
        }
    }

    async fn next(&mut self, file: &str, offset: u64) -> Result<Vec<u8>, Stop> {
        if file == KEPT_FILE
            && offset == 0
            && let Some(bytes) = self.read.0.borrow_mut().take()
        {
            return Ok(bytes.to_vec());
        }
        let goes_on = |run: &Run<H::Bytes>| run.file == file && run.offset == offset;
        if !self.run.as_ref().is_some_and(goes_on) {
            self.begin(file, offset, None)?;
        }
        Ok(self.more().await?.unwrap_or_default())
    }
}
