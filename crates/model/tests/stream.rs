//! A checkpoint that is converted while it comes gives the same bytes as one that lies in a folder.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;

use common::remote::{Cut, Kept, Remote, block_on, stream_all};
use common::{convert_source, folder_in_memory};
use fixtures::safetensors::{File, Tensor};
use fixtures::{TempDir, faults, write_faulty_checkpoint};
use model::checkpoint::I2sBlock;
use model::convert::{
    ConvertOptions, EmbedFormat, StreamLimits, convert_folder, plan_remote, stream,
};
use model::source::MemorySource;
use model::{Coding, Error};

/// A fixture's files and the options that it needs.
fn checkpoint(folder: &str, name: &str) -> (MemorySource, ConvertOptions) {
    let path = fixtures::path(folder).join(name);
    let mut options = ConvertOptions::new("test");
    if path.is_dir() {
        return (folder_in_memory(&path), options);
    }
    options.file = Some(name.to_string());
    if name.contains("i2_s-64") {
        options.overrides.i2s = Some(I2sBlock::Of64);
    }
    let files = [(name.to_string(), std::fs::read(&path).unwrap())];
    (MemorySource::new(files), options)
}

fn all_checkpoints() -> Vec<(String, MemorySource, ConvertOptions)> {
    let golden = fixtures::VARIANTS.map(|(folder, name)| (folder, name));
    let broken = [
        ("malformed/base", "hf-packed"),
        ("malformed/base", "hf-bin"),
    ];
    let names = golden.into_iter().chain(broken);
    names
        .map(|(folder, name)| {
            let (source, options) = checkpoint(folder, name);
            (format!("{folder}/{name}"), source, options)
        })
        .collect()
}

/// Every limit so low that nearly everything that waits is put aside.
fn tight() -> StreamLimits {
    StreamLimits {
        waiting_bytes: 1000,
        ..StreamLimits::default()
    }
}

fn check_same(
    name: &str,
    source: &MemorySource,
    options: &ConvertOptions,
    cut: Cut,
    limits: &StreamLimits,
) -> Kept {
    let (_, expected) = convert_source(source, options).unwrap();
    let mut remote = Remote::new(source, cut);
    let (streamed, store) = stream_all(&mut remote, options, limits, &BTreeMap::new())
        .unwrap_or_else(|error| panic!("{name}, {cut:?}: {error}"));
    for (file, bytes) in expected.files() {
        assert!(
            store.files.get(file) == Some(bytes),
            "{name}, {cut:?}: {file} differs"
        );
    }
    assert_eq!(store.files.len(), expected.files().len(), "{name}");
    assert!(store.aside.is_empty(), "{name}: what was put aside is gone");
    assert_eq!(
        streamed.manifest.to_json(),
        expected.get("manifest.json").unwrap()
    );
    let listed = streamed.manifest.source.files.iter().map(|file| file.bytes);
    assert_eq!(
        remote.next_bytes,
        listed.sum::<u64>(),
        "{name}: each byte comes once"
    );
    store
}

#[test]
fn every_format_streams_to_the_same_bytes() {
    for (name, source, options) in all_checkpoints() {
        for cut in [Cut::Whole, Cut::Every(4093), Cut::BytesUpTo(5000)] {
            check_same(&name, &source, &options, cut, &StreamLimits::default());
        }
    }
}

#[test]
fn what_waits_may_be_put_aside() {
    let mut n_aside = 0;
    for (name, source, options) in all_checkpoints() {
        n_aside += check_same(&name, &source, &options, Cut::Every(100_003), &tight()).n_aside;
    }
    assert!(n_aside > 200, "{n_aside}");
}

/// Publishers order tensors by type, by name, or as the model computes.
#[test]
fn the_order_of_tensors_in_a_file_does_not_matter() {
    let (mut source, options) = checkpoint("g256", "packed");
    let file = File::parse(source.get("model.safetensors").unwrap());
    let orders: [fn(&mut Vec<Tensor>); 3] = [
        |tensors| tensors.reverse(),
        |tensors| tensors.sort_by_key(|it| (it.dtype != "BF16", it.name.clone())),
        |tensors| tensors.sort_by_key(|it| (it.dtype == "BF16", it.name.clone())),
    ];
    for order in orders {
        let mut file = file.clone();
        order(&mut file.tensors);
        source.insert("model.safetensors", file.to_bytes());
        for limits in [tight(), StreamLimits::default()] {
            check_same("ordered", &source, &options, Cut::Every(30_011), &limits);
        }
    }
}

#[test]
fn options_give_the_same_bytes_too() {
    let (source, options) = checkpoint("g256", "master");
    for (embed, coding) in [
        (EmbedFormat::F16, Coding::T5),
        (EmbedFormat::Q6 { group: 32 }, Coding::B2),
        (EmbedFormat::Q4, Coding::T5),
    ] {
        let options = ConvertOptions {
            embed,
            coding,
            ..options.clone()
        };
        check_same("master", &source, &options, Cut::Every(7919), &tight());
    }
}

#[test]
fn a_border_at_every_byte_of_a_small_checkpoint_changes_nothing() {
    for (folder, name) in [
        ("malformed/base", "hf-packed"),
        ("malformed/base", "base.gguf"),
    ] {
        let (source, options) = checkpoint(folder, name);
        check_same(
            name,
            &source,
            &options,
            Cut::Every(1),
            &StreamLimits::default(),
        );
    }
}

#[test]
fn broken_files_are_refused_with_the_same_words() {
    for fault in faults() {
        let folder = TempDir::new("stream-fault");
        let input = folder.path().join("in");
        write_faulty_checkpoint(&fault, &input);
        let options = ConvertOptions::new("test");
        let expected = convert_folder(
            &input,
            &folder.path().join("out"),
            false,
            &options,
            &mut |_| std::ops::ControlFlow::Continue(()),
        );
        let source = folder_in_memory(&input);
        let mut remote = Remote::new(&source, Cut::BytesUpTo(300));
        let limits = StreamLimits::default();
        let result = stream_all(&mut remote, &options, &limits, &BTreeMap::new());
        let error = result
            .err()
            .unwrap_or_else(|| panic!("{} was converted", fault.file));
        assert_eq!(
            error.to_string(),
            expected.unwrap_err().to_string(),
            "{}",
            fault.file
        );
    }
}

#[test]
fn a_file_that_is_not_the_published_one_gives_no_manifest() {
    let (source, options) = checkpoint("g256", "packed");
    let (manifest, _) = convert_source(&source, &options).unwrap();
    let mut published: BTreeMap<String, String> = (manifest.source.files.iter())
        .map(|file| (file.file.clone(), file.sha256.clone()))
        .collect();
    let run = |published: &BTreeMap<String, String>| {
        let mut store = Kept::default();
        let mut remote = Remote::new(&source, Cut::Every(65_536));
        let result = block_on(async {
            let plan = plan_remote(&mut remote, &options, &tight()).await?;
            let progress =
                &mut |_: &model::convert::Progress<'_>| std::ops::ControlFlow::Continue(());
            stream(
                &mut remote,
                &mut store,
                &plan,
                published,
                None,
                &tight(),
                progress,
            )
            .await
        });
        (result.map(drop), store)
    };
    assert!(run(&published).0.is_ok());
    for file in ["model.safetensors", "tokenizer.json", "config.json"] {
        let right = published.insert(file.to_string(), "00".repeat(32)).unwrap();
        let (result, store) = run(&published);
        assert!(
            matches!(&result, Err(Error::SourceHash { file: wrong, .. }) if wrong == file),
            "{result:?}"
        );
        assert!(!store.files.contains_key("manifest.json"));
        published.insert(file.to_string(), right);
    }
}

#[test]
fn headers_and_reads_have_limits() {
    let (source, options) = checkpoint("g256", "packed");
    let check = |limits: StreamLimits, expected: &str| {
        let mut remote = Remote::new(&source, Cut::Whole);
        let result = stream_all(&mut remote, &options, &limits, &BTreeMap::new());
        let error = result.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let limits = StreamLimits::default();
    check(
        StreamLimits {
            header_bytes: 1000,
            ..limits
        },
        "length must be at most 1000 bytes",
    );
    check(
        StreamLimits {
            read_bytes: 1000,
            ..limits
        },
        "bytes are needed at once, cannot be read by this version",
    );
}

#[test]
fn a_conversion_can_be_stopped_at_any_chunk() {
    let (source, options) = checkpoint("malformed/base", "hf-packed");
    let limits = StreamLimits::default();
    let run = |stop_at: usize| {
        let mut remote = Remote::new(&source, Cut::Every(997));
        let (mut store, mut n_calls, mut last) = (Kept::default(), 0, (0, 0));
        let result = block_on(async {
            let plan = plan_remote(&mut remote, &options, &limits).await?;
            let progress = &mut |done: &model::convert::Progress<'_>| {
                n_calls += 1;
                last = (done.bytes_done, done.bytes_total);
                if n_calls == stop_at {
                    std::ops::ControlFlow::Break(())
                } else {
                    std::ops::ControlFlow::Continue(())
                }
            };
            stream(
                &mut remote,
                &mut store,
                &plan,
                &BTreeMap::new(),
                None,
                &limits,
                progress,
            )
            .await
        });
        (result.map(drop), store, n_calls, last)
    };
    let (result, _, n_calls, (done, total)) = run(usize::MAX);
    assert!(result.is_ok() && n_calls > 5);
    assert_eq!(done, total);
    for stop_at in 1..=n_calls {
        let (result, store, ..) = run(stop_at);
        assert!(matches!(result, Err(Error::Cancelled)));
        assert!(!store.files.contains_key("manifest.json"));
    }
}
