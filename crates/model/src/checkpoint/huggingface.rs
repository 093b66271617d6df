//! Hugging Face folders with safetensors or PyTorch files: one file, or shards with an index.

use super::config::{CONFIG_FILE, read_config};
use super::find::Files;
use super::index::{Index, MAX_INDEX_BYTES, check_shard_names, rest_of_index, take_from_index};
use super::known::{Known, Stop};
use super::matching::match_tensors;
use super::safetensors::{Entry, LENGTH_BYTES, header_bytes, parse_header};
use super::stored::{Stored, Weights};
use super::{Checkpoint, Overrides, pytorch, text};
use crate::Error;
use crate::source::ByteRange;

/// How the names of safetensors shards end.
pub(crate) const SAFETENSORS_SUFFIX: &str = ".safetensors";
/// How the names of PyTorch shards end.
pub(crate) const PYTORCH_SUFFIX: &str = ".bin";

/// Reads a folder with safetensors.
pub(crate) fn read_safetensors(
    known: &Known,
    files: &Files,
    overrides: &Overrides,
) -> Result<Checkpoint, Stop> {
    let weights = read_weights(known, files, SAFETENSORS_SUFFIX, &read_safetensors_file)?;
    let kinds = ("huggingface-packed", "huggingface-masters");
    read_folder(known, overrides, weights, kinds)
}

/// Reads a folder with PyTorch files.
pub(crate) fn read_pytorch(
    known: &Known,
    files: &Files,
    overrides: &Overrides,
) -> Result<Checkpoint, Stop> {
    let weights = read_weights(known, files, PYTORCH_SUFFIX, &pytorch::read_file)?;
    read_folder(
        known,
        overrides,
        weights,
        ("pytorch-packed", "pytorch-masters"),
    )
}

/// Everything besides the weights, which are the same whatever the container. `kinds` are the names of the format with packed
/// and with float matrices.
fn read_folder(
    known: &Known,
    overrides: &Overrides,
    weights: Weights,
    kinds: (&'static str, &'static str),
) -> Result<Checkpoint, Stop> {
    let config = read_config(known)?;
    let matched = match_tensors(&config, &weights, overrides)?;
    let mut files = vec![CONFIG_FILE.to_string()];
    files.extend(weights.files);
    let text = text::read_text(known, &config, &mut files)?;
    let (text, tokenizer) = text.map_or((None, None), |text| (Some(text.info), text.made));
    let license = text::read_license(known, &mut files)?;
    Ok(Checkpoint {
        kind: if matched.is_packed { kinds.0 } else { kinds.1 },
        architecture: config.architecture,
        convention: matched.convention,
        masters: matched.masters,
        tensors: matched.tensors,
        text,
        tokenizer,
        license,
        files,
        notes: Vec::new(),
    })
}

/// Reads the tensors of one file.
type ReadFile<'a> = dyn Fn(&Known, &str) -> Result<Vec<(String, Stored)>, Stop> + 'a;

fn read_weights(
    known: &Known,
    files: &Files,
    suffix: &'static str,
    read_file: &ReadFile<'_>,
) -> Result<Weights, Stop> {
    let mut weights = Weights::default();
    let index_file = match files {
        Files::Single(file) => {
            weights.tensors.extend(read_file(known, file)?);
            weights.files.push(file.clone());
            return Ok(weights);
        }
        Files::Index(file) => file,
    };
    let index: Index = known
        .json(index_file, MAX_INDEX_BYTES)?
        .ok_or_else(|| missing_file(index_file))?;
    let mut weight_map = index.into_files();
    let shards = check_shard_names(index_file, &weight_map, suffix)?;
    for file in &shards {
        for (name, stored) in read_file(known, file)? {
            take_from_index(&mut weight_map, &name, file)?;
            weights.tensors.insert(name, stored);
        }
    }
    rest_of_index(weight_map)?;
    weights.files.push(index_file.clone());
    weights.files.extend(shards);
    Ok(weights)
}

fn stored(file: &str, entry: Entry) -> (String, Stored) {
    let range = ByteRange {
        file: file.to_string(),
        offset: entry.offset,
        bytes: entry.bytes,
    };
    let stored = Stored {
        dtype: entry.dtype,
        shape: entry.shape,
        range,
        strides: None,
    };
    (entry.name, stored)
}

pub(crate) fn missing_file(file: &str) -> Error {
    Error::FileMissing {
        file: file.to_string(),
        purpose: "the weights of the checkpoint",
    }
}

fn read_safetensors_file(known: &Known, file: &str) -> Result<Vec<(String, Stored)>, Stop> {
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
    let entries = parse_header(file, known.bytes(file, LENGTH_BYTES, n)?, file_bytes)?;
    Ok(entries
        .into_iter()
        .map(|entry| stored(file, entry))
        .collect())
}
