//! `convert`, `inspect` and `verify` on valid and on broken checkpoints.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use fixtures::TempDir;
use support::{names, package, str, tern_ok, tern_refuses};

#[test]
fn every_packed_fixture_becomes_a_package_that_verifies() {
    for (fixture, variant) in fixtures::PACKED {
        for options in [
            &["--embed", "f16"][..],
            &["--embed", "q6", "--group", "32", "--coding", "t5"],
            &["--embed", "q4"],
        ] {
            let folder = TempDir::new("convert");
            let package = package(&folder, &format!("{fixture}/{variant}"), options);
            assert_eq!(names(folder.path()), ["package"], "nothing but the package");
            let verified = tern_ok(&["verify", str(&package)]);
            assert!(
                verified.starts_with(&format!("{variant} is whole: ")),
                "{verified}"
            );
            let inspected = tern_ok(&["inspect", str(&package)]);
            let storage = match options[1] {
                "f16" => "ternary 2 bits (b2), embedding f16",
                "q4" => "ternary 2 bits (b2), embedding q4 in groups of 32",
                _ => "ternary 1.6 bits (t5), embedding q6 in groups of 32",
            };
            assert!(inspected.contains(storage), "{inspected}");
        }
    }
}

#[test]
fn conversion_is_deterministic_and_replaces_only_on_request() {
    let folder = TempDir::new("again");
    let first = package(&folder, "g256/packed", &["--coding", "t5"]);
    let read = || -> Vec<(String, Vec<u8>)> {
        let read = |name: String| (name.clone(), std::fs::read(first.join(name)).unwrap());
        names(&first).into_iter().map(read).collect()
    };
    let before = read();
    let input = fixtures::path("g256/packed");
    let again = ["convert", str(&input), str(&first), "--coding", "t5"];
    assert!(tern_refuses(&again).contains("exists already"));
    tern_ok(&[&again[..], &["--replace"]].concat());
    assert!(read() == before);
    // Something that is not a package is never replaced.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("precious"), "x").unwrap();
    tern_refuses(&["convert", str(&input), str(&other), "--replace"]);
    assert_eq!(names(&other), ["precious"]);
}

#[test]
fn inspect_says_what_a_checkpoint_is() {
    let text = tern_ok(&["inspect", str(&fixtures::path("g256/packed"))]);
    for piece in [
        "checkpoint",
        "squared ReLU",
        "sub-norms",
        "2 layers, hidden 256, ffn 768, 4 query and 2 key-value heads of 64, vocabulary 384, 256 positions",
        "multiply",
        "tokenizer.json, with a chat template",
        "379, 380",
        "at 256 tokens of context",
    ] {
        assert!(text.contains(piece), "{piece} in {text}");
    }
    let text = tern_ok(&["inspect", str(&fixtures::path("llama320/packed_div"))]);
    for piece in [
        "SiLU",
        "no sub-norms",
        "separate head",
        "divide",
        "only token ids can be used",
    ] {
        assert!(text.contains(piece), "{piece} in {text}");
    }
}

#[test]
fn name_and_licence_can_be_given() {
    let folder = TempDir::new("named");
    let package = package(
        &folder,
        "g256/packed",
        &["--name", "Tiny", "--license", "CC0-1.0"],
    );
    let text = tern_ok(&["inspect", str(&package)]);
    assert!(text.contains("Tiny") && text.contains("CC0-1.0"), "{text}");
    assert!(tern_ok(&["verify", str(&package)]).starts_with("Tiny is whole"));
}

#[test]
fn broken_checkpoints_are_refused_with_one_line_and_leave_nothing() {
    // The valid one first, or the rest proves nothing.
    let folder = TempDir::new("base");
    package(&folder, "malformed/base/hf-packed", &[]);
    let faults = fixtures::faults();
    assert_eq!(faults.len(), 33);
    for fault in faults {
        let folder = TempDir::new("malformed");
        let input = folder.path().join("input");
        fixtures::write_faulty_checkpoint(&fault, &input);
        let before = names(&input);
        let line = tern_refuses(&[
            "convert",
            str(&input),
            str(&folder.path().join("made/output")),
        ]);
        let missing = fault.missing_mention(&line);
        assert!(
            missing.is_none(),
            "{}: {missing:?} is not in: {line}",
            fault.file
        );
        assert_eq!(names(folder.path()), ["input"], "{}", fault.file);
        assert_eq!(names(&input), before, "{}", fault.file);
        assert!(line.len() < 600, "{line}");
    }
}

#[test]
fn tokenizers_that_could_not_be_used_are_refused_before_anything_is_written() {
    let checks: [(&str, serde_json::Value, &str); 2] = [
        (
            "/decoder",
            serde_json::json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
            "WordPiece",
        ),
        (
            "/post_processor/processors/1/special_tokens",
            serde_json::json!({}),
            "begin_of_text",
        ),
    ];
    for (place, value, word) in checks {
        let folder = TempDir::new("tokenizer");
        let input = folder.path().join("input");
        fixtures::copy_folder(&fixtures::path("malformed/base/hf-packed"), &input);
        let mut json: serde_json::Value = fixtures::json("malformed/base/hf-packed/tokenizer.json");
        *json.pointer_mut(place).unwrap() = value;
        std::fs::write(input.join("tokenizer.json"), json.to_string()).unwrap();
        let line = tern_refuses(&["convert", str(&input), str(&folder.path().join("output"))]);
        assert!(line.contains(word), "{line}");
        assert_eq!(names(folder.path()), ["input"]);
    }
}

#[test]
fn damage_to_a_package_is_found_by_every_command() {
    let folder = TempDir::new("damage");
    let package = package(&folder, "g256/packed", &[]);
    let shard = names(&package)
        .into_iter()
        .find(|name| name != "manifest.json" && name != "tokenizer.json")
        .unwrap();
    for file in [shard.as_str(), "tokenizer.json"] {
        let path = package.join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        let cut = whole[..whole.len() - 1].to_vec();
        for (damaged, word) in [(flipped, "SHA-256"), (cut, "length")] {
            std::fs::write(&path, damaged).unwrap();
            let run = [
                "run",
                "--model",
                str(&package),
                "--device",
                "cpu",
                "--raw",
                "--prompt",
                "x",
            ];
            for args in [&["verify", str(&package)][..], &run] {
                let line = tern_refuses(args);
                assert!(line.contains(file) && line.contains(word), "{line}");
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert!(tern_refuses(&["verify", str(&package)]).contains(file));
        std::fs::write(&path, whole).unwrap();
    }
    tern_ok(&["verify", str(&package)]);
    let manifest = package.join("manifest.json");
    let json = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, &json[..json.len() / 2]).unwrap();
    assert!(tern_refuses(&["verify", str(&package)]).contains("manifest.json"));
}
