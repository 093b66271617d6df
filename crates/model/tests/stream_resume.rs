//! A streamed conversion that ends in the middle goes on without fetching everything again, and a package that lost shards is
//! made whole again.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use common::remote::{Cut, Kept, Lie, Remote, block_on};
use common::{convert_source, folder_in_memory};
use fixtures::safetensors::{File, Tensor};
use model::Error;
use model::convert::{Checkpoint, ConvertOptions, Progress, StreamLimits, plan_remote, stream};
use model::source::MemorySource;
use serde_json::json;

/// Two layers whose embedding alone takes two shards, so that shards finish all along the way.
fn checkpoint_files(sorted_by_type: bool) -> MemorySource {
    let mut source = folder_in_memory(&fixtures::path("malformed/base/hf-packed"));
    let mut config: serde_json::Value =
        serde_json::from_slice(source.get("config.json").unwrap()).unwrap();
    let mut file = File::parse(source.get("model.safetensors").unwrap());
    let rows = 300_000u64;
    let width = config["hidden_size"].as_u64().unwrap();
    config["vocab_size"] = json!(rows);
    for tensor in &mut file.tensors {
        if tensor.name == "model.embed_tokens.weight" || tensor.name == "lm_head.weight" {
            *tensor = Tensor {
                name: tensor.name.clone(),
                dtype: "BF16".to_string(),
                shape: vec![rows, width],
                bytes: (0..rows * width)
                    .flat_map(|n| {
                        (0x3c00 | (n.wrapping_mul(2_654_435_761) >> 7 & 0x81ff) as u16)
                            .to_le_bytes()
                    })
                    .collect(),
            };
        }
    }
    if sorted_by_type {
        file.tensors
            .sort_by_key(|it| (it.dtype == "BF16", it.name.clone()));
    }
    source.insert("config.json", serde_json::to_vec(&config).unwrap());
    source.insert("model.safetensors", file.to_bytes());
    // Its tokenizer has fewer tokens; without one the vocabulary is what the embedding says.
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        source.remove(name);
    }
    source
}

struct Ended {
    result: Result<(), Error>,
    store: Kept,
    next_bytes: u64,
    read_bytes: u64,
    n_read: u64,
}

/// Goes on with a store until `until` bytes have come.
fn go_on(source: &MemorySource, store: Kept, until: u64) -> Ended {
    go_on_with(source, store, until, None)
}

/// The same over a network one of whose answers is not what was asked for, counted behind those of the headers.
fn go_on_with(
    source: &MemorySource,
    mut store: Kept,
    until: u64,
    lie: Option<(u64, Lie)>,
) -> Ended {
    let mut remote = Remote::new(source, Cut::Every(300_007));
    let options = ConvertOptions::new("test");
    let limits = StreamLimits {
        waiting_bytes: 1 << 20,
        ..StreamLimits::default()
    };
    // What was put aside in an earlier life is of no use.
    store.aside.clear();
    let checkpoint: Option<Checkpoint> =
        (store.checkpoint.as_ref()).map(|text| serde_json::from_str(text).unwrap());
    let result = block_on(async {
        let plan = plan_remote(&mut remote, &options, &limits).await?;
        (remote.read_bytes, remote.n_read) = (0, 0);
        (remote.n_answers, remote.lie) = (0, lie);
        let mut n_bytes = 0;
        let progress = &mut |done: &Progress<'_>| {
            n_bytes = done.bytes_done;
            if n_bytes >= until {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let published = &BTreeMap::new();
        stream(
            &mut remote,
            &mut store,
            &plan,
            published,
            checkpoint.as_ref(),
            &limits,
            progress,
        )
        .await
    });
    Ended {
        result: result.map(drop),
        store,
        next_bytes: remote.next_bytes,
        read_bytes: remote.read_bytes,
        n_read: remote.n_read,
    }
}

fn same(store: &Kept, expected: &MemorySource) {
    for (file, bytes) in expected.files() {
        assert!(store.files.get(file) == Some(bytes), "{file} differs");
    }
    assert_eq!(store.files.len(), expected.files().len());
    assert!(store.aside.is_empty());
}

#[test]
fn a_conversion_goes_on_from_its_last_shard() {
    for sorted_by_type in [false, true] {
        let source = checkpoint_files(sorted_by_type);
        let (_, expected) = convert_source(&source, &ConvertOptions::new("test")).unwrap();
        assert!(expected.files().len() > 3, "several shards");
        let total: u64 = source.get("model.safetensors").unwrap().len() as u64;
        let mut store = Kept::default();
        let (mut next_bytes, mut read_bytes, mut n_lives) = (0, 0, 0);
        // It dies at every tenth of the file.
        for tenth in 1..=11 {
            n_lives += 1;
            let ended = go_on(&source, store, total * tenth / 10 + total / 50);
            store = ended.store;
            next_bytes += ended.next_bytes;
            read_bytes += ended.read_bytes;
            match ended.result {
                Ok(()) => break,
                Err(Error::Cancelled) => {}
                Err(error) => panic!("{error}"),
            }
        }
        same(&store, &expected);
        assert!(n_lives > 5, "{n_lives}");
        let again = next_bytes + read_bytes - total;
        // A life loses what came since the last shard: at most the 8 MB of rows that make one, and a chunk.
        assert!(
            again < n_lives * 9_000_000,
            "{again} bytes again in {n_lives} lives"
        );
    }
}

#[test]
fn lost_shards_are_made_again_from_the_bytes_that_they_need() {
    let source = checkpoint_files(false);
    let (_, expected) = convert_source(&source, &ConvertOptions::new("test")).unwrap();
    let whole = go_on(&source, Kept::default(), u64::MAX);
    whole.result.unwrap();
    let files: Vec<String> = whole.store.files.keys().cloned().collect();
    let checkpoint = whole.store.checkpoint.unwrap();
    for lost in files.iter().filter(|file| file.starts_with("weights-")) {
        let mut checkpoint: Checkpoint = serde_json::from_str(&checkpoint).unwrap();
        checkpoint.forget(lost);
        let mut store = Kept {
            files: expected.files().clone(),
            checkpoint: Some(serde_json::to_string(&checkpoint).unwrap()),
            ..Kept::default()
        };
        store.files.remove(lost);
        store.files.remove("manifest.json");
        let ended = go_on(&source, store, u64::MAX);
        ended.result.unwrap();
        same(&ended.store, &expected);
        assert_eq!(ended.next_bytes, 0, "nothing is read from the beginning");
        let total = source.get("model.safetensors").unwrap().len() as u64;
        assert!(ended.read_bytes < total * 3 / 4 && ended.read_bytes > 0);
    }
}

/// What is read again is part of no hash of a file any more.
#[test]
fn other_bytes_than_those_that_came_before_are_noticed() {
    let (mut n_refused, mut n_harmless) = (0, 0);
    for sorted_by_type in [false, true] {
        let source = checkpoint_files(sorted_by_type);
        let (_, expected) = convert_source(&source, &ConvertOptions::new("test")).unwrap();
        let total: u64 = source.get("model.safetensors").unwrap().len() as u64;
        for part in [2, 4, 7] {
            let first = || go_on(&source, Kept::default(), total * part / 10);
            let honest = go_on(&source, first().store, u64::MAX);
            honest.result.unwrap();
            for answer in 0..honest.n_read {
                for lie in [
                    Lie::Elsewhere(2),
                    Lie::Elsewhere(70_001),
                    Lie::Again,
                    Lie::Doubled,
                    Lie::Short(9),
                ] {
                    let ended = go_on_with(&source, first().store, u64::MAX, Some((answer, lie)));
                    match ended.result {
                        Ok(()) => {
                            same(&ended.store, &expected);
                            n_harmless += 1;
                        }
                        Err(Error::SourceChanged { .. } | Error::FileLength { .. }) => {
                            n_refused += 1;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    }
    assert!(n_refused > 10, "{n_refused} {n_harmless}");
}

#[test]
fn a_lost_shard_that_becomes_another_one_is_refused() {
    let source = checkpoint_files(false);
    let (_, expected) = convert_source(&source, &ConvertOptions::new("test")).unwrap();
    let whole = go_on(&source, Kept::default(), u64::MAX);
    let mut checkpoint: Checkpoint =
        serde_json::from_str(&whole.store.checkpoint.unwrap()).unwrap();
    let lost = "weights-00001.bin";
    checkpoint.forget(lost);
    let mut store = Kept {
        files: expected.files().clone(),
        checkpoint: Some(serde_json::to_string(&checkpoint).unwrap()),
        ..Kept::default()
    };
    store.files.remove(lost);
    store.files.remove("manifest.json");
    let ended = go_on_with(&source, store, u64::MAX, Some((0, Lie::Elsewhere(64))));
    let error = ended.result.unwrap_err();
    let is_it = matches!(&error, Error::FileHash { file, .. } if file == lost);
    assert!(is_it, "{error}");
    assert!(!ended.store.files.contains_key("manifest.json"));
}

#[test]
fn a_checkpoint_of_something_else_is_not_used() {
    let source = checkpoint_files(false);
    let (_, expected) = convert_source(&source, &ConvertOptions::new("test")).unwrap();
    let whole = go_on(&source, Kept::default(), u64::MAX);
    let text = whole.store.checkpoint.unwrap();
    let good: serde_json::Value = serde_json::from_str(&text).unwrap();
    let damages: [fn(&mut serde_json::Value); 6] = [
        |it| it["plan"] = json!("other"),
        |it| it["hash"] = json!("00"),
        |it| it["offset"] = json!(u64::MAX),
        |it| drop(it["shards"].as_array_mut().unwrap().pop()),
        |it| it["shards"][0]["bytes"] = json!(5),
        |it| it["files"][0]["bytes"] = json!(5),
    ];
    for damage in damages {
        let mut damaged = good.clone();
        damage(&mut damaged);
        let store = Kept {
            checkpoint: Some(damaged.to_string()),
            ..Kept::default()
        };
        let ended = go_on(&source, store, u64::MAX);
        ended.result.unwrap();
        same(&ended.store, &expected);
    }
}

#[test]
fn a_store_that_is_full_ends_it_and_room_lets_it_go_on() {
    let source = checkpoint_files(false);
    let (_, expected) = convert_source(&source, &ConvertOptions::new("test")).unwrap();
    let full = go_on(
        &source,
        Kept {
            room: Some(1),
            ..Kept::default()
        },
        u64::MAX,
    );
    assert!(matches!(full.result, Err(Error::Cancelled)));
    let store = Kept {
        room: None,
        ..full.store
    };
    let ended = go_on(&source, store, u64::MAX);
    ended.result.unwrap();
    same(&ended.store, &expected);
}
