//! Converts files behind a network while they come, on one thread and with bounded memory.
//!
//! Every file is read once, from its first byte to its last, so that one request serves it whole and its SHA-256 can be
//! compared with the one that its publisher states. The order of a file is not the order of a package: `Collector` cuts the
//! bytes that pass into the reads of the steps, a step runs as soon as it has all of them, and a shard is written as soon as
//! it has all its pieces. What waits for others meanwhile is kept in memory up to a limit; beyond it, what is needed last
//! goes into the [`PackageStore`] and comes back when its turn comes.
//!
//! Float matrices must be measured before they can be rounded. A second pass over the network would double the download of
//! models whose matrices are most of their bytes, so such a matrix waits as any other input does: in memory if it is small,
//! else in the store, which is on this device and faster than the network. It is read twice there and then removed.
//!
//! A conversion that ended in the middle goes on: a [`Checkpoint`] says which shards are stored and holds the unfinished hash of
//! the file at work. What waited then is not kept; the few bytes that it was made of are read again, and have to be those that
//! came before, of which fingerprints are kept. In the same way a package whose shards were lost in part is made whole: its last
//! checkpoint, with these shards forgotten, leads to the bytes they need, and the shards have to become what they were.

mod checkpoint;
mod collect;
mod drive;
mod keep;
mod run;

use std::future::Future;

pub use checkpoint::Checkpoint;
pub use drive::stream;

use super::{ConvertOptions, FinishedShard, Plan, Planner, Polled};
use crate::checkpoint::Need;
use crate::manifest::FileHash;
use crate::source::{ByteRange, RemoteSource};
use crate::{Error, Manifest};

/// Where a package goes that is made while its source comes.
pub trait PackageStore {
    /// What can go wrong, the errors of this crate included.
    type Error: From<Error>;

    /// Stores a finished shard.
    ///
    /// # Errors
    /// If it cannot be stored.
    fn put_shard(&mut self, shard: FinishedShard) -> impl Future<Output = Result<(), Self::Error>>;

    /// Stores another file of the package. The manifest comes last: with it the package is whole.
    ///
    /// # Errors
    /// If it cannot be stored.
    fn put_file(
        &mut self,
        file: &FileHash,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<(), Self::Error>>;

    /// Keeps this in place of the one before: what was stored up to now need not be made again.
    ///
    /// # Errors
    /// If it cannot be stored.
    fn note(&mut self, checkpoint: Checkpoint) -> impl Future<Output = Result<(), Self::Error>>;

    /// Puts bytes aside under a number that is not in use.
    ///
    /// # Errors
    /// If they cannot be stored.
    fn put_aside(
        &mut self,
        number: u32,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<(), Self::Error>>;

    /// What was put aside under a number; it stays there.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read_aside(&mut self, number: u32) -> impl Future<Output = Result<Vec<u8>, Self::Error>>;

    /// Forgets what was put aside under a number.
    ///
    /// # Errors
    /// If that is not possible.
    fn drop_aside(&mut self, number: u32) -> impl Future<Output = Result<(), Self::Error>>;
}

/// How much memory a conversion takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes that wait in memory for others. Beyond them comes what is at work: one step with its result, one shard.
    pub waiting_bytes: u64,
    /// Longest run of bytes that a step may need at once.
    pub read_bytes: u64,
    /// Longest header, and longest file that is read whole.
    pub header_bytes: u64,
}

impl Default for StreamLimits {
    /// 16 MiB that wait; reads and headers of 32 MiB.
    fn default() -> StreamLimits {
        StreamLimits {
            waiting_bytes: 16 << 20,
            read_bytes: 32 << 20,
            header_bytes: 32 << 20,
        }
    }
}

/// A conversion that succeeded.
#[derive(Debug)]
pub struct Streamed {
    /// The manifest, which is already stored.
    pub manifest: Manifest,
    /// Most bytes that were held at once: what waited, what was at work, and the shard being filled.
    pub peak_bytes: u64,
    /// Bytes that were put aside.
    pub aside_bytes: u64,
}

/// Makes a plan from the headers of files behind a network.
///
/// # Errors
/// If the source cannot be read, or the options or the checkpoint are not valid.
pub async fn plan_remote<S: RemoteSource>(
    source: &mut S,
    options: &ConvertOptions,
    limits: &StreamLimits,
) -> Result<Plan, S::Error> {
    let mut planner = Planner::new(options);
    loop {
        match planner.poll()? {
            Polled::Ready(plan) => return Ok(*plan),
            Polled::Need(Need::Files) => planner.supply_files(source.files().await?),
            Polled::Need(Need::Length { file }) => {
                let bytes = source.len(&file).await?;
                planner.supply_length(&file, bytes);
            }
            Polled::Need(Need::Bytes(range)) => {
                if range.bytes > limits.header_bytes {
                    return Err(too_long(&range.file, limits.header_bytes, range.bytes).into());
                }
                let mut bytes = planner.held(&range).to_vec();
                let rest = ByteRange {
                    file: range.file.clone(),
                    offset: range.offset + bytes.len() as u64,
                    bytes: range.bytes.saturating_sub(bytes.len() as u64),
                };
                let read = source.read(&rest).await?;
                if read.len() as u64 != rest.bytes {
                    return Err(wrong_length(&rest, read.len() as u64).into());
                }
                bytes.extend(read);
                planner.supply_bytes(&range, bytes);
            }
        }
    }
}

fn too_long(file: &str, limit: u64, got: u64) -> Error {
    Error::FileLength {
        file: file.to_string(),
        expected: format!("at most {limit}"),
        got,
    }
}

fn wrong_length(range: &ByteRange, got: u64) -> Error {
    Error::FileLength {
        file: range.file.clone(),
        expected: format!("{} at {}", range.bytes, range.offset),
        got,
    }
}
