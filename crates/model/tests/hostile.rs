//! Sources with any byte wrong or missing: an error or a package, never a panic.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{convert_source, folder_in_memory};
use model::convert::ConvertOptions;
use model::source::MemorySource;
use proptest::prelude::*;

fn options() -> ConvertOptions {
    ConvertOptions::new("test")
}

proptest! {
    /// One wrong byte anywhere: a package (the byte was a weight or text) or an error, never a panic.
    #[test]
    fn one_wrong_byte_never_panics(
        file in prop_oneof![Just("model.safetensors"), Just("config.json"), Just("tokenizer.json"),
            Just("tokenizer_config.json"), Just("generation_config.json")],
        // Most headers are at the front, where a wrong byte does most.
        at in prop_oneof![(0usize..4000).prop_map(Some), Just(None)],
        anywhere in any::<prop::sample::Index>(),
        xor in 1u8..,
    ) {
        let mut source = folder_in_memory(&fixtures::path("malformed/base/hf-packed"));
        let mut bytes = source.get(file).unwrap().to_vec();
        let at = at.filter(|&at| at < bytes.len()).unwrap_or_else(|| anywhere.index(bytes.len()));
        bytes[at] ^= xor;
        source.insert(file, bytes);
        if let Err(error) = convert_source(&source, &options()) {
            let message = error.to_string();
            prop_assert!(!message.contains('\n') && message.len() < 2000, "{}", message);
        }
    }
}

proptest! {
    /// The same of a PyTorch file: its pickle is a program, and no byte may make it do anything.
    #[test]
    fn one_wrong_byte_of_a_pytorch_file_never_panics(
        // The pickle is at the front, the list of files at the end.
        at in prop_oneof![(0usize..4000).prop_map(Some), Just(None)],
        anywhere in any::<prop::sample::Index>(),
        from_end in any::<bool>(),
        xor in 1u8..,
    ) {
        const FILE: &str = "pytorch_model.bin";
        let mut source = folder_in_memory(&fixtures::path("malformed/base/hf-bin"));
        let mut bytes = source.get(FILE).unwrap().to_vec();
        let at = at.unwrap_or_else(|| anywhere.index(bytes.len()));
        let at = if from_end { bytes.len() - 1 - at } else { at };
        bytes[at] ^= xor;
        source.insert(FILE, bytes);
        if let Err(error) = convert_source(&source, &options()) {
            let message = error.to_string();
            prop_assert!(!message.contains('\n') && message.len() < 2000, "{}", message);
        }
    }
}

proptest! {
    /// And of a GGUF file, most of whose bytes are metadata.
    #[test]
    fn one_wrong_byte_of_a_gguf_file_never_panics(
        at in prop_oneof![(0usize..12_000).prop_map(Some), Just(None)],
        anywhere in any::<prop::sample::Index>(),
        xor in 1u8..,
    ) {
        const FILE: &str = "base.gguf";
        let mut bytes = fixtures::bytes("malformed/base/base.gguf");
        let at = at.unwrap_or_else(|| anywhere.index(bytes.len()));
        bytes[at] ^= xor;
        let source = MemorySource::new([(FILE.to_string(), bytes)]);
        if let Err(error) = convert_source(&source, &options()) {
            let message = error.to_string();
            prop_assert!(!message.contains('\n') && message.len() < 2000, "{}", message);
        }
    }
}

#[test]
fn other_sources_cut_anywhere_are_refused() {
    for (path, file) in [
        ("malformed/base/hf-bin", "pytorch_model.bin"),
        ("malformed/base", "base.gguf"),
    ] {
        let base = MemorySource::new(
            std::fs::read_dir(fixtures::path(path))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_file())
                .map(|path| {
                    let name = path.file_name().unwrap().to_str().unwrap().to_string();
                    (name, std::fs::read(path).unwrap())
                }),
        );
        let whole = base.get(file).unwrap().to_vec();
        for n in (0..whole.len()).step_by(211).chain([whole.len() - 1]) {
            let mut source = base.clone();
            source.insert(file, whole[..n].to_vec());
            let error = convert_source(&source, &options()).unwrap_err().to_string();
            assert!(error.contains(file), "{n} bytes: {error}");
        }
    }
}

/// What fuzzing found (`cargo xtask fuzz`), and fixed since: each file in place of the one that its folder's name says.
#[test]
fn findings_of_the_past_give_one_line() {
    for (folder_name, file) in [
        ("safetensors", "model.safetensors"),
        ("pickle", "pytorch_model.bin"),
        ("gguf", "model.gguf"),
        ("package", "manifest.json"),
    ] {
        let folder = fixtures::workspace_root()
            .join("tests/data/fuzz")
            .join(folder_name);
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let mut source = match folder_name {
                "safetensors" => folder_in_memory(&fixtures::path("malformed/base/hf-packed")),
                "pickle" => folder_in_memory(&fixtures::path("malformed/base/hf-bin")),
                _ => MemorySource::default(),
            };
            source.insert(file, std::fs::read(&path).unwrap());
            let result = if folder_name == "package" {
                model::package::read_manifest(&source).map(drop)
            } else {
                convert_source(&source, &options()).map(drop)
            };
            if let Err(error) = result {
                let message = error.to_string();
                assert!(
                    !message.contains('\n') && message.len() < 2000,
                    "{path:?}: {message}"
                );
            }
        }
    }
}
