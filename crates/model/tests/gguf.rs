//! GGUF files beyond the fixtures: other types for the same weights, other metadata, and what is refused by name.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::gguf::{File, Tensor, text};
use common::{convert_source, decode_tensor, tensor};
use half::f16;
use model::checkpoint::Overrides;
use model::convert::{ConvertOptions, plan};
use model::layout::DecodedPiece;
use model::source::MemorySource;
use model::{Activation, Encoding, Manifest, Scale};

fn base() -> File {
    File::parse(&fixtures::bytes("malformed/base/base.gguf"))
}

fn source(file: &File) -> MemorySource {
    MemorySource::new([("model.gguf".to_string(), file.to_bytes())])
}

fn converted(file: &File) -> (Manifest, MemorySource) {
    convert_source(&source(file), &ConvertOptions::new("test")).unwrap()
}

fn error(file: &File) -> String {
    let result = convert_source(&source(file), &ConvertOptions::new("test"));
    result.err().unwrap().to_string()
}

const MATRICES: [&str; 7] = [
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
];

/// Values of an I2_S tensor.
fn values(tensor: &Tensor) -> (f32, Vec<f32>) {
    let n = tensor.shape.iter().product::<u64>() as usize;
    let gamma = f32::from_le_bytes(tensor.bytes[n / 4..n / 4 + 4].try_into().unwrap());
    let code = |e: usize| tensor.bytes[e / 128 * 32 + e % 32] >> (6 - 2 * (e % 128 / 32)) & 3;
    (
        gamma,
        (0..n).map(|e| (f32::from(code(e)) - 1.0) * gamma).collect(),
    )
}

/// Blocks of 32 as llama.cpp makes them: the value of largest magnitude decides the scale.
fn q4_0(values: &[f32]) -> Vec<u8> {
    let block = |values: &[f32]| {
        let max = values
            .iter()
            .copied()
            .fold(0.0f32, |max, v| if v.abs() > max.abs() { v } else { max });
        let scale = max / -8.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        let nibble = |v: f32| ((v * inverse + 8.5) as u8).min(15);
        let mut bytes = f16::from_f32(scale).to_le_bytes().to_vec();
        bytes.extend((0..16).map(|j| nibble(values[j]) | nibble(values[j + 16]) << 4));
        bytes
    };
    values.chunks_exact(32).flat_map(block).collect()
}

fn q8_0(values: &[f32]) -> Vec<u8> {
    let block = |values: &[f32]| {
        let scale = values.iter().fold(0.0f32, |max, v| max.max(v.abs())) / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        let mut bytes = f16::from_f32(scale).to_le_bytes().to_vec();
        bytes.extend(values.iter().map(|v| (v * inverse).round() as i8 as u8));
        bytes
    };
    values.chunks_exact(32).flat_map(block).collect()
}

/// The base with its matrices in another type.
fn with_matrices(kind: u32, encode: impl Fn(&[f32]) -> Vec<u8>) -> File {
    let mut file = base();
    for name in MATRICES {
        let tensor = file.tensor(&format!("blk.0.{name}.weight"));
        tensor.bytes = encode(&values(tensor).1);
        tensor.kind = kind;
    }
    file
}

#[test]
fn other_types_give_the_same_codes() {
    let (expected, _) = converted(&base());
    let floats = |bytes: fn(f32) -> Vec<u8>| {
        move |values: &[f32]| {
            values
                .iter()
                .flat_map(|&value| bytes(value))
                .collect::<Vec<u8>>()
        }
    };
    for (kind, file, tolerance) in [
        (
            "F32",
            with_matrices(0, floats(|v| v.to_le_bytes().to_vec())),
            0.0,
        ),
        (
            "F16",
            with_matrices(1, floats(|v| f16::from_f32(v).to_le_bytes().to_vec())),
            1e-3,
        ),
        ("Q8_0", with_matrices(8, q8_0), 1e-3),
        ("Q4_0", with_matrices(2, q4_0), 1e-3),
    ] {
        let (got, _) = converted(&file);
        // Shards hold codes and rows; the multipliers are in the manifest.
        assert_eq!(got.shards, expected.shards, "{kind}");
        assert_eq!(got.source.scale_convention, "floats");
        for (got, expected) in got.tensors.iter().zip(&expected.tensors) {
            let value = |encoding| match encoding {
                Encoding::Ternary {
                    scale: Scale::Tensor { value },
                } => value,
                _ => 0.0,
            };
            let (got, expected) = (value(got.encoding), value(expected.encoding));
            assert!(
                (got - expected).abs() <= tolerance * expected,
                "{kind}: {got} {expected}"
            );
        }
    }
}

#[test]
fn matrices_of_ordinary_models_are_refused() {
    // Some values of many sizes: rounding them would ruin a model.
    for (kind, encode) in [(2, q4_0 as fn(&[f32]) -> Vec<u8>), (8, q8_0)] {
        let file = with_matrices(kind, |values| {
            let many: Vec<f32> = (0..values.len()).map(|i| ((i * i) as f32).sin()).collect();
            encode(&many)
        });
        let message = error(&file);
        assert!(
            message.contains("blk.0.attn_q.weight") && message.contains("ordinary model"),
            "{message}"
        );
    }
    // A Llama graph of floats may be an ordinary model.
    let mut file = with_matrices(0, |values| {
        (0..values.len())
            .flat_map(|i| ((i * i) as f32).sin().to_le_bytes())
            .collect()
    });
    file.rename("llama");
    file.tensors
        .retain(|tensor| !tensor.name.contains("sub_norm"));
    let message = error(&file);
    assert!(message.contains("--weights masters"), "{message}");
}

#[test]
fn rows_of_every_type_are_read() {
    let expected = {
        let (manifest, package) = converted(&base());
        decode_tensor(&manifest, &package, tensor(&manifest, "embed"))
    };
    let mut file = base();
    let embed = file.tensor("token_embd.weight");
    assert_eq!(embed.kind, 1, "the fixture has halves");
    let values: Vec<f32> = embed
        .bytes
        .chunks_exact(2)
        .take(264 * 32)
        .map(|b| f16::from_le_bytes(b.try_into().unwrap()).to_f32())
        .collect();
    embed.kind = 0;
    embed.bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (manifest, package) = converted(&file);
    assert_eq!(
        decode_tensor(&manifest, &package, tensor(&manifest, "embed")),
        expected
    );
    let embed = file.tensor("token_embd.weight");
    embed.kind = 8;
    embed.bytes = q8_0(&values);
    let (manifest, package) = converted(&file);
    let got = decode_tensor(&manifest, &package, tensor(&manifest, "embed"));
    let (DecodedPiece::Rows { scales: got, .. }, DecodedPiece::Rows { scales, .. }) =
        (&got[0], &expected[0])
    else {
        panic!("rows")
    };
    for (got, expected) in got.iter().zip(scales) {
        assert!(
            (got - expected).abs() <= expected * 0.01,
            "{got} {expected}"
        );
    }
}

#[test]
fn types_are_refused_by_name() {
    for (kind, expected) in [
        (12, "of type 12 (Q4_K)"),
        (14, "of type 14 (Q6_K)"),
        (38, "of type 38 (TL1) (weights tiled"),
        (42, "of type 42 (Q2_0) (a scale for each group"),
        (142, "of type 142 (PQ2_0) (needs a Hadamard"),
        (200, "of type 200 (unknown)"),
    ] {
        let mut file = base();
        let tensor = file.tensor("blk.0.ffn_down.weight");
        tensor.kind = kind;
        if kind == 14 {
            tensor.shape = vec![256, 8];
            tensor.bytes = vec![0; 8 * 210];
            let message = error(&file);
            assert!(message.contains("shape must be [32, 64]"), "{message}");
            continue;
        }
        let message = error(&file);
        assert!(
            message.contains("blk.0.ffn_down.weight") && message.contains(expected),
            "{message}"
        );
    }
}

#[test]
fn the_activation_follows_metadata_name_and_vocabulary() {
    let activation = |change: &dyn Fn(&mut File), overrides: Overrides| {
        let mut file = base();
        change(&mut file);
        let options = ConvertOptions {
            overrides,
            ..ConvertOptions::new("test")
        };
        let plan = plan(&source(&file), &options).unwrap();
        let says = plan.notes.iter().any(|note| note.contains("activation"));
        (plan.architecture.activation, says)
    };
    let none = Overrides::default();
    for name in ["bitnet-b1.58", "bitnet-25"] {
        assert_eq!(
            activation(&|f| f.rename(name), none),
            (Activation::Relu2, false),
            "{name}"
        );
    }
    // Nothing says it: SiLU, and a note.
    assert_eq!(
        activation(&|f| f.rename("bitnet"), none),
        (Activation::Silu, true)
    );
    let stated = |f: &mut File| {
        f.rename("bitnet");
        f.set("bitnet.hidden_act", Some((8, text("relu2"))));
    };
    assert_eq!(activation(&stated, none), (Activation::Relu2, false));
    let said = Overrides {
        activation: Some(Activation::Relu2),
        ..none
    };
    assert_eq!(
        activation(&|f| f.rename("bitnet"), said),
        (Activation::Relu2, false)
    );
}

#[test]
fn metadata_that_changes_the_computation_is_refused() {
    let check = |key: &str, value: Option<(u32, Vec<u8>)>, expected: &str| {
        let mut file = base();
        file.rename("bitnet-25");
        file.set(key, value);
        let message = error(&file);
        assert!(message.contains(expected), "{message}");
    };
    let number = |n: u32| Some((4, n.to_le_bytes().to_vec()));
    let word = |word: &str| Some((8, text(word)));
    check(
        "bitnet-25.rope.scaling.type",
        word("yarn"),
        "rope.scaling.type must be none",
    );
    check(
        "bitnet-25.rope.scaling.type",
        word("linear"),
        "rope.scaling.type must be none",
    );
    check(
        "bitnet-25.expert_count",
        number(8),
        "expert_count must be 0, got 8",
    );
    check("split.count", number(2), "join the parts");
    check(
        "bitnet-25.rope.dimension_count",
        number(8),
        "the width of a head, 16, got 8",
    );
    check(
        "bitnet-25.block_count",
        None,
        "key bitnet-25.block_count is missing",
    );
    check(
        "bitnet-25.block_count",
        word("x"),
        "block_count must be a whole number",
    );
    check("bitnet-25.attention.head_count_kv", number(0), "kv_heads");
    check("general.architecture", word("qwen3"), "architecture qwen3");
    check(
        "tokenizer.ggml.model",
        word("bert"),
        "a tokenizer of kind bert",
    );
    check("tokenizer.ggml.pre", word("other"), "pre-tokenizer other");
    check("tokenizer.ggml.pre", None, "tokenizer.ggml.pre is missing");
    check(
        "tokenizer.ggml.eos_token_id",
        number(5000),
        "below the number of tokens",
    );
    // The converter of BitNet models writes a scaling by 1.
    let mut file = base();
    file.rename("bitnet-25");
    file.set("bitnet-25.rope.scaling.type", word("linear"));
    file.set(
        "bitnet-25.rope.scaling.factor",
        Some((6, 1f32.to_le_bytes().to_vec())),
    );
    converted(&file);
}
