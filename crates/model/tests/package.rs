//! Packages: verified as a whole, inspected from the outside, refused when a byte is wrong.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::ops::ControlFlow;

use common::{convert_source, convert_to_memory, folder_in_memory};
use fixtures::PACKED;
use model::convert::{ConvertOptions, EmbedFormat};
use model::hash::hash_bytes;
use model::inspect::{Form, inspect};
use model::manifest::MemoryNeed;
use model::package::{Verified, read_manifest, verify};
use model::source::{FolderSource, MemorySource};
use model::{Coding, Encoding, Error, Manifest};

fn verify_all(package: &MemorySource) -> Result<Verified, Error> {
    verify(package, &mut |_, _| ControlFlow::Continue(()))
}

#[test]
fn every_package_verifies() {
    for (folder, variant) in PACKED {
        for coding in [Coding::B2, Coding::T5] {
            for embed in [
                EmbedFormat::F16,
                EmbedFormat::Q8,
                EmbedFormat::Q6 { group: 32 },
                EmbedFormat::Q6 { group: 64 },
            ] {
                let options = ConvertOptions {
                    coding,
                    embed,
                    ..ConvertOptions::new("test")
                };
                let (manifest, package) =
                    convert_to_memory(&fixtures::path(folder).join(variant), &options).unwrap();
                let verified = verify_all(&package).unwrap();
                let bytes: usize = package.files().values().map(Vec::len).sum();
                let expected = Verified {
                    shards: manifest.shards.len(),
                    tensors: manifest.tensors.len(),
                    bytes: bytes as u64,
                };
                assert_eq!(verified, expected);
            }
        }
    }
}

#[test]
fn one_wrong_byte_in_any_file_is_found() {
    let (manifest, package) =
        convert_to_memory(&fixtures::path("g256/packed"), &ConvertOptions::new("test")).unwrap();
    let shard = &manifest.shards[0].file;
    for file in [shard.as_str(), "tokenizer.json"] {
        let whole = package.get(file).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 23) {
            let mut damaged = package.clone();
            let mut bytes = whole.to_vec();
            bytes[at] ^= 1;
            damaged.insert(file, bytes);
            let error = verify_all(&damaged).unwrap_err();
            assert!(
                matches!(&error, Error::FileHash { file: named, .. } if named == file),
                "{error}"
            );
        }
        let mut short = package.clone();
        short.insert(file, whole[1..].to_vec());
        assert!(matches!(
            verify_all(&short).unwrap_err(),
            Error::FileLength { .. }
        ));
        let mut without = package.clone();
        without.remove(file);
        assert!(matches!(
            verify_all(&without).unwrap_err(),
            Error::FileMissing { .. }
        ));
    }
}

/// Changes bytes of the only shard and makes the manifest's hash right again.
fn forge(
    manifest: &Manifest,
    package: &MemorySource,
    change: impl Fn(&Manifest, &mut [u8]),
) -> MemorySource {
    let mut forged = package.clone();
    let mut manifest = manifest.clone();
    let name = manifest.shards[0].file.clone();
    let mut bytes = package.get(&name).unwrap().to_vec();
    change(&manifest, &mut bytes);
    manifest.shards[0] = hash_bytes(&name, &bytes);
    forged.insert(&name, bytes);
    forged.insert("manifest.json", manifest.to_json());
    forged
}

#[test]
fn damage_with_a_right_hash_is_found_by_its_values() {
    let (manifest, package) =
        convert_to_memory(&fixtures::path("g256/packed"), &ConvertOptions::new("test")).unwrap();
    let offset =
        |manifest: &Manifest, name: &str| common::tensor(manifest, name).pieces[0].offset as usize;
    assert!(verify_all(&forge(&manifest, &package, |_, _| {})).is_ok());
    let code_3 = forge(&manifest, &package, |m, bytes| {
        bytes[offset(m, "layers.1.down")] = 0xff
    });
    let error = verify_all(&code_3).unwrap_err();
    assert!(
        matches!(error, Error::TernaryCode { ref tensor, got: 3, .. } if tensor == "layers.1.down"),
        "{error}"
    );
    let nan = f32::NAN.to_le_bytes();
    let norm = forge(&manifest, &package, |m, bytes| {
        let at = offset(m, "final_norm");
        bytes[at..at + 4].copy_from_slice(&nan);
    });
    assert!(
        matches!(verify_all(&norm).unwrap_err(), Error::Value { tensor, .. } if tensor == "final_norm")
    );
    let scale = forge(&manifest, &package, |m, bytes| {
        let piece = common::tensor(m, "embed").pieces[0];
        let at = (piece.offset + piece.bytes) as usize - 4;
        bytes[at..at + 4].copy_from_slice(&nan);
    });
    assert!(
        matches!(verify_all(&scale).unwrap_err(), Error::Scale { tensor, row: 383, .. } if tensor == "embed")
    );
}

#[test]
fn a_tokenizer_that_does_not_fit_is_found() {
    let (mut manifest, package) = convert_to_memory(
        &fixtures::path("malformed/base/hf-packed"),
        &ConvertOptions::new("test"),
    )
    .unwrap();
    let mut forged = package.clone();
    let json = fixtures::bytes("malformed/tokenizer-too-large.json");
    manifest.text.as_mut().unwrap().tokenizer = hash_bytes("tokenizer.json", &json);
    forged.insert("tokenizer.json", json);
    forged.insert("manifest.json", manifest.to_json());
    let error = verify_all(&forged).unwrap_err().to_string();
    assert!(error.contains("300") && error.contains("264"), "{error}");
}

#[test]
fn verification_can_be_stopped() {
    let (_, package) =
        convert_to_memory(&fixtures::path("g256/packed"), &ConvertOptions::new("test")).unwrap();
    assert!(matches!(
        verify(&package, &mut |_, _| ControlFlow::Break(())),
        Err(Error::Cancelled)
    ));
}

#[test]
fn the_manifest_states_provenance_and_hashes() {
    let path = fixtures::path("g256/packed-sharded");
    let options = ConvertOptions {
        license: Some("MIT".into()),
        ..ConvertOptions::new("A name")
    };
    let (manifest, _) = convert_to_memory(&path, &options).unwrap();
    assert_eq!(
        (manifest.name.as_str(), manifest.license.as_deref()),
        ("A name", Some("MIT"))
    );
    assert_eq!(manifest.source.kind, "huggingface-packed");
    assert_eq!(manifest.source.scale_convention, "multiply");
    let names: Vec<&str> = manifest
        .source
        .files
        .iter()
        .map(|file| file.file.as_str())
        .collect();
    let expected = [
        "config.json",
        "model.safetensors.index.json",
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "generation_config.json",
    ];
    assert_eq!(names, expected);
    for file in &manifest.source.files {
        assert_eq!(
            *file,
            hash_bytes(&file.file, &std::fs::read(path.join(&file.file)).unwrap())
        );
    }
    let divide = convert_to_memory(&fixtures::path("gl256/packed_div"), &options)
        .unwrap()
        .0;
    assert_eq!(divide.source.scale_convention, "divide");
}

#[test]
fn licence_of_the_model_card_is_used_unless_another_is_given() {
    let mut source = folder_in_memory(&fixtures::path("malformed/base/hf-packed"));
    source.insert(
        "README.md",
        b"---\nlicense: apache-2.0\n---\n# Model".to_vec(),
    );
    let license = |options: &ConvertOptions| convert_source(&source, options).unwrap().0.license;
    assert_eq!(
        license(&ConvertOptions::new("test")).as_deref(),
        Some("Apache-2.0")
    );
    let other = ConvertOptions {
        license: Some("MIT".into()),
        ..ConvertOptions::new("test")
    };
    assert_eq!(license(&other).as_deref(), Some("MIT"));
}

#[test]
fn memory_needs_are_those_of_the_tensors() {
    let manifest = convert_to_memory(
        &fixtures::path("h320/packed_mul"),
        &ConvertOptions::new("test"),
    )
    .unwrap()
    .0;
    // One layer, 320 wide, feed-forward 864 (padded to 896), 384 rows of 320 bytes and a scale; three norms of 320 and
    // one of 864, and attn_sub_norm. Rows are padded to 16: 864 and 320 are multiples of it.
    let ternary = 4 * (320 * 320 / 4) + 2 * (864 * 320 / 4) + 320 * 896 / 4;
    let norms = (4 * 320 + 864) * 4;
    let embed = 384 * (320 + 4);
    let kv_bytes_f16 = 2 * 2 * 5 * 64 * 256;
    assert_eq!(
        manifest.memory,
        [MemoryNeed {
            context: 256,
            weight_bytes: ternary + norms + embed,
            kv_bytes_f16
        }]
    );
}

#[test]
fn inspection_tells_checkpoints_and_packages_apart() {
    let path = fixtures::path("g256/packed");
    let checkpoint = inspect(
        &FolderSource::new(&path).unwrap(),
        &ConvertOptions::new("test"),
    )
    .unwrap();
    assert_eq!(
        checkpoint.form,
        Form::Checkpoint {
            kind: "huggingface-packed".into()
        }
    );
    let (manifest, files) = convert_to_memory(&path, &ConvertOptions::new("test")).unwrap();
    let package = inspect(&files, &ConvertOptions::new("test")).unwrap();
    assert_eq!(package.form, Form::Package { schema: 1 });
    assert_eq!((checkpoint.name, package.name), (None, Some("test".into())));
    assert_eq!(package.embed, Some(Encoding::Q8));
    // What is planned for the checkpoint by default is what the package then has.
    assert_eq!(checkpoint.memory, manifest.memory);
    assert_eq!(
        (checkpoint.shard_bytes, checkpoint.n_shards),
        (package.shard_bytes, package.n_shards)
    );
    assert_eq!(checkpoint.architecture, package.architecture);
    let per_layer = 2 * 256 * 256 + 2 * 128 * 256 + 3 * 768 * 256;
    for found in [
        (checkpoint.n_ternary, checkpoint.n_rows),
        (package.n_ternary, package.n_rows),
    ] {
        assert_eq!(found, (2 * per_layer, 384 * 256));
    }
    let length = |name: &str| Some(std::fs::metadata(path.join(name)).unwrap().len());
    assert!(
        checkpoint
            .files
            .contains(&("model.safetensors".into(), length("model.safetensors")))
    );
}

#[test]
fn a_damaged_manifest_is_not_inspected() {
    let (_, files) =
        convert_to_memory(&fixtures::path("g256/packed"), &ConvertOptions::new("test")).unwrap();
    let mut damaged = files.clone();
    damaged.insert("manifest.json", b"{}".to_vec());
    assert!(inspect(&damaged, &ConvertOptions::new("test")).is_err());
    assert!(
        read_manifest(&MemorySource::default())
            .unwrap_err()
            .to_string()
            .contains("manifest.json is missing")
    );
}
