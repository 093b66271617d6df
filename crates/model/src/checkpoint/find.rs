//! Which files hold the weights, and in which format.

use super::huggingface::missing_file;
use super::known::{Known, Stop};
use super::zip::LOCAL_SIGNATURE;
use crate::Error;
use crate::error::shown;
use crate::manifest::MANIFEST_FILE;

pub(crate) const SAFETENSORS_FILE: &str = "model.safetensors";
pub(crate) const SAFETENSORS_INDEX: &str = "model.safetensors.index.json";
pub(crate) const PYTORCH_FILE: &str = "pytorch_model.bin";
pub(crate) const PYTORCH_INDEX: &str = "pytorch_model.bin.index.json";

/// Endings of files that may hold weights, where none has one of the usual names.
const ENDINGS: [&str; 5] = [".safetensors", ".bin", ".pt", ".pth", ".gguf"];
/// Beginnings of such files that hold something else.
const NOT_WEIGHTS: [&str; 4] = ["training_args", "optimizer", "scheduler", "rng_state"];

/// How PyTorch files begin that were written before version 1.6, without a zip archive around them.
const LEGACY_PYTORCH: [u8; 8] = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46];
/// Bytes that tell a format.
const MAGIC_BYTES: u64 = 9;

/// What this version converts, for messages.
const SUPPORTED: &str = "safetensors, PyTorch files (zip), GGUF";

/// The files of the weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Files {
    /// One file.
    Single(String),
    /// The index of several.
    Index(String),
}

/// The weights and their format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Safetensors(Files),
    Pytorch(Files),
    Gguf(String),
}

/// Finds the weights: the file that a person chose, the usual names, or the only file that may hold weights.
///
/// # Errors
/// If there is none, there are several, or its format is not one that is read.
pub(crate) fn find(known: &Known, chosen: Option<&str>) -> Result<Found, Stop> {
    if let Some(file) = chosen {
        return by_content(known, file);
    }
    // Where single file and index are present the single file counts, as it does for the library that writes these folders.
    for file in [
        SAFETENSORS_FILE,
        SAFETENSORS_INDEX,
        PYTORCH_FILE,
        PYTORCH_INDEX,
    ] {
        if known.len(file)?.is_some() {
            return by_content(known, file);
        }
    }
    if known.len(MANIFEST_FILE)?.is_some() {
        return Err(unsupported("a package that is already converted".to_string()).into());
    }
    let may_hold_weights = |name: &&String| {
        ENDINGS.iter().any(|ending| name.ends_with(ending))
            && !NOT_WEIGHTS.iter().any(|start| name.starts_with(start))
    };
    let candidates: Vec<&String> = known.files()?.iter().filter(may_hold_weights).collect();
    match candidates[..] {
        [] => Err(missing_file(SAFETENSORS_FILE).into()),
        [file] => by_content(known, file),
        [first, second, ..] => {
            let found = format!(
                "a folder with several files of weights ({}, {}) and no index",
                shown(first),
                shown(second)
            );
            Err(Error::Unsupported {
                found,
                supported: "naming one of the files",
            }
            .into())
        }
    }
}

fn unsupported(found: String) -> Error {
    Error::Unsupported {
        found,
        supported: SUPPORTED,
    }
}

/// The format of a file by its first bytes; of an index by its name.
fn by_content(known: &Known, file: &str) -> Result<Found, Stop> {
    let Some(bytes) = known.len(file)? else {
        return Err(missing_file(file).into());
    };
    if file.ends_with(".index.json") {
        let files = Files::Index(file.to_string());
        return Ok(if file.contains(".safetensors") {
            Found::Safetensors(files)
        } else {
            Found::Pytorch(files)
        });
    }
    let magic = known.bytes(file, 0, bytes.min(MAGIC_BYTES))?;
    let files = Files::Single(file.to_string());
    if magic.starts_with(&LOCAL_SIGNATURE) {
        return Ok(Found::Pytorch(files));
    }
    if magic.starts_with(b"GGUF") || file.ends_with(".gguf") {
        return Ok(Found::Gguf(file.to_string()));
    }
    if magic.starts_with(&LEGACY_PYTORCH) {
        let found = format!(
            "file {file}, a legacy PyTorch file (older than 1.6, no zip archive; load it and save it again),"
        );
        return Err(unsupported(found).into());
    }
    // A header is an object. Damaged ones are explained by their reader.
    if magic.get(8) == Some(&b'{') || file.ends_with(".safetensors") {
        return Ok(Found::Safetensors(files));
    }
    let found = format!("file {}, which begins like no known format,", shown(file));
    Err(unsupported(found).into())
}
