//! Reads the source from its first byte to its last.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::checkpoint::Start;
use super::collect::Early;
use super::run::Run;
use super::{Checkpoint, PackageStore, StreamLimits, Streamed, too_long, wrong_length};
use crate::Error;
use crate::convert::{Plan, Progress};
use crate::hash::hash_bytes;
use crate::manifest::FileHash;
use crate::source::{ByteRange, RemoteSource};

/// Bytes that nobody wants between two wanted runs, for which one request is still better than two.
const GAP_BYTES: u64 = 256 * 1024;
/// Bytes that are read again at once.
const AGAIN_BYTES: u64 = 4 << 20;

/// Converts a checkpoint while it comes, with the same result as [`convert`](crate::convert::convert). `published` are SHA-256
/// hashes of the source's files, in hex, as far as they are known. With the `checkpoint` of an earlier conversion it goes on
/// there: only what the shards still lack is read of the bytes before. `progress` counts bytes of the source.
///
/// # Errors
/// If the source cannot be read, is not valid or not what was published, the store fails, or `progress` returns `Break`. The
/// store may hold shards then, but no manifest.
pub async fn stream<S: RemoteSource, K: PackageStore<Error = S::Error>>(
    source: &mut S,
    store: &mut K,
    plan: &Plan,
    published: &BTreeMap<String, String>,
    checkpoint: Option<&Checkpoint>,
    limits: &StreamLimits,
    progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Streamed, S::Error> {
    let mut lengths = Vec::new();
    for file in &plan.source_files {
        lengths.push(source.len(file).await?.unwrap_or(0));
    }
    let bytes_total = lengths.iter().fold(0u64, |sum, &n| sum.saturating_add(n));
    let start = checkpoint.and_then(|checkpoint| checkpoint.start(plan, &lengths));
    let mut start = start.unwrap_or_else(|| Start::fresh(plan));
    let place = start.place();
    let mut hashes = std::mem::take(&mut start.files);
    for hash in &hashes {
        check_published(published, hash)?;
    }
    let mut bytes_done = hashes.iter().map(|hash| hash.bytes).sum::<u64>() + start.offset;
    let (mut offset, mut hasher) = (start.offset, std::mem::take(&mut start.hasher));
    let mut run = Run::new(plan, store, *limits, start)?;
    for early in run.collector.split_before(place, GAP_BYTES, AGAIN_BYTES) {
        if read_again(source, &mut run, early).await? {
            run.note(&hashes, offset, &hasher).await?;
        }
    }
    for (index, file) in plan.source_files.iter().enumerate().skip(hashes.len()) {
        let bytes = lengths[index];
        run.begin_file(index, offset, bytes)?;
        while offset < bytes {
            let came = source.next(file, offset).await?;
            let n = came.len() as u64;
            if n == 0 || n > bytes - offset {
                return Err(Error::FileLength {
                    file: file.clone(),
                    expected: bytes.to_string(),
                    got: offset + n,
                }
                .into());
            }
            hasher.update(&came);
            offset += n;
            bytes_done += n;
            if run.take(&came).await? {
                run.note(&hashes, offset, &hasher).await?;
            }
            let done = Progress {
                bytes_done,
                bytes_total,
                what: file,
            };
            if progress(&done).is_break() {
                return Err(Error::Cancelled.into());
            }
        }
        let hash = FileHash {
            file: file.clone(),
            bytes,
            sha256: std::mem::take(&mut hasher).finish(),
        };
        check_published(published, &hash)?;
        run.end_file(&hash).await?;
        hashes.push(hash);
        offset = 0;
    }
    if let Some(missing) = run.missing_tokenizer() {
        let bytes = read_whole(source, missing, limits).await?;
        let hash = hash_bytes(missing, &bytes);
        check_known(&hashes, &hash)?;
        run.put_tokenizer(hash, bytes).await?;
    }
    run.note(&hashes, 0, &hasher).await?;
    run.finish(hashes).await
}

/// Reads runs of bytes that came before, when what they belong to was not finished. Returns whether that made shards whole.
async fn read_again<S: RemoteSource, K: PackageStore<Error = S::Error>>(
    source: &mut S,
    run: &mut Run<'_, '_, K>,
    early: Early,
) -> Result<bool, S::Error> {
    let bytes = source.read(&early.range).await?;
    if bytes.len() as u64 != early.range.bytes {
        return Err(wrong_length(&early.range, bytes.len() as u64).into());
    }
    let mut is_new = false;
    for (want, from, n) in early.parts {
        let part = bytes[from as usize..(from + n) as usize].to_vec();
        is_new |= run.give_again(&early.range.file, want, part).await?;
    }
    Ok(is_new)
}

fn check_published(published: &BTreeMap<String, String>, hash: &FileHash) -> Result<(), Error> {
    match published.get(&hash.file) {
        Some(stated) if *stated != hash.sha256 => Err(Error::SourceHash {
            file: hash.file.clone(),
            published: stated.clone(),
            got: hash.sha256.clone(),
        }),
        _ => Ok(()),
    }
}

/// A file that is read a second time must be the one that was hashed.
fn check_known(hashes: &[FileHash], hash: &FileHash) -> Result<(), Error> {
    match hashes.iter().find(|known| known.file == hash.file) {
        Some(known) if known != hash => Err(Error::FileHash {
            file: hash.file.clone(),
            expected: known.sha256.clone(),
            got: hash.sha256.clone(),
        }),
        _ => Ok(()),
    }
}

/// A file that is not read with the others.
async fn read_whole<S: RemoteSource>(
    source: &mut S,
    file: &str,
    limits: &StreamLimits,
) -> Result<Vec<u8>, S::Error> {
    let bytes = source.len(file).await?.ok_or_else(|| Error::FileMissing {
        file: file.to_string(),
        purpose: "the tokenizer",
    })?;
    if bytes > limits.header_bytes {
        return Err(too_long(file, limits.header_bytes, bytes).into());
    }
    let range = ByteRange {
        file: file.to_string(),
        offset: 0,
        bytes,
    };
    let read = source.read(&range).await?;
    if read.len() as u64 != bytes {
        return Err(wrong_length(&range, read.len() as u64).into());
    }
    Ok(read)
}
