//! Checkpoints, manifests and listings as networks bring them: cut anywhere, ended anywhere, with answers that are not what was
//! asked for. What is whole gives the same package as ever, everything else one line of an error. `cargo xtask fuzz` goes on
//! where this ends (targets `network-*` and `hub`).

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use common::remote::{Cut, Kept, Lie, Remote, block_on, stream_all};
use common::{convert_source, folder_in_memory};
use model::convert::{ConvertOptions, Plan, StreamLimits, plan, stream};
use model::hash::hash_bytes;
use model::hub::Listing;
use model::manifest::MANIFEST_FILE;
use model::source::MemorySource;
use model::{Error, Manifest};

/// A tiny model in a format, and the file of its weights.
fn formats() -> [(MemorySource, &'static str); 3] {
    let folder = |name: &str| folder_in_memory(&fixtures::path("malformed/base").join(name));
    let gguf = fixtures::bytes("malformed/base/base.gguf");
    [
        (folder("hf-packed"), "model.safetensors"),
        (folder("hf-bin"), "pytorch_model.bin"),
        (
            MemorySource::new([("base.gguf".to_string(), gguf)]),
            "base.gguf",
        ),
    ]
}

fn options() -> ConvertOptions {
    ConvertOptions::new("test")
}

/// The hashes of all files, as their publisher states them.
fn published(source: &MemorySource) -> BTreeMap<String, String> {
    let files = source.files().iter();
    files
        .map(|(name, bytes)| (name.clone(), hash_bytes(name, bytes).sha256))
        .collect()
}

/// Streams what was planned before.
fn streamed(remote: &mut Remote<'_>, plan: &Plan) -> Result<Kept, Error> {
    let mut store = Kept::default();
    let progress = &mut |_: &model::convert::Progress<'_>| ControlFlow::Continue(());
    let (limits, published) = (StreamLimits::default(), BTreeMap::new());
    let work = stream(
        remote, &mut store, plan, &published, None, &limits, progress,
    );
    block_on(work)?;
    Ok(store)
}

fn assert_one_line(error: &dyn std::fmt::Display, context: &dyn std::fmt::Debug) {
    let message = error.to_string();
    let is_good = !message.contains('\n') && message.len() < 2000;
    assert!(is_good, "{context:?}: {message}");
}

#[test]
fn a_border_at_any_byte_changes_nothing() {
    /// Each byte of a file is the border of two chunks in one of so many runs.
    const EVERY: u64 = 241;
    for (source, file) in formats() {
        let (_, expected) = convert_source(&source, &options()).unwrap();
        let plan = plan(&source, &options()).unwrap();
        for first in 1..=EVERY {
            let cut = Cut::From {
                first,
                every: EVERY,
            };
            let store = streamed(&mut Remote::new(&source, cut), &plan).unwrap();
            assert!(store.files == *expected.files(), "{file}, {cut:?}");
        }
    }
}

#[test]
fn a_file_that_ends_anywhere_is_too_short() {
    for (source, file) in formats() {
        let plan = plan(&source, &options()).unwrap();
        let bytes = source.get(file).unwrap().len() as u64;
        // Every byte of the front, where headers are, and of the end; some of what lies between.
        for end in (0..bytes).filter(|n| *n < 2000 || bytes - n < 100 || n % 97 == 0) {
            let mut remote = Remote::new(&source, Cut::Every(4096));
            remote.end = Some((file.to_string(), end));
            let error = streamed(&mut remote, &plan).err().unwrap();
            let is_it = matches!(&error, Error::FileLength { file: short, got, .. } if short == file && *got == end);
            assert!(is_it, "{end} of {bytes}: {error}");
            // Without a plan it may end in the header, which is read before.
            let mut remote = Remote::new(&source, Cut::Every(4096));
            remote.end = Some((file.to_string(), end));
            let limits = StreamLimits::default();
            let error = stream_all(&mut remote, &options(), &limits, &BTreeMap::new()).err();
            let is_it =
                matches!(&error, Some(Error::FileLength { file: short, .. }) if short == file);
            assert!(is_it, "{end} of {bytes}: {error:?}");
        }
    }
}

#[test]
fn an_answer_that_is_not_what_was_asked_for_is_noticed() {
    let lies = [0, 1, 7]
        .map(Lie::Short)
        .into_iter()
        .chain([1, 8, 255].map(Lie::Elsewhere))
        .chain([Lie::Doubled, Lie::Again]);
    let (mut n_refused, mut n_harmless) = (0, 0);
    for (source, file) in formats() {
        let (_, expected) = convert_source(&source, &options()).unwrap();
        let (limits, published) = (StreamLimits::default(), published(&source));
        let run = |lie| {
            let mut remote = Remote::new(&source, Cut::Every(3001));
            remote.lie = lie;
            let result = stream_all(&mut remote, &options(), &limits, &published);
            (remote.n_answers, result)
        };
        let (n_answers, honest) = run(None);
        honest.unwrap();
        for lie in lies.clone() {
            for number in 0..n_answers {
                let what = (file, number, lie);
                match run(Some((number, lie))).1 {
                    Err(error) => {
                        assert_one_line(&error, &what);
                        n_refused += 1;
                    }
                    // The rest of a short chunk comes with the next one; a file that is read whole lies nowhere else.
                    Ok((_, store)) => {
                        assert!(store.files == *expected.files(), "{what:?}");
                        n_harmless += 1;
                    }
                }
            }
        }
    }
    assert!(
        n_refused > 250 && n_harmless > 100,
        "{n_refused} {n_harmless}"
    );
}

#[test]
fn a_manifest_that_ends_anywhere_is_refused() {
    let (source, _) = &formats()[0];
    let (_, package) = convert_source(source, &options()).unwrap();
    let json = package.get(MANIFEST_FILE).unwrap();
    Manifest::from_json(json).unwrap();
    let whole = json.trim_ascii_end().len();
    for end in 0..whole {
        let error = Manifest::from_json(&json[..end]).err().unwrap();
        assert_one_line(&error, &end);
        // The beginning again in place of what is missing, as of a range that was not understood.
        let doubled = [&json[..end], &json[..json.len() - end]].concat();
        if let Err(error) = Manifest::from_json(&doubled) {
            assert_one_line(&error, &end);
        } else {
            assert_eq!(end, 0);
        }
    }
}

/// What hubs answer, small: `tests/data/fuzz/hub`.
#[test]
fn a_listing_that_ends_anywhere_is_refused() {
    let folder = fixtures::workspace_root().join("tests/data/fuzz/hub");
    let mut n_usable = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let json = std::fs::read(entry.unwrap().path()).unwrap();
        n_usable += usize::from(Listing::from_json(&json).is_ok_and(|it| it.choices().is_ok()));
        for end in 0..json.trim_ascii_end().len() {
            let error = Listing::from_json(&json[..end]).err().unwrap();
            assert_one_line(&error, &end);
        }
    }
    assert!(n_usable >= 2, "{n_usable}");
}
