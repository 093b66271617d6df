//! Hugging Face folders with safetensors: one file, or shards with an index.

use super::config::{CONFIG_FILE, read_config};
use super::index::{Index, MAX_INDEX_BYTES, check_shard_names, rest_of_index, take_from_index};
use super::known::{Known, Stop};
use super::matching::match_tensors;
use super::safetensors::{Entry, LENGTH_BYTES, header_bytes, parse_header};
use super::stored::{Stored, Weights};
use super::{Checkpoint, Kind, Overrides, text};
use crate::Error;
use crate::source::ByteRange;

const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";
/// How the names of shards end.
const SUFFIX: &str = ".safetensors";

/// What this version converts, for messages.
const SUPPORTED: &str = "a folder with config.json and safetensors";

/// The format.
pub(crate) struct Safetensors;

impl Kind for Safetensors {
    fn matches(&self, known: &Known) -> Result<bool, Stop> {
        Ok(known.len(SINGLE_FILE)?.is_some() || known.len(INDEX_FILE)?.is_some())
    }

    fn read(&self, known: &Known, overrides: &Overrides) -> Result<Checkpoint, Stop> {
        let kinds = ("huggingface-packed", "huggingface-masters");
        read_folder(known, overrides, read_weights(known)?, kinds)
    }
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
    let license = text::read_license(known, &mut files)?;
    Ok(Checkpoint {
        kind: if matched.is_packed { kinds.0 } else { kinds.1 },
        architecture: config.architecture,
        convention: matched.convention,
        masters: matched.masters,
        tensors: matched.tensors,
        text,
        license,
        files,
    })
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
    Ok(missing_file(SINGLE_FILE))
}

fn read_weights(known: &Known) -> Result<Weights, Stop> {
    let mut weights = Weights::default();
    // Where both are present the single file counts, as it does for the library that writes these folders.
    if known.len(SINGLE_FILE)?.is_some() {
        for entry in read_file(known, SINGLE_FILE)? {
            let (name, stored) = stored(SINGLE_FILE, entry);
            weights.tensors.insert(name, stored);
        }
        weights.files.push(SINGLE_FILE.to_string());
        return Ok(weights);
    }
    let index: Index = known
        .json(INDEX_FILE, MAX_INDEX_BYTES)?
        .ok_or_else(|| missing_file(INDEX_FILE))?;
    let mut weight_map = index.into_files();
    let files = check_shard_names(INDEX_FILE, &weight_map, SUFFIX)?;
    for file in &files {
        for entry in read_file(known, file)? {
            take_from_index(&mut weight_map, &entry.name, file)?;
            let (name, stored) = stored(file, entry);
            weights.tensors.insert(name, stored);
        }
    }
    rest_of_index(weight_map)?;
    weights.files.push(INDEX_FILE.to_string());
    weights.files.extend(files);
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
