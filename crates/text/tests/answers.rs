//! Answers that come back as ids: the next prompt begins with the last one and its answer.
#![allow(clippy::unwrap_used, reason = "tests")]

use text::{ChatTemplate, Message, Role, Tokenizer};

const PLAIN: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
const TRIMMING: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
const SHOUTING: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content | upper }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
const FORGETFUL: &str = "{% for m in messages %}{% if loop.last %}<{{ m.role }}>{{ m.content }}<|eot_id|>{% endif %}{% endfor %}<assistant>";

fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(&fixtures::bytes("g256/packed/tokenizer.json"), 384).unwrap()
}

/// The ids of each character by itself: another spelling than encoding the whole gives.
fn spelled(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let characters = text.chars().map(|c| tokenizer.encode_plain(&c.to_string()));
    characters.flat_map(Result::unwrap).collect()
}

/// The prompts of a first question and of a second one behind `answer`, whose ids are `ids`.
fn prompts(source: &str, answer: &str, ids: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let tokenizer = tokenizer();
    let template = ChatTemplate::new(source, None, Some("<|eot_id|>")).unwrap();
    let first = Message::new(Role::User, "What is it?");
    let said = Message {
        ids: ids.to_vec(),
        ..Message::new(Role::Assistant, answer)
    };
    let second = Message::new(Role::User, "And then?");
    let encode = |messages: &[Message]| template.encode_chat(&tokenizer, messages, true).unwrap();
    (
        encode(std::slice::from_ref(&first)),
        encode(&[first.clone(), said, second]),
    )
}

#[test]
fn the_ids_stand_for_the_text() {
    let tokenizer = tokenizer();
    for text in [
        "the answer is here",
        " the answer ",
        "naïve 🙂",
        "<assistant>",
        "x",
    ] {
        for source in [PLAIN, TRIMMING] {
            let ids = spelled(&tokenizer, text);
            assert_eq!(tokenizer.decode(&ids), text);
            let (first, second) = prompts(source, text, &ids);
            assert!(
                second.starts_with(&[first, ids].concat()),
                "{text:?} in {source}"
            );
        }
    }
    let text = "the answer is here";
    let again = tokenizer.encode_plain(text).unwrap();
    assert_ne!(again, spelled(&tokenizer, text), "or this shows nothing");
    let (first, second) = prompts(PLAIN, text, &[]);
    assert!(second.starts_with(&[first, again].concat()));
}

#[test]
fn ids_of_another_text_are_not_believed() {
    let tokenizer = tokenizer();
    let text = "the answer is here";
    let without = prompts(PLAIN, text, &[]).1;
    for ids in [
        spelled(&tokenizer, "the answer is there"),
        vec![3],
        vec![u32::MAX],
    ] {
        assert_eq!(prompts(PLAIN, text, &ids).1, without, "{ids:?}");
    }
}

#[test]
fn a_template_that_changes_contents_gets_text() {
    let tokenizer = tokenizer();
    let text = "the answer is here";
    let ids = spelled(&tokenizer, text);
    for source in [SHOUTING, FORGETFUL] {
        assert_eq!(
            prompts(source, text, &ids).1,
            prompts(source, text, &[]).1,
            "{source}"
        );
    }
}

#[test]
fn special_tokens_in_an_answer_stay_text_or_its_own_ids() {
    let tokenizer = tokenizer();
    let text = "a<|eot_id|>b";
    let ids = spelled(&tokenizer, text);
    let end = tokenizer.token_id("<|eot_id|>").unwrap();
    let (_, second) = prompts(PLAIN, text, &ids);
    // One for each message, none from the answer's text.
    assert_eq!(second.iter().filter(|id| **id == end).count(), 3);
}

/// The crate's own reader of BPE models and the general one of the tokenizers crate see the same model.
#[test]
fn the_reader_of_bpe_agrees_with_the_tokenizers_crate() {
    for path in ["g256/packed/tokenizer.json", "smollm2-tokenizer.json"] {
        let json = fixtures::bytes(path);
        let ours = Tokenizer::from_json(&json, 1 << 20).unwrap();
        let theirs = tokenizers::Tokenizer::from_bytes(&json).unwrap();
        for text in [
            "The quick brown fox",
            " naïve  🙂\n\n\t{}",
            "</s>x<s>",
            "日本語",
            "",
        ] {
            let expected = theirs.encode(text, true).unwrap();
            assert_eq!(
                ours.encode(text).unwrap(),
                expected.get_ids(),
                "{path}: {text:?}"
            );
        }
        for (token, id) in theirs.get_vocab(true) {
            assert_eq!(ours.token_id(&token), Some(id), "{path}: {token}");
        }
    }
}

#[test]
fn hostile_merges_are_refused_and_older_ones_are_read() {
    let read = |merges: &str, prefix: &str| {
        let json = format!(
            r#"{{"version": "1.0", "added_tokens": [], "decoder": {{"type": "Fuse"}}, "model": {{"type": "BPE",
            "continuing_subword_prefix": {prefix}, "vocab": {{"a": 0, "b": 1, "ab": 2, "é": 3}}, "merges": {merges}}}}}"#
        );
        Tokenizer::from_json(json.as_bytes(), 10)
    };
    for merges in [r#"[["a", "b"]]"#, r##"["#version: 0.2", "a b"]"##] {
        assert_eq!(
            read(merges, "null").unwrap().encode("ab").unwrap(),
            [2],
            "{merges}"
        );
    }
    for (merges, prefix) in [
        (r#"[["b", "a"]]"#, "null"),
        (r#"[["a", "c"]]"#, "null"),
        (r#"[["ab", "ab"]]"#, "null"),
        (r#"[["a", "b"]]"#, r#""xxxx""#),
        (r#"[["a", "é"]]"#, r#""x""#),
        (r#"[["a"]]"#, "null"),
        (r#"[["a", "b", "a"]]"#, "null"),
        (r#"["a b a"]"#, "null"),
        (r#"[7]"#, "null"),
        ("{}", "null"),
    ] {
        let error = read(merges, prefix).unwrap_err();
        assert!(
            matches!(error, text::Error::TokenizerJson { .. }),
            "{merges}: {error}"
        );
    }
}
