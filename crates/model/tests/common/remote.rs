//! A network in memory: a source whose bytes come in chunks of hostile sizes, and a store that counts.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use model::convert::{
    Checkpoint, ConvertOptions, FinishedShard, PackageStore, StreamLimits, Streamed, plan_remote,
    stream,
};
use model::manifest::FileHash;
use model::source::{ByteRange, MemorySource, RemoteSource, Source as _, read_range};
use model::{Error, hash};

/// Waits a moment once, as a network does.
async fn wait() {
    let mut has_waited = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut has_waited, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Runs a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// How the bytes of files are cut into chunks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// All that is left.
    Whole,
    /// This many.
    Every(u64),
    /// One by one up to this offset, then any number up to 64 KiB, repeatably.
    BytesUpTo(u64),
    /// The first chunk ends here, and every chunk behind it is `every` bytes long.
    From { first: u64, every: u64 },
    /// Any number up to this one, repeatably.
    Random(u64),
}

/// How an answer is not what was asked for. None of this is an error of the connection: the bytes look like an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Only so many of its bytes come.
    Short(u64),
    /// Its bytes come twice.
    Doubled,
    /// Bytes from this far behind come in their place, and from the front again where the file ends.
    Elsewhere(u64),
    /// The bytes of the answer before come once more.
    Again,
}

/// Files behind a network.
pub(crate) struct Remote<'s> {
    pub(crate) files: &'s MemorySource,
    pub(crate) cut: Cut,
    /// Bytes that came, by range and by stream.
    pub(crate) read_bytes: u64,
    pub(crate) next_bytes: u64,
    /// How many ranges were asked for.
    pub(crate) n_read: u64,
    /// Answers so far.
    pub(crate) n_answers: u64,
    /// The answer, by its number from 0, that is a lie.
    pub(crate) lie: Option<(u64, Lie)>,
    /// A file that ends here, whatever length it is said to have.
    pub(crate) end: Option<(String, u64)>,
    pub(crate) random: u64,
    /// The last answer.
    last: Vec<u8>,
}

impl<'s> Remote<'s> {
    pub(crate) fn new(files: &'s MemorySource, cut: Cut) -> Remote<'s> {
        Remote {
            files,
            cut,
            read_bytes: 0,
            next_bytes: 0,
            n_read: 0,
            n_answers: 0,
            lie: None,
            end: None,
            random: 1,
            last: Vec::new(),
        }
    }

    /// A number below `n`, repeatably.
    fn below(&mut self, n: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005) + 1;
        (self.random >> 33) % n
    }

    /// What comes for a range.
    fn answer(&mut self, range: &ByteRange) -> Result<Vec<u8>, Error> {
        let number = self.n_answers;
        self.n_answers += 1;
        let lie = self.lie.filter(|(at, _)| *at == number).map(|(_, lie)| lie);
        let right = self.bytes(range)?;
        let bytes = match lie {
            None => right,
            Some(Lie::Short(n)) => right[..right.len().min(n as usize)].to_vec(),
            Some(Lie::Doubled) => [&right[..], &right].concat(),
            Some(Lie::Elsewhere(distance)) => {
                let file_bytes = self.files.len(&range.file)?.unwrap_or(0);
                let room = file_bytes.saturating_sub(range.bytes);
                let offset = (range.offset + distance) % (room + 1);
                self.bytes(&ByteRange {
                    offset,
                    ..range.clone()
                })?
            }
            Some(Lie::Again) => self.last.clone(),
        };
        self.last.clone_from(&bytes);
        Ok(bytes)
    }

    /// The bytes of a range, as far as the file goes.
    fn bytes(&self, range: &ByteRange) -> Result<Vec<u8>, Error> {
        let end = (self.end.as_ref()).filter(|(file, _)| *file == range.file);
        let room = end.map_or(range.bytes, |(_, end)| end.saturating_sub(range.offset));
        read_range(
            self.files,
            &ByteRange {
                bytes: range.bytes.min(room),
                ..range.clone()
            },
        )
    }
}

impl RemoteSource for Remote<'_> {
    type Error = Error;

    async fn files(&mut self) -> Result<Vec<String>, Error> {
        wait().await;
        model::source::Source::files(self.files)
    }

    async fn len(&mut self, file: &str) -> Result<Option<u64>, Error> {
        self.files.len(file)
    }

    async fn read(&mut self, range: &ByteRange) -> Result<Vec<u8>, Error> {
        wait().await;
        self.read_bytes += range.bytes;
        self.n_read += 1;
        self.answer(range)
    }

    async fn next(&mut self, file: &str, offset: u64) -> Result<Vec<u8>, Error> {
        wait().await;
        let left = self.files.len(file)?.unwrap_or(0).saturating_sub(offset);
        let n = match self.cut {
            Cut::Whole => left,
            Cut::Every(n) => n,
            Cut::BytesUpTo(header) if offset < header => 1,
            Cut::BytesUpTo(_) => 1 + self.below(65_536),
            Cut::From { first, .. } if offset < first => first - offset,
            Cut::From { every, .. } => every,
            Cut::Random(most) => 1 + self.below(most),
        };
        let range = ByteRange {
            file: file.to_string(),
            offset,
            bytes: n.min(left),
        };
        self.next_bytes += range.bytes;
        self.answer(&range)
    }
}

/// A package in memory, and what was put aside.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) aside: BTreeMap<u32, Vec<u8>>,
    pub(crate) n_aside: usize,
    /// The last one that was noted, as text.
    pub(crate) checkpoint: Option<String>,
    /// After so many shards the device is full.
    pub(crate) room: Option<usize>,
}

impl PackageStore for Kept {
    type Error = Error;

    async fn put_shard(&mut self, shard: FinishedShard) -> Result<(), Error> {
        wait().await;
        if let Some(room) = &mut self.room {
            *room = room.checked_sub(1).ok_or(Error::Cancelled)?;
        }
        self.put_file(&shard.file, shard.bytes).await
    }

    async fn put_file(&mut self, file: &FileHash, bytes: Vec<u8>) -> Result<(), Error> {
        hash::check_hash(file, &bytes)?;
        assert!(!self.files.contains_key("manifest.json"), "it comes last");
        let before = self.files.insert(file.file.clone(), bytes);
        assert!(before.is_none(), "{} is stored twice", file.file);
        Ok(())
    }

    async fn note(&mut self, checkpoint: Checkpoint) -> Result<(), Error> {
        for file in checkpoint.stored() {
            hash::check_hash(file, &self.files[&file.file])?;
        }
        self.checkpoint = Some(serde_json::to_string(&checkpoint).unwrap());
        Ok(())
    }

    async fn put_aside(&mut self, number: u32, bytes: Vec<u8>) -> Result<(), Error> {
        wait().await;
        self.n_aside += 1;
        assert!(self.aside.insert(number, bytes).is_none());
        Ok(())
    }

    async fn read_aside(&mut self, number: u32) -> Result<Vec<u8>, Error> {
        wait().await;
        Ok(self.aside[&number].clone())
    }

    async fn drop_aside(&mut self, number: u32) -> Result<(), Error> {
        assert!(self.aside.remove(&number).is_some());
        Ok(())
    }
}

/// Plans and converts.
pub(crate) fn stream_all(
    remote: &mut Remote<'_>,
    options: &ConvertOptions,
    limits: &StreamLimits,
    published: &BTreeMap<String, String>,
) -> Result<(Streamed, Kept), Error> {
    let mut store = Kept::default();
    let streamed = block_on(async {
        let plan = plan_remote(remote, options, limits).await?;
        let progress = &mut |_: &model::convert::Progress<'_>| std::ops::ControlFlow::Continue(());
        stream(remote, &mut store, &plan, published, None, limits, progress).await
    })?;
    Ok((streamed, store))
}
