//! Every case of `tokenization.json`: ids, text, streaming and chat prompts of the reference tokenizers.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use serde::Deserialize;
use text::{ChatTemplate, Message, Tokenizer};

#[derive(Deserialize)]
struct Golden {
    tokenizers: BTreeMap<String, TokenizerFacts>,
    cases: Vec<serde_json::Value>,
    incremental: Vec<Incremental>,
    chat: Vec<Chat>,
}

#[derive(Deserialize)]
struct TokenizerFacts {
    file: String,
    vocab: u32,
    bos_prepended: Option<u32>,
    chat_template: String,
}

#[derive(Deserialize)]
struct Case {
    ids: Vec<u32>,
    ids_specials_as_text: Option<Vec<u32>>,
    decoded_without_specials: Option<String>,
}

#[derive(Deserialize)]
struct Incremental {
    tokenizer: String,
    name: String,
    ids: Vec<u32>,
    bytes_hex: Vec<String>,
    chunks: Vec<String>,
    flush: String,
}

#[derive(Deserialize)]
struct Chat {
    tokenizer: String,
    messages: Vec<Message>,
    add_generation_prompt: bool,
    text: String,
    bos_in_template: bool,
    ids: Vec<u32>,
}

fn golden() -> Golden {
    fixtures::json("tokenization.json")
}

fn tokenizer(facts: &TokenizerFacts) -> Tokenizer {
    // The archive of fixtures is compressed as a whole: it holds the unpacked file.
    let file = facts.file.trim_end_matches(".gz");
    Tokenizer::from_json(&fixtures::bytes(file), facts.vocab).unwrap()
}

#[test]
fn texts_become_the_reference_ids_and_come_back() {
    let golden = golden();
    assert!(golden.tokenizers.len() >= 3 && golden.cases.len() >= 50);
    for (name, facts) in &golden.tokenizers {
        let tokenizer = tokenizer(facts);
        let bos: Vec<u32> = facts.bos_prepended.into_iter().collect();
        for case in &golden.cases {
            let text = case["text"].as_str().unwrap();
            let expected: Case = serde_json::from_value(case[name].clone()).unwrap();
            let with_bos = [bos.as_slice(), &expected.ids].concat();
            assert_eq!(
                tokenizer.encode(text).unwrap(),
                with_bos,
                "{name}: {text:?}"
            );
            let plain = expected
                .ids_specials_as_text
                .as_ref()
                .unwrap_or(&expected.ids);
            assert_eq!(
                &tokenizer.encode_plain(text).unwrap(),
                plain,
                "{name}: plain {text:?}"
            );
            let decoded = expected.decoded_without_specials.as_deref().unwrap_or(text);
            assert_eq!(tokenizer.decode(&with_bos), decoded, "{name}: {text:?}");
            assert_eq!(tokenizer.decode(plain), text, "{name}: plain {text:?}");
        }
    }
}

#[test]
fn streaming_gives_each_chunk_as_soon_as_it_is_certain() {
    let golden = golden();
    let tokenizers: BTreeMap<_, _> = golden
        .tokenizers
        .iter()
        .map(|(name, facts)| (name, tokenizer(facts)))
        .collect();
    assert!(golden.incremental.len() >= 40);
    for case in &golden.incremental {
        let tokenizer = &tokenizers[&case.tokenizer];
        let mut detokenizer = tokenizer.detokenizer();
        // Twice: a flush leaves the detokenizer as new.
        for _ in 0..2 {
            let chunks: Vec<String> = case.ids.iter().map(|id| detokenizer.push(*id)).collect();
            assert_eq!(chunks, case.chunks, "{}: {}", case.tokenizer, case.name);
            assert_eq!(
                detokenizer.flush(),
                case.flush,
                "{}: {}",
                case.tokenizer,
                case.name
            );
        }
        for (id, hex) in case.ids.iter().zip(&case.bytes_hex) {
            let bytes: String = match tokenizer.is_special(*id) {
                true => String::new(),
                false => tokenizer
                    .token_bytes(*id)
                    .unwrap()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            };
            assert_eq!(&bytes, hex, "{}: {} {id}", case.tokenizer, case.name);
        }
    }
}

#[test]
fn conversations_become_the_reference_prompts() {
    let golden = golden();
    assert!(golden.chat.len() >= 18);
    for case in &golden.chat {
        let facts = &golden.tokenizers[&case.tokenizer];
        let tokenizer = tokenizer(facts);
        let template = ChatTemplate::new(&facts.chat_template, None, None).unwrap();
        let text = template
            .render(&case.messages, case.add_generation_prompt)
            .unwrap();
        assert_eq!(text, case.text);
        let ids = template
            .encode_chat(&tokenizer, &case.messages, case.add_generation_prompt)
            .unwrap();
        assert_eq!(ids, case.ids, "{}: {:?}", case.tokenizer, case.messages);
        assert_eq!(
            case.bos_in_template,
            facts.bos_prepended.is_some_and(|bos| tokenizer
                .token_text(bos)
                .is_some_and(|bos| text.starts_with(&bos)))
        );
    }
}
