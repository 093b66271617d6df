//! Checkpoints that come over a network, and what a hub answers.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use model::convert::{ConvertOptions, MemorySink, StreamLimits, convert};
use model::hash::hash_bytes;
use model::hub::Listing;
use model::source::MemorySource;

use crate::mutate::Random;
use crate::remote::{Cut, Lie, Remote, stream_all};

/// The file that a hub's answer is in.
pub(crate) const LISTING: &str = "listing.json";

pub(crate) fn go_on(_: &model::convert::Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Low, so that much is put aside.
fn limits() -> StreamLimits {
    StreamLimits {
        waiting_bytes: 1 << 12,
        ..StreamLimits::default()
    }
}

/// Converts the files whole and as a stream: one succeeds if the other does, with the same files. Which of several faults is told
/// depends on the order in which they are met.
pub(crate) fn stream_it(source: &MemorySource, _: u64) -> Result<(), String> {
    // The chunks are as random as the input, and as repeatable.
    let remote = Remote::new(source, Cut::BytesUpTo(16));
    compare(source, remote, &BTreeMap::new())
}

/// The same over a network that cuts where it likes, may end a file early, and may give one answer that is not what was asked
/// for. It may fail then, but never give another package: the hashes of all files are known, as a hub states them.
pub(crate) fn network_it(source: &MemorySource, script: u64) -> Result<(), String> {
    let mut random = Random(script);
    let mut any = |n: u64| random.next() % n;
    let cut = match any(4) {
        0 => Cut::Every(1 + any(300)),
        1 => Cut::From {
            first: 1 + any(70_000),
            every: 1 + any(70_000),
        },
        // Far more than the header at once, and a few bytes at a time.
        2 => Cut::Random(30_000),
        _ => Cut::Random(100),
    };
    let mut remote = Remote::new(source, cut);
    remote.random = any(u64::MAX);
    let lie = match any(4) {
        0 => Lie::Short(any(40)),
        1 => Lie::Doubled,
        2 => Lie::Elsewhere(1 + any(70_000)),
        _ => Lie::Again,
    };
    match any(4) {
        0 => {}
        1 => {
            let files: Vec<_> = source.files().iter().collect();
            let (name, bytes) = files[any(files.len() as u64) as usize];
            remote.end = Some((name.clone(), any(bytes.len() as u64 + 1)));
        }
        // The first answers are the headers.
        2 => remote.lie = Some((any(12), lie)),
        _ => remote.lie = Some((any(200), lie)),
    }
    let files = source.files().iter();
    let published = files
        .map(|(name, bytes)| (name.clone(), hash_bytes(name, bytes).sha256))
        .collect();
    compare(source, remote, &published)
}

fn compare(
    source: &MemorySource,
    mut remote: Remote<'_>,
    published: &BTreeMap<String, String>,
) -> Result<(), String> {
    let mut sink = MemorySink::default();
    let options = ConvertOptions::new("fuzz");
    let whole = convert(source, &mut sink, &options, &mut go_on);
    let is_honest = remote.lie.is_none() && remote.end.is_none();
    let streamed = stream_all(&mut remote, &options, &limits(), published);
    match (whole, streamed) {
        (Ok(_), Ok((_, store))) => {
            let package = sink.into_source().unwrap();
            assert!(*package.files() == store.files, "another package");
            Ok(())
        }
        (Ok(_), Err(error)) if is_honest => panic!("only the stream is refused: {error}"),
        (_, Err(error)) => Err(error.to_string()),
        (Err(error), Ok(_)) => panic!("the stream is accepted, the files are not: {error}"),
    }
}

/// Reads a hub's answer: what it offers are plain names, each of which it has listed.
pub(crate) fn listing_it(source: &MemorySource, _: u64) -> Result<(), String> {
    let json = source.get(LISTING).unwrap_or_default();
    let listing = Listing::from_json(json).map_err(|error| error.to_string())?;
    let choices = listing.choices().map_err(|error| error.to_string())?;
    assert!(!choices.is_empty(), "nothing is chosen");
    for choice in choices {
        assert!(choice.files.contains(&choice.file), "{choice:?}");
        let listed = choice.files.iter().map(|file| listing.file(file).unwrap());
        let bytes: u64 = listed.map(|file| file.bytes).sum();
        assert_eq!(bytes, choice.bytes);
        let is_plain = |name: &String| !name.contains(['/', '\\']) && !name.is_empty();
        assert!(choice.files.iter().all(is_plain), "{choice:?}");
    }
    Ok(())
}
