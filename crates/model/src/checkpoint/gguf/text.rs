//! Tokenizer and conversation facts out of metadata.

use std::collections::HashSet;

use super::architecture::Graph;
use super::metadata::Metadata;
use crate::Error;
use crate::checkpoint::text::{MAX_TEMPLATE_BYTES, TOKENIZER_FILE, TURN_ENDS};
use crate::checkpoint::vocabulary::{ByteLevel, Piece, PieceKind, PreTokenizer, SentencePiece};
use crate::error::shown;
use crate::manifest::{FileHash, TextInfo, TokenRef};

/// The template of the 2B-4T model. Its official GGUF file holds a placeholder of a converter instead, under which the model
/// never ends.
const TEMPLATE_2B_4T: &str = "{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

const MODEL_KEY: &str = "tokenizer.ggml.model";
const PRE_KEY: &str = "tokenizer.ggml.pre";
const TOKENS_KEY: &str = "tokenizer.ggml.tokens";
const TYPES_KEY: &str = "tokenizer.ggml.token_type";
const SCORES_KEY: &str = "tokenizer.ggml.scores";
const MERGES_KEY: &str = "tokenizer.ggml.merges";
const TEMPLATE_KEY: &str = "tokenizer.chat_template";

/// Tokens that end a text. They end an answer as well when they are control tokens, since these files name one end alone.
const TEXT_ENDS: [&str; 3] = ["<|endoftext|>", "<|end_of_text|>", "</s>"];

/// A tokenizer and what belongs to it.
pub(super) struct Made {
    pub(super) info: TextInfo,
    /// The bytes of `tokenizer.json`.
    pub(super) json: Vec<u8>,
}

/// Reads what is known about text. `None` if there is no tokenizer.
///
/// # Errors
/// If the tokenizer is of a kind that cannot be rebuilt exactly, or does not fit the embedding.
pub(super) fn read(
    metadata: &Metadata<'_>,
    graph: &Graph,
    notes: &mut Vec<String>,
) -> Result<Option<Made>, Error> {
    let Some(model) = metadata.text(MODEL_KEY)? else {
        return Ok(None);
    };
    let pieces = read_pieces(metadata, graph.architecture.vocab)?;
    let ids = SpecialIds::read(metadata, &pieces)?;
    let json = match model {
        "gpt2" => byte_level(metadata, graph, pieces.clone(), &ids, notes)?,
        "llama" => sentencepiece(metadata, pieces.clone(), &ids)?,
        other => {
            return Err(Error::Unsupported {
                found: format!("a tokenizer of kind {} ({MODEL_KEY})", shown(other)),
                supported: "gpt2 (byte-level BPE), llama (SentencePiece BPE)",
            });
        }
    };
    let chat_template = read_template(metadata, graph, notes)?;
    let token = |id: u32| TokenRef {
        text: pieces[id as usize].text.clone(),
        id,
    };
    let info = TextInfo {
        tokenizer: FileHash {
            file: TOKENIZER_FILE.to_string(),
            bytes: json.len() as u64,
            sha256: String::new(),
        },
        stop_ids: stop_ids(&pieces, &ids, chat_template.as_deref()),
        chat_template,
        bos: ids.bos.map(token),
        eos: ids.eos.map(token),
        sampling: None,
    };
    Ok(Some(Made { info, json }))
}

/// Ids of tokens with a meaning; all are below the number of tokens.
struct SpecialIds {
    bos: Option<u32>,
    eos: Option<u32>,
    eot: Option<u32>,
}

impl SpecialIds {
    fn read(metadata: &Metadata<'_>, pieces: &[Piece]) -> Result<SpecialIds, Error> {
        let id = |name: &str| {
            let key = format!("tokenizer.ggml.{name}_token_id");
            match metadata.u32(&key)? {
                Some(id) if id as usize >= pieces.len() => {
                    let expected = format!("below the number of tokens {}", pieces.len());
                    Err(metadata.wrong(&key, &expected, &id.to_string()))
                }
                id => Ok(id),
            }
        };
        Ok(SpecialIds {
            bos: id("bos")?,
            eos: id("eos")?,
            eot: id("eot")?,
        })
    }
}

fn read_pieces(metadata: &Metadata<'_>, vocab: u32) -> Result<Vec<Piece>, Error> {
    let tokens = metadata
        .texts(TOKENS_KEY)?
        .ok_or_else(|| metadata.missing(TOKENS_KEY))?;
    if tokens.len() as u64 > u64::from(vocab) {
        return Err(Error::TokenizerSize {
            file: TOKENS_KEY.to_string(),
            tokens: tokens.len() as u64,
            vocab,
        });
    }
    let mut seen = HashSet::new();
    if let Some(twice) = tokens.iter().find(|token| !seen.insert(**token)) {
        return Err(metadata.wrong(
            TOKENS_KEY,
            "different tokens",
            &format!("{} twice", shown(twice)),
        ));
    }
    let column = |key: &str| -> Result<Option<Vec<f64>>, Error> {
        match metadata.numbers(key)? {
            Some(values) if values.len() != tokens.len() => {
                let expected = format!("one value for each of {} tokens", tokens.len());
                Err(metadata.wrong(key, &expected, &values.len().to_string()))
            }
            values => Ok(values),
        }
    };
    let (types, scores) = (column(TYPES_KEY)?, column(SCORES_KEY)?);
    let piece = |(index, text): (usize, &&str)| {
        let number = types.as_ref().map_or(1.0, |types| types[index]);
        let kind = PieceKind::from_number(number as u64).ok_or_else(|| {
            metadata.wrong(TYPES_KEY, "a kind of token (1 to 6)", &number.to_string())
        })?;
        Ok(Piece {
            text: (*text).to_string(),
            score: scores.as_ref().map_or(0.0, |scores| scores[index] as f32),
            kind,
        })
    };
    tokens.iter().enumerate().map(piece).collect()
}

fn byte_level(
    metadata: &Metadata<'_>,
    graph: &Graph,
    pieces: Vec<Piece>,
    ids: &SpecialIds,
    notes: &mut Vec<String>,
) -> Result<Vec<u8>, Error> {
    let pre_tokenizer = match metadata.text(PRE_KEY)? {
        // The official file of the 2B-4T model lacks the key, and others have a wrong one.
        given if graph.is_2b_4t => {
            if given.and_then(PreTokenizer::find) != Some(PreTokenizer::Llama3) {
                notes.push("the file does not name the pre-tokenizer of the 2B-4T model: llama-bpe is taken".to_string());
            }
            PreTokenizer::Llama3
        }
        Some(name) => PreTokenizer::find(name).ok_or_else(|| Error::Unsupported {
            found: format!("pre-tokenizer {} ({PRE_KEY})", shown(name)),
            supported: "gpt-2, smollm, llama-bpe, falcon3, falcon_e, qwen2",
        })?,
        None => return Err(metadata.missing(PRE_KEY)),
    };
    let merges = metadata
        .texts(MERGES_KEY)?
        .ok_or_else(|| metadata.missing(MERGES_KEY))?;
    let is_pair = |merge: &&&str| merge.split(' ').count() == 2;
    if let Some(wrong) = merges.iter().find(|merge| !is_pair(merge)) {
        return Err(metadata.wrong(MERGES_KEY, "two tokens with a space between", &shown(wrong)));
    }
    let adds_bos = metadata
        .bool("tokenizer.ggml.add_bos_token")?
        .unwrap_or(pre_tokenizer.is_llama3());
    let adds_eos = metadata
        .bool("tokenizer.ggml.add_eos_token")?
        .unwrap_or(false);
    let made = ByteLevel {
        pieces,
        merges,
        pre_tokenizer,
        bos: ids.bos.filter(|_| adds_bos),
        eos: ids.eos.filter(|_| adds_eos),
    };
    Ok(made.to_json())
}

fn sentencepiece(
    metadata: &Metadata<'_>,
    pieces: Vec<Piece>,
    ids: &SpecialIds,
) -> Result<Vec<u8>, Error> {
    let charsmap = "tokenizer.ggml.precompiled_charsmap";
    let is_empty = metadata.numbers(charsmap)?.is_none_or(|map| map.is_empty());
    if !is_empty {
        return Err(metadata.wrong(charsmap, "absent", "a normalisation of characters"));
    }
    let squeezes = "tokenizer.ggml.remove_extra_whitespaces";
    if metadata.bool(squeezes)? == Some(true) {
        return Err(metadata.wrong(squeezes, "false", "true"));
    }
    let flag = |name: &str, default| -> Result<bool, Error> {
        let given = metadata.bool(&format!("tokenizer.ggml.{name}"))?;
        Ok(given.unwrap_or(default))
    };
    let (adds_bos, adds_eos) = (flag("add_bos_token", true)?, flag("add_eos_token", false)?);
    let made = SentencePiece {
        pieces,
        adds_space: flag("add_space_prefix", true)?,
        bos: ids.bos.filter(|_| adds_bos),
        eos: ids.eos.filter(|_| adds_eos),
    };
    Ok(made.to_json())
}

fn read_template(
    metadata: &Metadata<'_>,
    graph: &Graph,
    notes: &mut Vec<String>,
) -> Result<Option<String>, Error> {
    let template = metadata.text(TEMPLATE_KEY)?;
    if graph.is_2b_4t {
        if template != Some(TEMPLATE_2B_4T) {
            notes.push("the chat template of the file is not used: the 2B-4T model was trained with another one, which is built in".to_string());
        }
        return Ok(Some(TEMPLATE_2B_4T.to_string()));
    }
    match template {
        Some(text) if text.len() as u64 > MAX_TEMPLATE_BYTES => {
            let expected = format!("at most {MAX_TEMPLATE_BYTES} bytes");
            Err(metadata.wrong(TEMPLATE_KEY, &expected, &text.len().to_string()))
        }
        template => Ok(template.map(str::to_string)),
    }
}

/// The end tokens that the file names, turn ends that the template writes, and ends of texts.
fn stop_ids(pieces: &[Piece], ids: &SpecialIds, template: Option<&str>) -> Vec<u32> {
    let written = TURN_ENDS
        .iter()
        .filter(|token| template.is_some_and(|template| template.contains(**token)));
    let others = written.chain(&TEXT_ENDS).filter_map(|token| {
        let is_it = |piece: &Piece| piece.text == **token && piece.kind == PieceKind::Control;
        Some(pieces.iter().position(is_it)? as u32)
    });
    let mut stop_ids = Vec::new();
    for id in ids.eos.into_iter().chain(ids.eot).chain(others) {
        if !stop_ids.contains(&id) {
            stop_ids.push(id);
        }
    }
    stop_ids
}
