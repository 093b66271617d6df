//! Hugging Face folders with packed uint8 safetensors: one file, or shards with an index.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{CONFIG_FILE, Config, read_config};
use super::index::{Index, SUFFIX, is_plain_shard_name};
use super::safetensors::{Dtype, Entry, LENGTH_BYTES, header_bytes, parse_header};
use super::{Checkpoint, FloatType, Kind, Known, SourceTensor, Stop, TensorData, text};
use crate::Error;
use crate::architecture::{Role, TensorSpec};
use crate::error::{shown, shown_shape};
use crate::source::ByteRange;

const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";
/// Longest index that is read.
const MAX_INDEX_BYTES: u64 = 64 * 1024 * 1024;

/// What this version converts, for messages.
const SUPPORTED: &str = "a folder with config.json and packed uint8 safetensors";

/// The format.
pub(crate) struct HuggingFacePacked;

impl Kind for HuggingFacePacked {
    fn matches(&self, known: &Known) -> Result<bool, Stop> {
        Ok(known.len(SINGLE_FILE)?.is_some() || known.len(INDEX_FILE)?.is_some())
    }

    fn read(&self, known: &Known) -> Result<Checkpoint, Stop> {
        let config = read_config(known)?;
        let weights = read_weights(known)?;
        let tensors = match_tensors(&config, &weights.entries)?;
        let mut files = vec![CONFIG_FILE.to_string()];
        files.extend(weights.files);
        let text = text::read_text(known, &config, &mut files)?;
        let license = text::read_license(known, &mut files)?;
        Ok(Checkpoint {
            kind: "huggingface-packed",
            architecture: config.architecture,
            convention: config.convention,
            tensors,
            text,
            license,
            files,
        })
    }
}

/// The error for a folder that no format recognises.
pub(crate) fn explain_unknown_files(known: &Known) -> Result<Error, Stop> {
    const OTHERS: [(&str, &str); 3] = [
        ("pytorch_model.bin", "a checkpoint in pytorch_model.bin"),
        (
            "pytorch_model.bin.index.json",
            "a checkpoint in pytorch_model.bin shards",
        ),
        (
            crate::manifest::MANIFEST_FILE,
            "a package that is already converted",
        ),
    ];
    for (file, found) in OTHERS {
        if known.len(file)?.is_some() {
            return Ok(Error::Unsupported {
                found: found.to_string(),
                supported: SUPPORTED,
            });
        }
    }
    Ok(Error::FileMissing {
        file: SINGLE_FILE.to_string(),
        purpose: "the weights of the checkpoint",
    })
}

/// The tensors of all files.
struct Weights {
    /// Index file, if any, and files of tensors.
    files: Vec<String>,
    entries: BTreeMap<String, (String, Entry)>,
}

fn read_weights(known: &Known) -> Result<Weights, Stop> {
    // Where both are present the single file counts, as it does for the library that writes these folders.
    if known.len(SINGLE_FILE)?.is_some() {
        let entries = read_file(known, SINGLE_FILE)?;
        let entries = entries
            .into_iter()
            .map(|entry| (entry.name.clone(), (SINGLE_FILE.to_string(), entry)));
        return Ok(Weights {
            files: vec![SINGLE_FILE.to_string()],
            entries: entries.collect(),
        });
    }
    let index: Index = known
        .json(INDEX_FILE, MAX_INDEX_BYTES)?
        .ok_or_else(|| missing_file(INDEX_FILE))?;
    let mut weight_map = index.into_files();
    let mut files: Vec<String> = weight_map.values().cloned().collect();
    files.sort();
    files.dedup();
    if let Some(name) = files.iter().find(|name| !is_plain_shard_name(name)) {
        return Err(Error::ShardName {
            file: INDEX_FILE.to_string(),
            name: shown(name),
            suffix: SUFFIX,
        }
        .into());
    }
    let mut entries = BTreeMap::new();
    for file in &files {
        for entry in read_file(known, file)? {
            let expected = weight_map.remove(&entry.name);
            if expected.as_deref() != Some(file) {
                return Err(Error::ShardIndex {
                    tensor: shown(&entry.name),
                    expected: expected.map_or("no file".to_string(), |name| shown(&name)),
                    got: format!("it is in {file}"),
                }
                .into());
            }
            entries.insert(entry.name.clone(), (file.clone(), entry));
        }
    }
    if let Some((tensor, file)) = weight_map.into_iter().min() {
        let got = "that file does not hold it".to_string();
        return Err(Error::ShardIndex {
            tensor: shown(&tensor),
            expected: shown(&file),
            got,
        }
        .into());
    }
    files.insert(0, INDEX_FILE.to_string());
    Ok(Weights { files, entries })
}

fn missing_file(file: &str) -> Error {
    Error::FileMissing {
        file: file.to_string(),
        purpose: "the weights of the checkpoint",
    }
}

fn read_file(known: &Known, file: &str) -> Result<Vec<Entry>, Stop> {
    let file_bytes = known.len(file)?.ok_or_else(|| missing_file(file))?;
    if file_bytes < LENGTH_BYTES {
        let expected = "at least 8, a safetensors header".to_string();
        return Err(Error::FileLength {
            file: file.to_string(),
            expected,
            got: file_bytes,
        }
        .into());
    }
    let mut prefix = [0; LENGTH_BYTES as usize];
    prefix.copy_from_slice(known.bytes(file, 0, LENGTH_BYTES)?);
    let n = header_bytes(file, prefix, file_bytes)?;
    Ok(parse_header(
        file,
        known.bytes(file, LENGTH_BYTES, n)?,
        file_bytes,
    )?)
}

/// Finds the checkpoint's tensor for each tensor of the architecture, and refuses leftovers that would change the answer.
fn match_tensors(
    config: &Config,
    entries: &BTreeMap<String, (String, Entry)>,
) -> Result<Vec<SourceTensor>, Error> {
    let mut unused: BTreeSet<&str> = entries.keys().map(String::as_str).collect();
    let mut tensors = Vec::new();
    for spec in config.architecture.tensors() {
        let name = source_name(&spec.name);
        let (file, entry) = find(entries, &name, &spec)?;
        unused.remove(name.as_str());
        let data = match spec.role {
            Role::Projection => {
                let scale_name = format!("{name}_scale");
                unused.remove(scale_name.as_str());
                packed_data(config, entries, &spec, &name, file, entry)?
            }
            Role::Norm | Role::Rows => floats_data(&spec, &name, file, entry)?,
        };
        tensors.push(SourceTensor {
            name: spec.name,
            source_name: name,
            shape: spec.shape,
            data,
        });
    }
    // A tied model may carry its head a second time; old files carry the rotary frequencies.
    let is_harmless = |name: &str| {
        (name == "lm_head.weight" && config.architecture.tied)
            || name.ends_with(".rotary_emb.inv_freq")
    };
    match unused.into_iter().find(|name| !is_harmless(name)) {
        None => Ok(tensors),
        Some(name) => {
            let family = config.architecture.family.clone();
            Err(Error::TensorUnexpected {
                tensor: shown(name),
                family,
            })
        }
    }
}

/// Name in the checkpoint of a canonical tensor.
fn source_name(canonical: &str) -> String {
    let in_layer = |name: &str| match name {
        "attn_norm" => "input_layernorm",
        "q" => "self_attn.q_proj",
        "k" => "self_attn.k_proj",
        "v" => "self_attn.v_proj",
        "attn_sub_norm" => "self_attn.attn_sub_norm",
        "o" => "self_attn.o_proj",
        "ffn_norm" => "post_attention_layernorm",
        "gate" => "mlp.gate_proj",
        "up" => "mlp.up_proj",
        "ffn_sub_norm" => "mlp.ffn_sub_norm",
        "down" => "mlp.down_proj",
        other => unreachable!("architecture has no tensor {other}"),
    };
    match canonical {
        "embed" => "model.embed_tokens.weight".to_string(),
        "final_norm" => "model.norm.weight".to_string(),
        "lm_head" => "lm_head.weight".to_string(),
        layer => match layer
            .strip_prefix("layers.")
            .and_then(|rest| rest.split_once('.'))
        {
            Some((number, name)) => format!("model.layers.{number}.{}.weight", in_layer(name)),
            None => unreachable!("architecture has no tensor {layer}"),
        },
    }
}

fn find<'a>(
    entries: &'a BTreeMap<String, (String, Entry)>,
    name: &str,
    spec: &TensorSpec,
) -> Result<(&'a str, &'a Entry), Error> {
    match entries.get(name) {
        Some((file, entry)) => Ok((file, entry)),
        None => Err(Error::TensorMissing {
            tensor: name.to_string(),
            shape: shown_shape(&stored_shape(spec)),
        }),
    }
}

/// Shape of a tensor in the checkpoint.
fn stored_shape(spec: &TensorSpec) -> Vec<u64> {
    let [n_rows, n_cols] = spec.shape.map(u64::from);
    match spec.role {
        Role::Projection => vec![n_rows.div_ceil(4), n_cols],
        Role::Rows => vec![n_rows, n_cols],
        Role::Norm => vec![n_cols],
    }
}

fn check_shape(spec: &TensorSpec, name: &str, entry: &Entry) -> Result<(), Error> {
    let expected = stored_shape(spec);
    if entry.shape == expected {
        return Ok(());
    }
    let got = shown_shape(&entry.shape);
    Err(Error::TensorShape {
        tensor: name.to_string(),
        expected: shown_shape(&expected),
        got,
    })
}

fn range(file: &str, entry: &Entry) -> ByteRange {
    ByteRange {
        file: file.to_string(),
        offset: entry.offset,
        bytes: entry.bytes,
    }
}

fn float_type(name: &str, entry: &Entry) -> Result<FloatType, Error> {
    match entry.dtype {
        Dtype::F32 => Ok(FloatType::F32),
        Dtype::F16 => Ok(FloatType::F16),
        Dtype::Bf16 => Ok(FloatType::Bf16),
        other => Err(Error::TensorDtype {
            tensor: name.to_string(),
            expected: "F32, F16 or BF16",
            got: other.name().to_string(),
        }),
    }
}

fn floats_data(
    spec: &TensorSpec,
    name: &str,
    file: &str,
    entry: &Entry,
) -> Result<TensorData, Error> {
    check_shape(spec, name, entry)?;
    Ok(TensorData::Floats {
        range: range(file, entry),
        dtype: float_type(name, entry)?,
    })
}

fn packed_data(
    config: &Config,
    entries: &BTreeMap<String, (String, Entry)>,
    spec: &TensorSpec,
    name: &str,
    file: &str,
    entry: &Entry,
) -> Result<TensorData, Error> {
    if !matches!(entry.dtype, Dtype::U8 | Dtype::I8) {
        return Err(Error::TensorDtype {
            tensor: name.to_string(),
            expected: "U8 (packed ternary codes; float master weights cannot be read by this version)",
            got: entry.dtype.name().to_string(),
        });
    }
    check_shape(spec, name, entry)?;
    let scale_name = format!("{name}_scale");
    let (scale_file, scale) = entries
        .get(&scale_name)
        .ok_or_else(|| Error::TensorMissing {
            tensor: scale_name.clone(),
            shape: "[1]".to_string(),
        })?;
    if scale.shape.iter().any(|&n| n != 1) || scale.shape.len() > 2 {
        let got = shown_shape(&scale.shape);
        return Err(Error::TensorShape {
            tensor: scale_name,
            expected: "[1]".to_string(),
            got,
        });
    }
    Ok(TensorData::HuggingFacePacked {
        codes: range(file, entry),
        scale: range(scale_file, scale),
        scale_dtype: float_type(&scale_name, scale)?,
        convention: config.convention,
    })
}
