//! Tokenizer, chat template, stop tokens, suggested sampling and licence of a Hugging Face folder.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;

use super::config::{CONFIG_FILE, Config};
use super::json::read_ids;
use super::sentencepiece_model::{self, MODEL_FILE};
use super::tokenizer::Tokenizer;
use super::{Known, Stop};
use crate::Error;
use crate::error::shown;
use crate::manifest::{FileHash, SuggestedSampling, TextInfo, TokenRef};

/// The tokenizer file, in a checkpoint and in a package.
pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
const TEMPLATE_FILE: &str = "chat_template.jinja";
const GENERATION_FILE: &str = "generation_config.json";
const README_FILE: &str = "README.md";
/// The small files that are read where they are there.
pub(crate) const SMALL_FILES: [&str; 7] = [
    CONFIG_FILE,
    TOKENIZER_FILE,
    MODEL_FILE,
    TOKENIZER_CONFIG_FILE,
    TEMPLATE_FILE,
    GENERATION_FILE,
    README_FILE,
];
/// Longest tokenizer that is read.
pub(crate) const MAX_TOKENIZER_BYTES: u64 = 64 * 1024 * 1024;
/// Longest of the small files that is read.
const MAX_SMALL_BYTES: u64 = 8 * 1024 * 1024;
/// Longest chat template.
pub(crate) const MAX_TEMPLATE_BYTES: u64 = 1024 * 1024;

/// Tokens that end a turn. They end an answer as well when the chat template writes them, even if no file lists them: the
/// 2B-4T model's configuration names only the other one.
pub(crate) const TURN_ENDS: [&str; 5] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end_of_turn|>",
    "<end_of_turn>",
    "<|end|>",
];

#[derive(Deserialize, Default)]
struct TokenizerConfig {
    bos_token: Option<SpecialToken>,
    eos_token: Option<SpecialToken>,
    chat_template: Option<Template>,
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
    #[serde(default)]
    added_tokens_decoder: BTreeMap<String, AddedToken>,
}

/// A token that stands behind those of `tokenizer.model`.
#[derive(Deserialize)]
struct AddedToken {
    content: String,
    #[serde(default)]
    special: bool,
}

/// A special token: its text, or an object with its text.
#[derive(Deserialize)]
#[serde(untagged)]
enum SpecialToken {
    Text(String),
    Object { content: String },
}

impl SpecialToken {
    fn text(&self) -> &str {
        match self {
            SpecialToken::Text(text) | SpecialToken::Object { content: text } => text,
        }
    }
}

/// One template, or several with names.
#[derive(Deserialize)]
#[serde(untagged)]
enum Template {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

/// What is known about text.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) info: TextInfo,
    /// The tokenizer, if it was made here.
    pub(crate) made: Option<Vec<u8>>,
}

/// Reads what is known about text. `None` if there is no tokenizer. Files that were used are added to `files`.
///
/// # Errors
/// If a file is not valid, the tokenizer has more tokens than the embedding has rows, or a token id is out of range.
pub(crate) fn read_text(
    known: &Known,
    config: &Config,
    files: &mut Vec<String>,
) -> Result<Option<Text>, Stop> {
    let tokenizer_config: Option<TokenizerConfig> =
        known.json(TOKENIZER_CONFIG_FILE, MAX_SMALL_BYTES)?;
    let generation: Option<Value> = known.json(GENERATION_FILE, MAX_SMALL_BYTES)?;
    let template_file = known.whole(TEMPLATE_FILE, MAX_TEMPLATE_BYTES)?;
    let tokenizer_config_is_there = tokenizer_config.is_some();
    let tokenizer_config = tokenizer_config.unwrap_or_default();
    let Some((tokenizer_file, json)) = read_tokenizer(known, &tokenizer_config)? else {
        return Ok(None);
    };
    let tokenizer = Tokenizer::read(tokenizer_file, &json)?;
    let vocab = config.architecture.vocab;
    tokenizer.check_size(tokenizer_file, vocab)?;

    let used = [
        (tokenizer_file, true),
        (TOKENIZER_CONFIG_FILE, tokenizer_config_is_there),
        (TEMPLATE_FILE, template_file.is_some()),
        (GENERATION_FILE, generation.is_some()),
    ];
    files.extend(
        used.iter()
            .filter(|(_, is_used)| *is_used)
            .map(|(file, _)| (*file).to_string()),
    );

    let chat_template = read_template(template_file, &tokenizer_config)?;
    let bos = token_ref(
        &tokenizer,
        tokenizer_config.bos_token.as_ref(),
        config.bos_id,
    );
    let eos = token_ref(
        &tokenizer,
        tokenizer_config.eos_token.as_ref(),
        config.eos_ids.first().copied(),
    );
    let generation = generation.unwrap_or_default();
    let stop_ids = read_stop_ids(
        config,
        &generation,
        &tokenizer,
        eos.as_ref(),
        chat_template.as_deref(),
    )?;
    if let Some(id) = stop_ids
        .iter()
        .chain(bos.iter().map(|token| &token.id))
        .find(|id| **id >= vocab)
    {
        return Err(Error::KeyValue {
            file: super::config::CONFIG_FILE.to_string(),
            key: "a special token id".to_string(),
            expected: format!("below the vocabulary's size {vocab}"),
            got: id.to_string(),
        }
        .into());
    }
    let tokenizer = FileHash {
        file: TOKENIZER_FILE.to_string(),
        bytes: json.len() as u64,
        sha256: String::new(),
    };
    let sampling = read_sampling(&generation)?;
    let info = TextInfo {
        tokenizer,
        chat_template,
        bos,
        eos,
        stop_ids,
        sampling,
    };
    let made = match json {
        Cow::Owned(made) => Some(made),
        Cow::Borrowed(_) => None,
    };
    Ok(Some(Text { info, made }))
}

/// A file's name and its bytes.
type NamedFile<'k> = (&'static str, Cow<'k, [u8]>);

/// The tokenizer as it is, or made from a SentencePiece model, with the name of its file.
fn read_tokenizer<'k>(
    known: &'k Known,
    config: &TokenizerConfig,
) -> Result<Option<NamedFile<'k>>, Stop> {
    if let Some(json) = known.whole(TOKENIZER_FILE, MAX_TOKENIZER_BYTES)? {
        return Ok(Some((TOKENIZER_FILE, Cow::Borrowed(json))));
    }
    let Some(model) = known.whole(MODEL_FILE, MAX_TOKENIZER_BYTES)? else {
        return Ok(None);
    };
    let mut model = sentencepiece_model::read(model)?;
    let added = config.added_tokens_decoder.iter();
    let added = added
        .filter_map(|(id, token)| Some((id.parse().ok()?, token.content.clone(), token.special)));
    sentencepiece_model::add_tokens(&mut model, added)?;
    model.bos = model.bos.filter(|_| config.add_bos_token.unwrap_or(true));
    model.eos = model.eos.filter(|_| config.add_eos_token.unwrap_or(false));
    Ok(Some((MODEL_FILE, Cow::Owned(model.to_json()))))
}

fn read_template(file: Option<&[u8]>, config: &TokenizerConfig) -> Result<Option<String>, Error> {
    if let Some(bytes) = file {
        let text = std::str::from_utf8(bytes).map_err(|error| Error::KeyValue {
            file: TEMPLATE_FILE.to_string(),
            key: "the text".to_string(),
            expected: "UTF-8".to_string(),
            got: error.to_string(),
        })?;
        return Ok(Some(text.to_string()));
    }
    let template = match &config.chat_template {
        None => return Ok(None),
        Some(Template::One(template)) => template,
        Some(Template::Named(templates)) => {
            let default = templates.iter().find(|template| template.name == "default");
            match default {
                Some(template) => &template.template,
                None => return Ok(None),
            }
        }
    };
    if template.len() as u64 > MAX_TEMPLATE_BYTES {
        return Err(Error::KeyValue {
            file: TOKENIZER_CONFIG_FILE.to_string(),
            key: "chat_template".to_string(),
            expected: format!("at most {MAX_TEMPLATE_BYTES} bytes"),
            got: template.len().to_string(),
        });
    }
    Ok(Some(template.clone()))
}

/// A special token by the text that the tokenizer's configuration gives, or else by the id in `config.json`.
fn token_ref(
    tokenizer: &Tokenizer,
    named: Option<&SpecialToken>,
    id: Option<u32>,
) -> Option<TokenRef> {
    let by_text = named.and_then(|token| Some((token.text(), tokenizer.id(token.text())?)));
    let by_id = || id.and_then(|id| Some((tokenizer.text(id)?, id)));
    by_text.or_else(by_id).map(|(text, id)| TokenRef {
        text: text.to_string(),
        id,
    })
}

/// Every id that ends an answer: of generation_config.json and config.json, the end-of-sequence token, and turn ends that
/// the template writes, in this order.
fn read_stop_ids(
    config: &Config,
    generation: &Value,
    tokenizer: &Tokenizer,
    eos: Option<&TokenRef>,
    template: Option<&str>,
) -> Result<Vec<u32>, Error> {
    let mut candidates = read_ids(GENERATION_FILE, generation, "eos_token_id")?;
    candidates.extend(&config.eos_ids);
    candidates.extend(eos.map(|token| token.id));
    let written = |token: &&&str| template.is_some_and(|template| template.contains(**token));
    candidates.extend(
        TURN_ENDS
            .iter()
            .filter(written)
            .filter_map(|token| tokenizer.id(token)),
    );
    let mut stop_ids = Vec::new();
    for id in candidates {
        if !stop_ids.contains(&id) {
            stop_ids.push(id);
        }
    }
    Ok(stop_ids)
}

/// Suggested sampling, if the author gives one and does not say that the model is to be used greedily.
fn read_sampling(generation: &Value) -> Result<Option<SuggestedSampling>, Error> {
    let number = |key: &str, allowed: fn(f64) -> bool| -> Result<Option<f32>, Error> {
        let Some(value) = generation.get(key).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|&number| allowed(number));
        let number = number.ok_or_else(|| Error::KeyValue {
            file: GENERATION_FILE.to_string(),
            key: key.to_string(),
            expected: "a number in its usual range".to_string(),
            got: shown(&value.to_string()),
        })?;
        Ok(Some(number as f32))
    };
    let temperature = number("temperature", |value| (0.0..=100.0).contains(&value))?;
    let top_p = number("top_p", |value| value > 0.0 && value <= 1.0)?;
    let repetition_penalty = number("repetition_penalty", |value| value > 0.0 && value <= 100.0)?;
    let is_greedy = generation.get("do_sample").and_then(Value::as_bool) == Some(false);
    let is_silent = temperature.is_none() && top_p.is_none() && repetition_penalty.is_none();
    Ok((!is_greedy && !is_silent).then(|| SuggestedSampling {
        temperature: temperature.unwrap_or(1.0),
        top_p: top_p.unwrap_or(1.0),
        repetition_penalty: repetition_penalty.unwrap_or(1.0),
    }))
}

/// The licence in the front matter of README.md, as an SPDX identifier where it is a well-known one.
///
/// # Errors
/// Only if the file must be supplied first: a model card is not worth an error.
pub(crate) fn read_license(known: &Known, files: &mut Vec<String>) -> Result<Option<String>, Stop> {
    match known.len(README_FILE)? {
        Some(bytes) if bytes <= MAX_SMALL_BYTES => {}
        _ => return Ok(None),
    }
    let Some(readme) = known.whole(README_FILE, MAX_SMALL_BYTES)? else {
        return Ok(None);
    };
    let license = license_of(&String::from_utf8_lossy(readme));
    if license.is_some() {
        files.push(README_FILE.to_string());
    }
    Ok(license)
}

fn license_of(readme: &str) -> Option<String> {
    const LONGEST: usize = 64;
    let mut lines = readme.lines();
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    let line = lines
        .take_while(|line| line.trim_end() != "---")
        .find_map(|line| line.strip_prefix("license:"))?;
    let name = line.trim().trim_matches(['"', '\'']);
    let known: HashMap<&str, &str> = HashMap::from([
        ("apache-2.0", "Apache-2.0"),
        ("mit", "MIT"),
        ("bsd-3-clause", "BSD-3-Clause"),
    ]);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_name = !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_plain);
    is_name.then(|| known.get(name).map_or(name, |spdx| *spdx).to_string())
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
