//! Helpers of the integration tests.

#![allow(dead_code, reason = "each test binary uses some of them")]

pub(crate) mod gguf;
pub(crate) mod remote;

use std::ops::ControlFlow;
use std::path::Path;

use model::checkpoint::I2sBlock;
use model::convert::{ConvertOptions, MemorySink, convert};
use model::layout::{DecodedPiece, decode_piece, unpack_b2};
use model::package::{read_manifest, read_shard};
use model::source::{FolderSource, MemorySource, Source};
use model::{Error, Manifest, Tensor};

/// Converts a source into memory.
pub(crate) fn convert_source(
    source: &dyn Source,
    options: &ConvertOptions,
) -> Result<(Manifest, MemorySource), Error> {
    let mut sink = MemorySink::default();
    let manifest = convert(source, &mut sink, options, &mut |_| {
        ControlFlow::Continue(())
    })?;
    let package = sink
        .into_source()
        .expect("a conversion that succeeds finishes its sink");
    assert_eq!(
        manifest,
        read_manifest(&package).unwrap(),
        "what is returned is what is written"
    );
    Ok((manifest, package))
}

/// Converts a folder, or a file of weights, into memory. A GGUF file whose name says so has I2_S blocks of 64.
pub(crate) fn convert_to_memory(
    path: &Path,
    options: &ConvertOptions,
) -> Result<(Manifest, MemorySource), Error> {
    if !path.is_file() {
        return convert_source(&FolderSource::new(path)?, options);
    }
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut options = options.clone();
    options.file = Some(name.to_string());
    if name.contains("i2_s-64") {
        options.overrides.i2s = Some(I2sBlock::Of64);
    }
    convert_source(&FolderSource::new(path.parent().unwrap())?, &options)
}

/// The files of a folder in memory.
pub(crate) fn folder_in_memory(folder: &Path) -> MemorySource {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (
            entry.file_name().into_string().unwrap(),
            std::fs::read(entry.path()).unwrap(),
        )
    });
    MemorySource::new(files)
}

/// All pieces of a tensor, decoded.
pub(crate) fn decode_tensor(
    manifest: &Manifest,
    package: &MemorySource,
    tensor: &Tensor,
) -> Vec<DecodedPiece<'static>> {
    let owned = |piece: DecodedPiece<'_>| match piece {
        DecodedPiece::Ternary {
            words,
            group_scales,
        } => DecodedPiece::Ternary {
            words: words.into_owned().into(),
            group_scales,
        },
        DecodedPiece::Rows { codes, scales } => DecodedPiece::Rows {
            codes: codes.into_owned().into(),
            scales,
        },
        DecodedPiece::F32(values) => DecodedPiece::F32(values),
    };
    let decode = |piece: &model::Piece| {
        let shard = read_shard(package, manifest, piece.shard).unwrap();
        owned(decode_piece(&manifest.ternary, tensor, piece, &shard).unwrap())
    };
    tensor.pieces.iter().map(decode).collect()
}

/// Codes `[n_rows, n_cols]` of a ternary tensor.
pub(crate) fn codes(manifest: &Manifest, package: &MemorySource, tensor: &Tensor) -> Vec<u8> {
    let pieces = decode_tensor(manifest, package, tensor);
    let unpack = |(piece, decoded): (&model::Piece, DecodedPiece<'_>)| match decoded {
        DecodedPiece::Ternary { words, .. } => {
            let rows_per_tile = manifest.ternary.rows_per_tile as usize;
            unpack_b2(
                &words,
                piece.n_rows as usize,
                tensor.shape[1] as usize,
                rows_per_tile,
            )
        }
        other => panic!("{} is not ternary: {other:?}", tensor.name),
    };
    tensor.pieces.iter().zip(pieces).flat_map(unpack).collect()
}

/// A tensor by its canonical name.
pub(crate) fn tensor<'a>(manifest: &'a Manifest, name: &str) -> &'a Tensor {
    manifest
        .tensors
        .iter()
        .find(|tensor| tensor.name == name)
        .unwrap_or_else(|| panic!("no tensor {name}"))
}

/// FNV-1a, 64 bits.
pub(crate) fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
