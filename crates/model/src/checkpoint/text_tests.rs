#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;
use crate::source::ByteRange;
use crate::{Activation, Architecture};

fn config(bos_id: Option<u32>, eos_ids: &[u32]) -> Config {
    let architecture = Architecture {
        family: "bitnet".into(),
        hidden: 64,
        ffn: 64,
        layers: 1,
        heads: 1,
        kv_heads: 1,
        head_dim: 64,
        vocab: 10,
        context: 10,
        rms_eps: 1e-5,
        rope_theta: 1e4,
        activation: Activation::Relu2,
        sub_norms: true,
        tied: true,
    };
    Config {
        architecture,
        quantization: crate::checkpoint::config::Quantization::Online,
        bos_id,
        eos_ids: eos_ids.to_vec(),
    }
}

fn tokenizer() -> Value {
    json!({
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "<s>": 2}, "merges": []},
        "added_tokens": [{"id": 8, "content": "<|eot_id|>"}, {"id": 9, "content": "<|end|>", "special": true}],
    })
}

/// Reads text facts of a folder with these files.
fn read(
    config: &Config,
    files: &[(&str, Vec<u8>)],
) -> Result<(Option<TextInfo>, Vec<String>), String> {
    let mut known = Known::default();
    for file in [
        TOKENIZER_FILE,
        MODEL_FILE,
        TOKENIZER_CONFIG_FILE,
        TEMPLATE_FILE,
        GENERATION_FILE,
        README_FILE,
    ] {
        known.supply_length(file, None);
    }
    for (file, bytes) in files {
        known.supply_length(file, Some(bytes.len() as u64));
        let range = ByteRange {
            file: (*file).to_string(),
            offset: 0,
            bytes: bytes.len() as u64,
        };
        known.supply_bytes(&range, bytes.clone());
    }
    let mut used = Vec::new();
    match read_text(&known, config, &mut used) {
        Ok(text) => Ok((text.map(|text| text.info), used)),
        Err(Stop::Error(error)) => Err(error.to_string()),
        Err(Stop::Need(need)) => panic!("everything was supplied, yet {need:?} is needed"),
    }
}

fn file(name: &str, json: Value) -> (&str, Vec<u8>) {
    (name, serde_json::to_vec(&json).unwrap())
}

#[test]
fn stop_ids_are_the_union_of_all_places() {
    let template = "{{ content }}<|eot_id|>";
    let files = [
        file(TOKENIZER_FILE, tokenizer()),
        file(
            TOKENIZER_CONFIG_FILE,
            json!({"bos_token": "<s>", "eos_token": {"content": "b"}, "chat_template": template}),
        ),
        file(GENERATION_FILE, json!({"eos_token_id": [3, 4]})),
    ];
    let (text, used) = read(&config(None, &[3, 5]), &files).unwrap();
    let text = text.unwrap();
    // generation_config, config, the eos token, and the turn end that the template writes; not the one that it does not.
    assert_eq!(text.stop_ids, [3, 4, 5, 1, 8]);
    assert_eq!(
        text.bos,
        Some(TokenRef {
            text: "<s>".into(),
            id: 2
        })
    );
    assert_eq!(
        text.eos,
        Some(TokenRef {
            text: "b".into(),
            id: 1
        })
    );
    assert_eq!(
        used,
        [TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, GENERATION_FILE]
    );
}

#[test]
fn special_tokens_fall_back_to_ids_of_the_config() {
    let (text, _) = read(&config(Some(2), &[9]), &[file(TOKENIZER_FILE, tokenizer())]).unwrap();
    let text = text.unwrap();
    assert_eq!(
        text.bos,
        Some(TokenRef {
            text: "<s>".into(),
            id: 2
        })
    );
    assert_eq!(
        text.eos,
        Some(TokenRef {
            text: "<|end|>".into(),
            id: 9
        })
    );
    assert_eq!((text.stop_ids, text.chat_template), (vec![9], None));
}

#[test]
fn without_a_tokenizer_there_is_no_text() {
    let (text, used) = read(
        &config(None, &[]),
        &[file(GENERATION_FILE, json!({"eos_token_id": 3}))],
    )
    .unwrap();
    assert_eq!((text, used.len()), (None, 0));
}

#[test]
fn the_template_file_wins_and_named_templates_have_a_default() {
    let named = json!({"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]});
    let files = [
        file(TOKENIZER_FILE, tokenizer()),
        file(TOKENIZER_CONFIG_FILE, named),
    ];
    let template = |files: &[(&str, Vec<u8>)]| {
        read(&config(None, &[]), files)
            .unwrap()
            .0
            .unwrap()
            .chat_template
    };
    assert_eq!(template(&files).as_deref(), Some("D"));
    let [tokenizer, named] = files;
    assert_eq!(
        template(&[tokenizer, named, (TEMPLATE_FILE, b"F".to_vec())]).as_deref(),
        Some("F")
    );
}

#[test]
fn tokenizers_that_do_not_fit_are_refused() {
    let check = |tokenizer: Value, expected: &str| {
        let error = read(&config(None, &[]), &[file(TOKENIZER_FILE, tokenizer)]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    let mut large = tokenizer();
    large["added_tokens"][1]["id"] = json!(10);
    check(
        large,
        "tokenizer.json: the tokenizer has 11 tokens, but the embedding has 10 rows",
    );
    let mut absurd = tokenizer();
    absurd["model"]["vocab"]["a"] = json!(u32::MAX);
    check(absurd, "has 4294967296 tokens");
    let mut lying = tokenizer();
    lying["model"]["vocab"]["a"] = json!(-1);
    check(lying, "tokenizer.json is not valid");
    check(
        json!({"added_tokens": []}),
        "tokenizer.json is not valid: missing field `model`",
    );
    let unigram = json!({"model": {"type": "Unigram", "vocab": [["a", -1.5], ["b", -2.0]]}});
    assert!(read(&config(None, &[]), &[file(TOKENIZER_FILE, unigram)]).is_ok());
    let whole = serde_json::to_vec(&tokenizer()).unwrap();
    for n in 0..whole.len() {
        let error = read(&config(None, &[]), &[(TOKENIZER_FILE, whole[..n].to_vec())]).unwrap_err();
        assert!(error.contains("tokenizer.json is not valid"), "{error}");
    }
}

#[test]
fn special_ids_beyond_the_vocabulary_are_refused() {
    let error = read(
        &config(Some(2), &[10]),
        &[file(TOKENIZER_FILE, tokenizer())],
    )
    .unwrap_err();
    assert!(
        error.contains("below the vocabulary's size 10, got 10"),
        "{error}"
    );
}

#[test]
fn sampling_is_taken_unless_the_author_is_greedy() {
    let sampling = |json: Value| {
        let files = [
            file(TOKENIZER_FILE, tokenizer()),
            file(GENERATION_FILE, json),
        ];
        read(&config(None, &[]), &files).map(|(text, _)| text.unwrap().sampling)
    };
    let given = sampling(
        json!({"do_sample": true, "temperature": 0.4, "top_p": 0.9, "repetition_penalty": 1.1}),
    );
    let expected = SuggestedSampling {
        temperature: 0.4,
        top_p: 0.9,
        repetition_penalty: 1.1,
    };
    assert_eq!(given, Ok(Some(expected)));
    let partly = SuggestedSampling {
        temperature: 0.6,
        top_p: 1.0,
        repetition_penalty: 1.0,
    };
    assert_eq!(sampling(json!({"temperature": 0.6})), Ok(Some(partly)));
    assert_eq!(
        sampling(json!({"temperature": 0.4, "do_sample": false})),
        Ok(None)
    );
    assert_eq!(sampling(json!({"eos_token_id": 3})), Ok(None));
    assert!(sampling(json!({"top_p": 1.5})).is_err_and(|error| error.contains("top_p must be")));
}

#[test]
fn licences_come_from_the_front_matter() {
    assert_eq!(
        license_of("---\ntags: x\nlicense: apache-2.0\n---\n# A"),
        Some("Apache-2.0".into())
    );
    assert_eq!(
        license_of("---\r\nlicense: \"llama3\"\r\n---\r\n"),
        Some("llama3".into())
    );
    for readme in [
        "",
        "# A\nlicense: mit",
        "---\ntags: x\n---\nlicense: mit",
        "---\nlicense: a b <c>\n---",
    ] {
        assert_eq!(license_of(readme), None, "{readme}");
    }
}
