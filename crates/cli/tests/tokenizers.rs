//! Tokenizers that the converter makes, out of GGUF metadata and SentencePiece models, give the ids of the originals.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::ops::ControlFlow;
use std::path::Path;

use model::convert::{ConvertOptions, MemorySink, convert};
use model::source::{MemorySource, Source as _};
use serde::Deserialize;
use text::Tokenizer;

/// Converts a source and loads the tokenizer of the package.
fn converted(source: &MemorySource) -> Tokenizer {
    let mut sink = MemorySink::default();
    let options = ConvertOptions::new("test");
    let go_on = &mut |_: &model::convert::Progress<'_>| ControlFlow::Continue(());
    let manifest = convert(source, &mut sink, &options, go_on).unwrap();
    let package = sink.into_source().unwrap();
    let file = manifest.text.unwrap().tokenizer.file;
    Tokenizer::from_json(package.get(&file).unwrap(), manifest.architecture.vocab).unwrap()
}

fn one_file(path: &Path) -> MemorySource {
    let name = path.file_name().unwrap().to_str().unwrap().to_string();
    MemorySource::new([(name, std::fs::read(path).unwrap())])
}

/// Every text of the reference: ids, specials as text, decoding, and the pieces of a stream.
#[test]
fn gguf_tokenizers_pass_the_reference() {
    let golden: serde_json::Value = fixtures::json("tokenization.json");
    for (name, file) in [
        ("bn384", "g256/g256-i2_s.gguf"),
        ("ml384", "gl256/gl256-i2_s.gguf"),
    ] {
        let tokenizer = converted(&one_file(&fixtures::path(file)));
        let bos = &golden["tokenizers"][name]["bos_prepended"];
        let bos: Vec<u32> = bos.as_u64().map(|id| id as u32).into_iter().collect();
        let ids = |value: &serde_json::Value| -> Vec<u32> {
            serde_json::from_value(value.clone()).unwrap()
        };
        let cases = golden["cases"].as_array().unwrap();
        assert!(cases.len() >= 50);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let expected = ids(&case[name]["ids"]);
            let with_bos = [bos.as_slice(), &expected].concat();
            assert_eq!(
                tokenizer.encode(text).unwrap(),
                with_bos,
                "{name}: {text:?}"
            );
            let plain = match &case[name]["ids_specials_as_text"] {
                serde_json::Value::Null => expected,
                plain => ids(plain),
            };
            assert_eq!(
                tokenizer.encode_plain(text).unwrap(),
                plain,
                "{name}: {text:?}"
            );
            assert_eq!(tokenizer.decode(&plain), text, "{name}: {text:?}");
        }
        for case in golden["incremental"].as_array().unwrap() {
            if case["tokenizer"] != name {
                continue;
            }
            let mut stream = tokenizer.detokenizer();
            let chunks: Vec<String> = ids(&case["ids"])
                .iter()
                .map(|id| stream.push(*id))
                .collect();
            assert_eq!(
                serde_json::json!(chunks),
                case["chunks"],
                "{name}: {}",
                case["name"]
            );
            assert_eq!(stream.flush(), case["flush"].as_str().unwrap());
        }
    }
}

#[derive(Deserialize)]
struct Facts {
    bos: u32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    decoded: String,
}

fn sentencepiece(file: &str) -> Vec<u8> {
    std::fs::read(
        fixtures::workspace_root()
            .join("tests/data/sentencepiece")
            .join(file),
    )
    .unwrap()
}

/// A checkpoint whose tokenizer is a SentencePiece model alone, as some 1bitLLM repositories have it.
fn with_sentencepiece() -> MemorySource {
    let folder = fixtures::path("h320/packed_mul");
    let mut source = MemorySource::default();
    for file in ["config.json", "model.safetensors"] {
        source.insert(file, std::fs::read(folder.join(file)).unwrap());
    }
    source.insert("tokenizer.model", sentencepiece("tokenizer.model"));
    source
}

/// The model has 384 rows, the vocabulary 640 tokens: the tokenizer is judged by itself.
#[test]
fn sentencepiece_models_give_the_ids_of_the_library() {
    let facts: Facts = serde_json::from_slice(&sentencepiece("cases.json")).unwrap();
    let source = with_sentencepiece();
    assert!(source.len("tokenizer.model").unwrap().is_some());
    let json = model::convert::tokenizer_from_sentencepiece(source.get("tokenizer.model").unwrap())
        .unwrap();
    let tokenizer = Tokenizer::from_json(&json, 640).unwrap();
    assert!(facts.cases.len() >= 30);
    for case in &facts.cases {
        let with_bos = [&[facts.bos][..], &case.ids].concat();
        assert_eq!(
            tokenizer.encode_plain(&case.text).unwrap(),
            case.ids,
            "{:?}",
            case.text
        );
        assert_eq!(tokenizer.decode(&with_bos), case.decoded, "{:?}", case.text);
        // A stream gives the same text, however its bytes are cut into tokens.
        let mut stream = tokenizer.detokenizer();
        let mut text: String = case.ids.iter().map(|id| stream.push(*id)).collect();
        text.push_str(&stream.flush());
        assert_eq!(text, case.decoded, "{:?}", case.text);
        if !case.text.contains('<') && !case.text.is_empty() {
            assert_eq!(
                tokenizer.encode(&case.text).unwrap(),
                with_bos,
                "{:?}",
                case.text
            );
        }
    }
}

#[test]
fn a_sentencepiece_model_that_does_not_fit_is_refused() {
    let mut sink = MemorySink::default();
    let go_on = &mut |_: &model::convert::Progress<'_>| ControlFlow::Continue(());
    let options = ConvertOptions::new("test");
    let error = convert(&with_sentencepiece(), &mut sink, &options, go_on).unwrap_err();
    assert!(
        error.to_string().contains("640") && error.to_string().contains("384"),
        "{error}"
    );
}
