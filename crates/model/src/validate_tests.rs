#![allow(clippy::unwrap_used, reason = "tests")]

use std::ops::ControlFlow;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::convert::{ConvertOptions, MemorySink, convert};
use crate::source::FolderSource;
use crate::{Encoding, Scale};

/// The manifest of a small real package.
fn manifest() -> Manifest {
    static MANIFEST: std::sync::OnceLock<Manifest> = std::sync::OnceLock::new();
    let make = || {
        let source = FolderSource::new(&fixtures::path("g256/packed")).unwrap();
        let options = ConvertOptions {
            license: Some("MIT".into()),
            rows_per_tile: 16,
            ..ConvertOptions::new("test")
        };
        convert(&source, &mut MemorySink::default(), &options, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap()
    };
    MANIFEST.get_or_init(make).clone()
}

fn check(change: impl Fn(&mut Manifest), expected: &str) {
    let mut manifest = manifest();
    change(&mut manifest);
    let error = manifest.validate().unwrap_err().to_string();
    assert!(
        error.contains(expected),
        "expected: {expected}\ngot: {error}"
    );
}

#[test]
fn a_manifest_survives_its_json() {
    let manifest = manifest();
    assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
}

#[test]
fn facts_are_bounded() {
    check(|m| m.schema = 2, "schema must be 1, got 2");
    check(
        |m| m.name = "x".repeat(1025),
        "name must be at most 1024 bytes, got 1025",
    );
    check(
        |m| m.license = Some("x".repeat(1025)),
        "license must be at most",
    );
    check(
        |m| m.source.files[0].file = "../config.json".into(),
        "source.files[0].file must be a plain file name",
    );
    check(
        |m| m.source.files[0].sha256 = "ABC".into(),
        "source.files[0].sha256 must be 64 lower-case",
    );
    check(
        |m| m.architecture.layers = 0,
        "architecture.layers must be from 1 to 1024, got 0",
    );
    check(
        |m| m.ternary.rows_per_tile = 0,
        "rows_per_tile must be a power of two from 1 to 64, got 0",
    );
    check(
        |m| m.ternary.rows_per_tile = 24,
        "rows_per_tile must be a power of two from 1 to 64, got 24",
    );
    check(
        |m| m.ternary.rows_per_tile = 128,
        "rows_per_tile must be a power of two from 1 to 64, got 128",
    );
    check(
        |m| m.memory[0].context = 257,
        "memory[0].context must be from 1 to 256, got 257",
    );
    check(|m| m.memory[0].weight_bytes -= 1, "which the tensors need");
    check(
        |m| m.memory = vec![m.memory[0]; 17],
        "memory must be at most 16 entries",
    );
}

#[test]
fn text_facts_are_bounded() {
    let text = |change: fn(&mut TextInfo), expected: &str| {
        check(|m| change(m.text.as_mut().unwrap()), expected)
    };
    text(
        |t| t.tokenizer.file = ".hidden".into(),
        "text.tokenizer.file must be a plain file name of at most 100 ",
    );
    text(
        |t| t.tokenizer.file = "x".repeat(101),
        "text.tokenizer.file must be a plain file name of at most 100 ",
    );
    text(
        |t| t.tokenizer.bytes = u64::MAX,
        "text.tokenizer.bytes must be from 1 to 67108864",
    );
    text(
        |t| t.chat_template = Some("x".repeat(1 << 21)),
        "text.chat_template must be at most",
    );
    text(
        |t| t.stop_ids = vec![0; 257],
        "text.stop_ids must be at most 256 ids",
    );
    text(
        |t| t.stop_ids = vec![384],
        "text.stop_ids must be below 384, got 384",
    );
    text(
        |t| t.bos.as_mut().unwrap().id = 384,
        "text.bos.id must be below 384",
    );
    text(
        |t| t.eos.as_mut().unwrap().text = "x".repeat(2000),
        "text.eos.text must be at most 1024 bytes",
    );
    let sampling = |temperature, top_p, repetition_penalty| crate::manifest::SuggestedSampling {
        temperature,
        top_p,
        repetition_penalty,
    };
    for (values, field) in [
        (sampling(f32::NAN, 1.0, 1.0), "temperature"),
        (sampling(-1.0, 1.0, 1.0), "temperature"),
        (sampling(1.0, 0.0, 1.0), "top_p"),
        (sampling(1.0, f32::INFINITY, 1.0), "top_p"),
        (sampling(1.0, 1.0, 0.0), "repetition_penalty"),
        (sampling(10.5, 1.0, 1.0), "temperature"),
        (sampling(1.0, 1e-39, 1.0), "top_p"),
        (sampling(1.0, 1.0, 0.005), "repetition_penalty"),
    ] {
        check(|m| m.text.as_mut().unwrap().sampling = Some(values), field);
    }
}

#[test]
fn shards_are_plain_files_of_bounded_size() {
    check(
        |m| m.shards.clear(),
        "shards must be from 1 to 65536 shards, got 0",
    );
    check(
        |m| m.shards[0].file = "a/b".into(),
        "shards[0].file must be a plain file name",
    );
    check(
        |m| m.shards[0].file = String::new(),
        "shards[0].file must be a plain file name",
    );
    check(
        |m| m.shards[0].file = "manifest.json".into(),
        "shards[0].file must be a name of its own",
    );
    check(
        |m| m.shards[0].file = "tokenizer.json".into(),
        "shards[0].file must be a name of its own",
    );
    check(
        |m| m.shards.push(m.shards[0].clone()),
        "shards[1].file must be a name of its own",
    );
    check(
        |m| m.shards[0].bytes = MAX_SHARD_BYTES + 1,
        "shards[0].bytes must be from 1 to 8388608",
    );
    check(|m| m.shards[0].bytes = 0, "shards[0].bytes must be from 1");
    let extra = |m: &mut Manifest| {
        let mut shard = m.shards[0].clone();
        shard.file = "extra.bin".into();
        m.shards.push(shard);
    };
    check(extra, "shards[1] must be used by a piece, got no piece");
}

#[test]
fn tensors_are_exactly_those_of_the_architecture() {
    check(
        |m| drop(m.tensors.remove(3)),
        "tensor layers.0.k is missing; the architecture needs it with shape [128, 256]",
    );
    check(
        |m| m.tensors.push(m.tensors[3].clone()),
        "tensors[24].name must be the name of a tensor of the architecture",
    );
    check(
        |m| m.tensors[3].name = "layers.9.k".into(),
        "tensors[3].name must be the name of a tensor",
    );
    check(
        |m| m.tensors[3].shape = [256, 128],
        "tensor layers.0.k: shape must be [128, 256], got [256, 128]",
    );
    check(|m| m.architecture.tied = false, "tensor lm_head is missing");
    check(
        |m| m.architecture.sub_norms = false,
        "tensors[5].name must be the name of a tensor",
    );
    check(
        |m| m.tensors[1].encoding = Encoding::F16,
        "tensor layers.0.attn_norm, encoding must be f32",
    );
    check(
        |m| m.tensors[0].encoding = Encoding::F32,
        "tensor embed, encoding must be f16, q8, q6",
    );
    check(
        |m| m.tensors[0].encoding = Encoding::Q6 { group: 48 },
        "tensor embed, encoding must be f16, q8, q6",
    );
    check(
        |m| m.tensors[0].encoding = Encoding::Q4 { group: 64 },
        "tensor embed, encoding must be f16, q8, q6",
    );
    check(
        |m| m.tensors[2].encoding = Encoding::Q8,
        "tensor layers.0.q, encoding must be ternary",
    );
    let scale = |value: f32| Encoding::Ternary {
        scale: Scale::Tensor { value },
    };
    for value in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        check(
            |m| m.tensors[2].encoding = scale(value),
            "tensor layers.0.q, row 0: scale must be finite and positive",
        );
    }
    let group = |size: u32| Encoding::Ternary {
        scale: Scale::Group { size },
    };
    check(
        |m| m.tensors[2].encoding = group(0),
        "tensor layers.0.q, encoding must be ternary",
    );
    check(
        |m| m.tensors[2].encoding = group(24),
        "tensor layers.0.q, encoding must be ternary",
    );
    check(
        |m| m.tensors[2].encoding = group(64),
        "tensor layers.0.q, pieces[0].bytes must be 18432, got 16384",
    );
}

#[test]
fn pieces_cover_each_row_once_inside_their_shards() {
    let piece = |change: fn(&mut crate::Piece), expected: &str| {
        check(|m| change(&mut m.tensors[2].pieces[0]), expected)
    };
    piece(
        |p| p.first_row = 16,
        "tensor layers.0.q, pieces[0].first_row must be 0, got 16",
    );
    piece(|p| p.n_rows = 255, "tensor layers.0.q, pieces");
    piece(
        |p| p.n_rows = 0,
        "pieces[0].n_rows must be from 1 to 256, got 0",
    );
    piece(
        |p| p.n_rows = u32::MAX,
        "pieces[0].n_rows must be from 1 to 256",
    );
    piece(
        |p| p.bytes -= 16,
        "pieces[0].bytes must be 16384, got 16368",
    );
    piece(
        |p| p.offset += 8,
        "pieces[0].offset must be a multiple of 16",
    );
    piece(
        |p| p.offset = u64::MAX - 15,
        "reach past the end of shard 0",
    );
    piece(
        |p| p.shard = 7,
        "pieces[0].shard must be below 1, the number of shards, got 7",
    );
    piece(|p| p.offset += 16, "apart from the piece before it");
    check(
        |m| m.tensors[2].pieces.clear(),
        "tensor layers.0.q, pieces must be all 256 rows, got 0 rows",
    );
    let twice = |m: &mut Manifest| {
        let piece = m.tensors[2].pieces[0];
        m.tensors[2].pieces.push(piece);
    };
    check(
        twice,
        "tensor layers.0.q, pieces[1].first_row must be 256, got 0",
    );
    let split_inside_a_tile = |m: &mut Manifest| {
        let whole = m.tensors[2].pieces[0];
        let row_bytes = whole.bytes / 256;
        let first = crate::Piece {
            n_rows: 8,
            bytes: 16 * row_bytes,
            ..whole
        };
        let second = crate::Piece {
            first_row: 8,
            n_rows: 248,
            ..whole
        };
        m.tensors[2].pieces = vec![first, second];
    };
    check(
        split_inside_a_tile,
        "pieces[1].first_row must be a multiple of 16, got 8",
    );
}

#[test]
fn other_versions_and_other_files_are_told_apart() {
    let error = |json: &str| {
        Manifest::from_json(json.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert!(
        error(r#"{"schema": 2, "brand": "new"}"#)
            .contains("schema must be 1, the version that this program reads")
    );
    assert!(error("{}").contains("manifest.json is not valid: missing field `schema`"));
    assert!(error(r#"{"schema": 1}"#).contains("manifest.json is not valid: missing field"));
    let json = manifest().to_json();
    for n in (0..json.len() - 2).step_by(37) {
        assert!(Manifest::from_json(&json[..n]).is_err());
    }
}

/// All numbers of a JSON value, by reference.
fn numbers<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::Number(_) => found.push(value),
        Value::Array(values) => values.iter_mut().for_each(|value| numbers(value, found)),
        Value::Object(values) => values.values_mut().for_each(|value| numbers(value, found)),
        _ => {}
    }
}

proptest! {
    /// Any number anywhere: an error or a manifest that is still valid, never a panic or an endless loop.
    #[test]
    fn hostile_numbers_end_in_an_error_or_a_valid_manifest(
        which in any::<prop::sample::Index>(),
        number in prop_oneof![
            any::<u64>().prop_map(Value::from), any::<u32>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from), Just(Value::from(0)), Just(Value::from(-1)),
        ],
    ) {
        let mut json: Value = serde_json::from_slice(&manifest().to_json()).unwrap();
        let mut found = Vec::new();
        numbers(&mut json, &mut found);
        let index = which.index(found.len());
        *found[index] = number;
        if let Ok(manifest) = Manifest::from_json(&serde_json::to_vec(&json).unwrap()) {
            prop_assert!(manifest.validate().is_ok());
        }
    }
}
