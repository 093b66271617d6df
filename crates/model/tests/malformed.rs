//! Bad input gives one clear error line, leaves nothing behind, and never panics.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{convert_source, folder_in_memory};
use fixtures::{TempDir, faults, write_faulty_checkpoint};
use model::Error;
use model::convert::{ConvertOptions, convert_folder};
use model::source::{MemorySource, ReadFault};

fn options() -> ConvertOptions {
    ConvertOptions::new("test")
}

fn go_on(_: &model::convert::Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_models_behind_the_broken_files_convert() {
    for base in ["hf-packed", "hf-bin", ""] {
        let folder = TempDir::new("base");
        let output = folder.path().join("out");
        // The folder of the two others holds base.gguf.
        let input = fixtures::path("malformed/base").join(base);
        convert_folder(&input, &output, false, &options(), &mut go_on).unwrap();
        assert_eq!(entries(folder.path()), ["out"]);
        assert_eq!(
            entries(&output),
            ["manifest.json", "tokenizer.json", "weights-00000.bin"]
        );
    }
}

#[test]
fn every_broken_file_is_refused_by_name_and_leaves_nothing() {
    for fault in faults() {
        let folder = TempDir::new("fault");
        let input = folder.path().join("in");
        write_faulty_checkpoint(&fault, &input);
        let before = entries(&input);
        let result = convert_folder(
            &input,
            &folder.path().join("made/out"),
            false,
            &options(),
            &mut go_on,
        );
        let error = result
            .err()
            .unwrap_or_else(|| panic!("{} was converted: {}", fault.file, fault.fault));
        let message = error.to_string();
        assert!(
            fault.missing_mention(&message).is_none(),
            "{}: {message}\nlacks {:?}",
            fault.file,
            fault.mentions
        );
        assert!(
            message.len() < 600 && !message.contains('\n'),
            "{}: {message}",
            fault.file
        );
        assert_eq!(entries(folder.path()), ["in"], "{}", fault.file);
        assert_eq!(entries(&input), before, "{}", fault.file);
    }
}

#[test]
fn folders_without_a_model_say_what_is_missing() {
    let base = folder_in_memory(&fixtures::path("malformed/base/hf-packed"));
    let check = |change: fn(&mut MemorySource), expected: &str| {
        let mut source = base.clone();
        change(&mut source);
        let error = convert_source(&source, &options()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        |s| drop(s.remove("config.json")),
        "file config.json is missing",
    );
    check(
        |s| drop(s.remove("model.safetensors")),
        "file model.safetensors is missing",
    );
    check(
        |s| s.insert("config.json", b"{".to_vec()),
        "file config.json is not valid",
    );
    check(
        |s| s.insert("model.safetensors", vec![0; 7]),
        "model.safetensors: length must be at least 8",
    );
    check(
        |s| s.insert("model.safetensors", vec![]),
        "model.safetensors: length must be at least 8",
    );
    check(
        |s| s.insert("config.json", vec![b' '; 5 << 20]),
        "config.json: length must be at most 4194304",
    );
    let only = |name: &str| {
        let source = MemorySource::new([(name.to_string(), b"x".to_vec())]);
        convert_source(&source, &options()).unwrap_err().to_string()
    };
    assert!(only("pytorch_model.bin").contains("pytorch_model.bin, which begins like no known"));
    let two = ["a.bin", "b.bin"].map(|name| (name.to_string(), b"PK".to_vec()));
    let error = convert_source(&MemorySource::new(two), &options()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("several files of weights (a.bin, b.bin)"),
        "{error}"
    );
    assert!(only("manifest.json").contains("a package that is already converted cannot be read"));
    assert!(only("x").contains("file model.safetensors is missing"));
}

#[test]
fn options_are_checked() {
    let source = folder_in_memory(&fixtures::path("malformed/base/hf-packed"));
    let check = |options: ConvertOptions, expected: &str| {
        let error = convert_source(&source, &options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        ConvertOptions {
            rows_per_tile: 3,
            ..options()
        },
        "rows_per_tile must be a power of two",
    );
    check(
        ConvertOptions {
            rows_per_tile: 0,
            ..options()
        },
        "rows_per_tile must be a power of two",
    );
    let embed = model::convert::EmbedFormat::Q6 { group: 16 };
    check(
        ConvertOptions { embed, ..options() },
        "group must be 32 or 64, got 16",
    );
    check(
        ConvertOptions {
            license: Some("x".repeat(2000)),
            ..options()
        },
        "license must be at most 1024 bytes",
    );
}

/// Rewrites the header of `model.safetensors` and keeps its data.
fn with_header(
    source: &MemorySource,
    change: impl Fn(&mut serde_json::Map<String, serde_json::Value>),
) -> MemorySource {
    let file = source.get("model.safetensors").unwrap();
    let n = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&file[8..8 + n]).unwrap();
    change(&mut header);
    let json = serde_json::to_vec(&header).unwrap();
    let mut changed = source.clone();
    let bytes = [
        &(json.len() as u64).to_le_bytes()[..],
        &json,
        &file[8 + n..],
    ]
    .concat();
    changed.insert("model.safetensors", bytes);
    changed
}

#[test]
fn tensors_that_do_not_belong_are_refused() {
    const Q: &str = "model.layers.0.self_attn.q_proj.weight";
    let base = folder_in_memory(&fixtures::path("malformed/base/hf-packed"));
    assert!(convert_source(&with_header(&base, |_| {}), &options()).is_ok());
    let check = |change: fn(&mut serde_json::Map<String, serde_json::Value>), expected: &str| {
        let error = convert_source(&with_header(&base, change), &options())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    };
    let rename = |header: &mut serde_json::Map<String, serde_json::Value>, from: &str, to: &str| {
        let entry = header.remove(from).unwrap();
        header.insert(to.to_string(), entry);
    };
    let extra = "model.layers.0.self_attn.q_proj.bias";
    let error = convert_source(
        &with_header(&base, |header| {
            let begin = header[Q]["data_offsets"][0].clone();
            let entry =
                serde_json::json!({"dtype": "U8", "shape": [0], "data_offsets": [begin, begin]});
            header.insert(extra.to_string(), entry);
        }),
        &options(),
    );
    assert!(matches!(error, Err(Error::TensorUnexpected { tensor, .. }) if tensor == extra));
    let scale = format!("{Q}_scale");
    let error = convert_source(
        &with_header(&base, |header| rename(header, &scale, "other")),
        &options(),
    );
    assert!(matches!(error, Err(Error::TensorMissing { tensor, .. }) if tensor == scale));
    check(
        |h| h[Q]["dtype"] = "BOOL".into(),
        "q_proj.weight: element type must be U8 (packed ternary codes",
    );
    check(
        |h| h["model.norm.weight"]["dtype"] = "I16".into(),
        "element type must be F32, F16 or BF16, got I16",
    );
    check(
        |h| h["model.norm.weight"]["shape"] = serde_json::json!([1, 32]),
        "shape must be [32], got [1, 32]",
    );
    check(
        |h| {
            h["model.layers.0.self_attn.q_proj.weight_scale"]["shape"] =
                serde_json::json!([1, 1, 1])
        },
        "q_proj.weight_scale: shape must be [1], got [1, 1, 1]",
    );
    // Signed bytes hold the same bits; scales may have no dimension or two.
    let scales = |shape: serde_json::Value| {
        with_header(&base, move |header| {
            header[&format!("{Q}_scale")]["shape"] = shape.clone()
        })
    };
    let expected = convert_source(&base, &options()).unwrap().0.shards;
    for same in [
        with_header(&base, |header| header[Q]["dtype"] = "I8".into()),
        scales(serde_json::json!([])),
        scales(serde_json::json!([1, 1])),
    ] {
        assert_eq!(
            convert_source(&same, &options()).unwrap().0.shards,
            expected
        );
    }
}

#[test]
fn the_index_and_the_shards_must_agree() {
    let base = folder_in_memory(&fixtures::path("g256/packed-sharded"));
    let check = |change: fn(&mut serde_json::Value), expected: &str| {
        let mut source = base.clone();
        let mut index =
            serde_json::from_slice(source.get("model.safetensors.index.json").unwrap()).unwrap();
        change(&mut index);
        source.insert(
            "model.safetensors.index.json",
            serde_json::to_vec(&index).unwrap(),
        );
        let error = convert_source(&source, &options()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    const NORM: &str = "model.norm.weight";
    check(
        |i| i["weight_map"][NORM] = "absent.safetensors".into(),
        "file absent.safetensors is missing",
    );
    check(
        |i| i["weight_map"]["ghost"] = i["weight_map"][NORM].clone(),
        "tensor ghost: the index places it in",
    );
    check(
        |i| drop(i["weight_map"].as_object_mut().unwrap().remove(NORM)),
        "tensor model.norm.weight: the index places it in no file",
    );
    check(
        |i| i["weight_map"][NORM] = "a/b.safetensors".into(),
        "shard name a/b.safetensors is refused",
    );
    check(
        |i| *i = serde_json::json!({}),
        "index.json is not valid: missing field `weight_map`",
    );
}

#[test]
fn a_source_cut_anywhere_is_refused() {
    let base = folder_in_memory(&fixtures::path("malformed/base/hf-packed"));
    let whole = base.get("model.safetensors").unwrap().to_vec();
    for n in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let mut source = base.clone();
        source.insert("model.safetensors", whole[..n].to_vec());
        let error = convert_source(&source, &options()).unwrap_err().to_string();
        assert!(error.contains("model.safetensors"), "{n} bytes: {error}");
    }
}

#[test]
fn a_read_that_fails_anywhere_ends_the_conversion() {
    let base = folder_in_memory(&fixtures::path("malformed/base/hf-packed"));
    for (file, bytes) in base.files() {
        for byte in [0, bytes.len() as u64 / 2, bytes.len() as u64 - 1] {
            let mut source = base.clone();
            source.fail_at(ReadFault {
                file: file.clone(),
                byte,
            });
            let error = convert_source(&source, &options()).unwrap_err().to_string();
            assert!(error.contains(&format!("cannot read {file}")), "{error}");
        }
    }
}

#[test]
fn a_conversion_can_be_stopped_at_any_time() {
    let input = fixtures::path("g256/packed");
    let mut n_calls = 0;
    let folder = TempDir::new("stop");
    convert_folder(
        &input,
        &folder.path().join("whole"),
        false,
        &options(),
        &mut |progress| {
            n_calls += 1;
            assert!(progress.bytes_done <= progress.bytes_total);
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    for stop_at in 1..=n_calls {
        let mut call = 0;
        let result = convert_folder(
            &input,
            &folder.path().join("out"),
            false,
            &options(),
            &mut |_| {
                call += 1;
                if call == stop_at {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        assert!(
            matches!(result, Err(Error::Cancelled)),
            "stop at call {stop_at} of {n_calls}"
        );
        assert_eq!(entries(folder.path()), ["whole"]);
    }
}

#[test]
fn progress_ends_at_its_total() {
    let mut last = (0, 0);
    let folder = TempDir::new("progress");
    convert_folder(
        &fixtures::path("g256/packed"),
        &folder.path().join("out"),
        false,
        &options(),
        &mut |progress| {
            assert!(progress.bytes_done >= last.0);
            last = (progress.bytes_done, progress.bytes_total);
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    assert!(last.0 > 0);
    assert_eq!(last.0, last.1);
}
