//! Addresses that people write, and what a hub answers.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::folder_in_memory;
use model::HubError;
use model::convert::{ConvertOptions, plan};
use model::hash::hash_bytes;
use model::hub::{Address, ChoiceKind, Hub, Listing, Repository};
use model::source::MemorySource;
use proptest::prelude::*;
use serde_json::{Value, json};

fn hub() -> Hub {
    Hub::new("https://huggingface.co").unwrap()
}

fn repository(revision: &str) -> Repository {
    Repository::new("microsoft", "bitnet-b1.58-2B-4T", revision).unwrap()
}

#[test]
fn repositories_have_many_spellings() {
    for text in [
        "microsoft/bitnet-b1.58-2B-4T",
        "  microsoft/bitnet-b1.58-2B-4T\n",
        "microsoft/bitnet-b1.58-2B-4T@main",
        "huggingface.co/microsoft/bitnet-b1.58-2B-4T",
        "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T",
        "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T/",
        "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T?library=transformers#usage",
        "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T/tree/main",
        "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T/blob/main/config.json",
    ] {
        let expected = Address::Repository(repository("main"));
        assert_eq!(hub().parse(text).unwrap(), expected, "{text}");
    }
    let expected = Address::Repository(repository("v1.0/rc"));
    let at = hub().parse("microsoft/bitnet-b1.58-2B-4T@v1.0/rc").unwrap();
    assert_eq!(at, expected);
    let mut with_file = repository("main");
    with_file.file = Some("ggml-model-i2_s.gguf".to_string());
    for view in ["blob", "resolve"] {
        let text = format!(
            "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T/{view}/main/ggml-model-i2_s.gguf?download=true"
        );
        assert_eq!(
            hub().parse(&text).unwrap(),
            Address::Repository(with_file.clone())
        );
    }
}

#[test]
fn other_servers_give_files_and_packages() {
    let gguf = |url: &str| Address::Gguf {
        url: url.to_string(),
    };
    let package = |url: &str| Address::Package {
        url: url.to_string(),
    };
    for (text, expected) in [
        ("https://a.example/m.gguf", gguf("https://a.example/m.gguf")),
        (
            "https://a.example/M.GGUF?key=1#x",
            gguf("https://a.example/M.GGUF?key=1"),
        ),
        (
            "http://localhost:8080/m.gguf",
            gguf("http://localhost:8080/m.gguf"),
        ),
        ("http://[::1]:1/m.gguf", gguf("http://[::1]:1/m.gguf")),
        (
            "https://a.example/tern/",
            package("https://a.example/tern/"),
        ),
        (
            "http://127.0.0.1/m/manifest.json",
            package("http://127.0.0.1/m/"),
        ),
    ] {
        assert_eq!(hub().parse(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_is_no_address_is_refused_in_words() {
    for (text, expected) in [
        ("", "is no address of a model"),
        ("name", "is no address of a model"),
        ("a/b/c", "is no address of a model"),
        ("a/", "the name  is not valid"),
        ("../b", "the owner .. is not valid"),
        ("a/b c", "the name b c is not valid"),
        ("a/b@", "the revision  is not valid"),
        ("a/b@../x", "the revision ../x is not valid"),
        ("ftp://a.example/m.gguf", "is no address of a model"),
        ("javascript://a/m.gguf", "is no address of a model"),
        ("https://", "is no address of a model"),
        (
            "https://user:pass@a.example/m.gguf",
            "is no address of a model",
        ),
        ("https://a.example/\\..\\m.gguf", "is no address of a model"),
        ("http://a.example/m.gguf", "models come over https only"),
        (
            "http://localhost.example/m.gguf",
            "models come over https only",
        ),
        (
            "http://127.0.0.1.example/m.gguf",
            "models come over https only",
        ),
        (
            "https://a.example/m.bin",
            "is neither a repository, nor a file",
        ),
        (
            "https://a.example/m/?x=/",
            "is neither a repository, nor a file",
        ),
        (
            "https://huggingface.co/microsoft",
            "is neither a repository, nor a file",
        ),
        (
            "https://huggingface.co/datasets/a/b",
            "is neither a repository, nor a file",
        ),
    ] {
        let error = hub().parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for origin in [
        "http://huggingface.co",
        "https://a/b",
        "a.example",
        "https://a?x",
    ] {
        assert!(Hub::new(origin).is_err(), "{origin}");
    }
}

#[test]
fn addresses_are_built_for_the_hub_that_is_given() {
    let hub = Hub::new("http://localhost:9000/").unwrap();
    let repository = repository("refs/pr/1");
    assert_eq!(
        hub.listing_url(&repository),
        "http://localhost:9000/api/models/microsoft/bitnet-b1.58-2B-4T/revision/refs%2Fpr%2F1?blobs=true"
    );
    assert_eq!(
        hub.file_url(&repository, "0123", "a b#?%.gguf"),
        "http://localhost:9000/microsoft/bitnet-b1.58-2B-4T/resolve/0123/a%20b%23%3F%25.gguf"
    );
}

const COMMIT: &str = "04c3b9ad9361b824064a1f25ea60a8be9599b127";

fn answer(siblings: Value) -> Value {
    json!({"id": "a/b", "sha": COMMIT, "private": false, "gated": false, "siblings": siblings})
}

fn listing(answer: &Value) -> Result<Listing, HubError> {
    Listing::from_json(&serde_json::to_vec(answer).unwrap())
}

/// The answer for the files of a folder, the large ones kept apart as the hub does.
fn answer_for(source: &MemorySource) -> Value {
    let sibling = |(name, bytes): (&String, &Vec<u8>)| {
        let mut sibling =
            json!({"rfilename": name, "size": bytes.len(), "blobId": "ab".repeat(20)});
        if name.ends_with(".safetensors") || name.ends_with(".gguf") {
            let sha256 = hash_bytes(name, bytes).sha256;
            sibling["lfs"] = json!({"sha256": sha256, "size": bytes.len(), "pointerSize": 135});
        }
        sibling
    };
    answer(source.files().iter().map(sibling).collect())
}

#[test]
fn choices_hold_what_a_conversion_reads() {
    for (folder, kind) in [
        ("g256/packed", ChoiceKind::Safetensors),
        ("g256/packed-sharded", ChoiceKind::Safetensors),
        ("g256/master", ChoiceKind::Safetensors),
        ("gl256/packed_div", ChoiceKind::Safetensors),
        ("malformed/base/hf-bin", ChoiceKind::Pytorch),
        ("malformed/base/hf-packed", ChoiceKind::Safetensors),
    ] {
        let source = folder_in_memory(&fixtures::path(folder));
        let listing = listing(&answer_for(&source)).unwrap();
        let choices = listing.choices().unwrap();
        assert_eq!((choices.len(), choices[0].kind), (1, kind), "{folder}");
        let options = ConvertOptions {
            file: Some(choices[0].file.clone()),
            ..ConvertOptions::new("test")
        };
        let plan = plan(&source, &options).unwrap();
        for file in &plan.source_files {
            assert!(choices[0].files.contains(file), "{folder}: {file}");
        }
        let bytes = choices[0]
            .files
            .iter()
            .map(|file| source.get(file).unwrap().len() as u64);
        assert_eq!(choices[0].bytes, bytes.sum::<u64>(), "{folder}");
        for (file, sha256) in listing.published() {
            assert_eq!(sha256, hash_bytes(&file, source.get(&file).unwrap()).sha256);
        }
    }
}

fn file(name: &str) -> Value {
    json!({"rfilename": name, "size": 10})
}

#[test]
fn of_several_models_the_ternary_ones_come_first() {
    let files =
        |names: &[&str]| listing(&answer(names.iter().map(|name| file(name)).collect())).unwrap();
    let names = |listing: &Listing| -> Vec<String> {
        let choices = listing.choices().unwrap();
        choices.into_iter().map(|choice| choice.file).collect()
    };
    assert_eq!(
        names(&files(&[
            "m-F16.gguf",
            "m-TQ1_0.gguf",
            "m-i2_s.gguf",
            "README.md"
        ])),
        ["m-i2_s.gguf", "m-TQ1_0.gguf", "m-F16.gguf"]
    );
    assert_eq!(
        names(&files(&[
            "model.safetensors",
            "config.json",
            "pytorch_model.bin",
            "x.gguf"
        ])),
        ["model.safetensors", "x.gguf"]
    );
    let sharded = files(&[
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "other.safetensors",
        "consolidated.00.pth",
    ]);
    let choices = sharded.choices().unwrap();
    assert_eq!(choices[0].file, "model.safetensors.index.json");
    assert_eq!((choices[0].files.len(), choices[0].bytes), (4, 40));
    let package = files(&[
        "manifest.json",
        "tokenizer.json",
        "weights-00000.bin",
        "x.gguf",
    ]);
    let choices = package.choices().unwrap();
    assert_eq!((choices.len(), choices[0].kind), (1, ChoiceKind::Package));
    assert_eq!(choices[0].bytes, 30);
    let split = files(&["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
    assert!(matches!(split.choices(), Err(HubError::SplitGguf { .. })));
    assert_eq!(files(&["README.md"]).choices(), Err(HubError::NoWeights));
}

#[test]
fn the_licence_is_what_card_or_tags_say() {
    let check = |change: Value, expected: Option<&str>| {
        let mut answer = answer(json!([]));
        for (key, value) in change.as_object().unwrap() {
            answer[key] = value.clone();
        }
        assert_eq!(listing(&answer).unwrap().license.as_deref(), expected);
    };
    check(json!({}), None);
    check(
        json!({"cardData": {"license": "mit"}, "tags": ["license:x"]}),
        Some("mit"),
    );
    check(
        json!({"cardData": {"license": ["apache-2.0"]}}),
        Some("apache-2.0"),
    );
    check(
        json!({"cardData": {"license": 7}, "tags": ["a", "license:gemma"]}),
        Some("gemma"),
    );
    check(json!({"cardData": null, "tags": []}), None);
    check(
        json!({"tags": [format!("license:{}", "x".repeat(65))]}),
        None,
    );
    check(json!({"tags": ["license:a\nb"]}), None);
}

#[test]
fn hostile_answers_are_refused() {
    let check = |change: fn(&mut Value), expected: &str| {
        let mut answer = answer(json!([file("a")]));
        change(&mut answer);
        let error = listing(&answer).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n') && error.len() < 600, "{error}");
    };
    check(|a| *a = json!([]), "list of files cannot be read");
    check(
        |a| a["sha"] = json!("main"),
        "commit must be 40 hexadecimal digits, got main",
    );
    check(|a| a["sha"] = json!("x\n".repeat(400)), "commit must be 40");
    check(|a| a["gated"] = json!("auto"), "signed in");
    check(|a| a["gated"] = json!(true), "signed in");
    check(|a| a["private"] = json!(true), "signed in");
    check(
        |a| a["siblings"] = json!([file("a"), file("a")]),
        "a is listed twice",
    );
    check(
        |a| a["siblings"][0]["size"] = json!(null),
        "length of a is missing",
    );
    check(|a| a["siblings"][0]["size"] = json!(-1), "cannot be read");
    check(
        |a| a["siblings"][0]["size"] = json!(1u64 << 41),
        "at most 1099511627776",
    );
    check(
        |a| a["siblings"][0]["lfs"] = json!({"sha256": "00", "size": 1}),
        "SHA-256 of a must be 64 hexadecimal digits",
    );
    check(
        |a| a["siblings"] = (0..10_001).map(|n| file(&n.to_string())).collect(),
        "more than 10000 files",
    );
    let long = vec![b' '; (8 << 20) + 1];
    assert!(matches!(
        Listing::from_json(&long),
        Err(HubError::TooMuch { .. })
    ));
    // Names that are not plain are not of the model; nobody asks for them.
    let names = ["a/b.gguf", "..\\x", "", "a\u{0}b", &"x".repeat(300)];
    let odd = answer(names.iter().map(|name| file(name)).collect());
    assert!(listing(&odd).unwrap().files.is_empty());
}

proptest! {
    #[test]
    fn addresses_never_panic(text in "\\PC{0,60}") {
        hub().parse(&text).ok();
    }

    #[test]
    fn names_stay_inside_their_part_of_the_address(text in "[a-zA-Z0-9./@:%?#_-]{0,40}") {
        if let Ok(Address::Repository(it)) = hub().parse(&text) {
            let url = hub().file_url(&it, COMMIT, "m.gguf");
            let rest = url.strip_prefix("https://huggingface.co/").unwrap();
            let parts: Vec<&str> = rest.split('/').collect();
            prop_assert_eq!(parts, [it.owner.as_str(), &it.name, "resolve", COMMIT, "m.gguf"]);
        }
    }

    #[test]
    fn answers_with_a_wrong_byte_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut json = serde_json::to_vec(&answer(json!([file("model.safetensors"), file("config.json")]))).unwrap();
        let at = at.index(json.len());
        json[at] = byte;
        if let Ok(listing) = Listing::from_json(&json) {
            listing.choices().ok();
        }
    }
}
