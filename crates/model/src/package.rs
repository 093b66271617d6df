//! Reading and checking whole packages.

use std::ops::ControlFlow;

use crate::checkpoint::text::MAX_TOKENIZER_BYTES;
use crate::checkpoint::tokenizer::Tokenizer;
use crate::hash::check_hash;
use crate::layout::decode_piece;
use crate::manifest::{MANIFEST_FILE, MAX_SHARD_BYTES};
use crate::source::{Source, read_whole};
use crate::validate::MAX_MANIFEST_BYTES;
use crate::{Error, Manifest, Piece, Tensor};

/// What [`verify`] looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Shards, each with the right length and hash.
    pub shards: usize,
    /// Tensors, each with all its rows.
    pub tensors: usize,
    /// Bytes of all files, the manifest included.
    pub bytes: u64,
}

/// Reads the manifest of a package and validates it.
///
/// # Errors
/// If it is missing, cannot be read or is not valid.
pub fn read_manifest(source: &dyn Source) -> Result<Manifest, Error> {
    Manifest::from_json(&read_whole(
        source,
        MANIFEST_FILE,
        "the package",
        MAX_MANIFEST_BYTES,
    )?)
}

/// Reads one shard and compares it with its length and hash.
///
/// # Errors
/// If it is missing, cannot be read, or is not what the manifest says.
pub fn read_shard(source: &dyn Source, manifest: &Manifest, index: u32) -> Result<Vec<u8>, Error> {
    let Some(shard) = manifest.shards.get(index as usize) else {
        let expected = format!("below {}", manifest.shards.len());
        return Err(Error::Manifest {
            field: "shard index".to_string(),
            expected,
            got: index.to_string(),
        });
    };
    let bytes = read_whole(source, &shard.file, "the package", MAX_SHARD_BYTES)?;
    check_hash(shard, &bytes)?;
    Ok(bytes)
}

/// The tokenizer file of a package, compared with its length and hash; `None` if the package has none.
///
/// # Errors
/// If it is missing, cannot be read, or is not what the manifest says.
pub fn read_tokenizer(source: &dyn Source, manifest: &Manifest) -> Result<Option<Vec<u8>>, Error> {
    let Some(text) = &manifest.text else {
        return Ok(None);
    };
    let bytes = read_whole(
        source,
        &text.tokenizer.file,
        "the package",
        MAX_TOKENIZER_BYTES,
    )?;
    check_hash(&text.tokenizer, &bytes)?;
    Ok(Some(bytes))
}

/// The pieces of each shard with their tensors, by shard. Call [`Manifest::validate`] first.
pub fn pieces_by_shard(manifest: &Manifest) -> Vec<Vec<(&Tensor, &Piece)>> {
    let mut by_shard = vec![Vec::new(); manifest.shards.len()];
    for tensor in &manifest.tensors {
        for piece in &tensor.pieces {
            if let Some(pieces) = by_shard.get_mut(piece.shard as usize) {
                pieces.push((tensor, piece));
            }
        }
    }
    by_shard
}

/// Checks a package completely: the manifest, length and hash of every file, every code and scale, and that the tokenizer
/// fits the vocabulary. Holds one shard at a time. `progress` gets the bytes checked so far and those of all shards.
///
/// # Errors
/// The first thing that is wrong, or [`Error::Cancelled`] if `progress` returns `Break`.
pub fn verify(
    source: &dyn Source,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Verified, Error> {
    let manifest = read_manifest(source)?;
    let total: u64 = manifest.shards.iter().map(|shard| shard.bytes).sum();
    let mut bytes = source.len(MANIFEST_FILE)?.unwrap_or(0);
    if let Some(json) = read_tokenizer(source, &manifest)? {
        let file = manifest
            .text
            .as_ref()
            .map_or("", |text| text.tokenizer.file.as_str());
        Tokenizer::read(file, &json)?.check_size(file, manifest.architecture.vocab)?;
        bytes += json.len() as u64;
    }
    let mut done = 0;
    for (index, pieces) in pieces_by_shard(&manifest).into_iter().enumerate() {
        let shard = read_shard(source, &manifest, index as u32)?;
        for (tensor, piece) in pieces {
            decode_piece(&manifest.ternary, tensor, piece, &shard)?;
        }
        done += shard.len() as u64;
        if progress(done, total).is_break() {
            return Err(Error::Cancelled);
        }
    }
    Ok(Verified {
        shards: manifest.shards.len(),
        tensors: manifest.tensors.len(),
        bytes: bytes + done,
    })
}
