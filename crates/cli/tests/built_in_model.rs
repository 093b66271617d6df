//! The package that ships with the app, through the command line: its answer, its tokens, its loss.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use fixtures::TempDir;
use support::{str, tern_ok};

/// The built-in package of this checkout.
fn package() -> std::path::PathBuf {
    fixtures::workspace_root().join("public/models/tern-135m")
}

/// Standard output and token ids of a greedy answer.
fn answer(device: &str, prompt: &str) -> (String, Vec<u32>) {
    let folder = TempDir::new("built-in-model");
    let ids = folder.path().join("ids.json");
    let package = package();
    let output = tern_ok(&[
        "run",
        "--model",
        str(&package),
        "--greedy",
        "--device",
        device,
        "--context",
        "256",
        &format!("--ids={}", str(&ids)),
        "--prompt",
        prompt,
    ]);
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(ids).unwrap()).unwrap();
    let ids = written["ids"].as_array().unwrap().iter();
    let ids = ids.map(|id| u32::try_from(id.as_u64().unwrap()).unwrap());
    (output, ids.collect())
}

#[test]
fn gpu_and_cpu_give_the_same_answer() {
    let question = "What is the capital of France?";
    let (text, ids) = answer("gpu", question);
    assert_eq!(text.trim_end(), "The capital of France is Paris.");
    assert_eq!(answer("cpu", question), (text, ids));
}

#[test]
fn loss_is_the_reference_within_what_six_bits_cost() {
    let reference: serde_json::Value = fixtures::json("tern-135m/eval-reference.json");
    let package = package();
    let tokens = fixtures::path("tern-135m/eval.json");
    let printed = tern_ok(&[
        "eval",
        "--model",
        str(&package),
        "--kv",
        "f32",
        "--device",
        "cpu",
        "--tokens",
        str(&tokens),
    ]);
    let got: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(got["tokens"], reference["tokens"]);
    let (got, expected) = (&got["cross_entropy"], &reference["cross_entropy"]);
    let ratio = got.as_f64().unwrap() / expected.as_f64().unwrap();
    assert!((ratio - 1.0).abs() <= 0.008, "{got} instead of {expected}");
}
