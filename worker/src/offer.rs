//! What a package is and needs, before it is loaded.

use model::Manifest;
use protocol::{ByteCount, KvNeed, ModelOffer, Settings, StorageState};

use crate::fit::{Judged, Memory};
use crate::store::Held;

/// Describes the package at `model_url`.
pub(crate) fn offer(
    model_url: &str,
    manifest: &Manifest,
    held: Held,
    storage: StorageState,
    judged: Judged,
    settings: &Settings,
) -> ModelOffer {
    let memory = judged.memory;
    let bytes = ByteCount::saturating;
    let kv_at = manifest.architecture.stated_contexts().into_iter();
    let kv_at = kv_at.map(|context| KvNeed {
        context,
        bytes: bytes(Memory::of(manifest, settings, context).kv_bytes),
    });
    ModelOffer {
        model_url: model_url.to_owned(),
        name: manifest.name.clone(),
        license: manifest.license.clone(),
        download_bytes: bytes(download_bytes(manifest)),
        stored_bytes: bytes(held.stored_bytes),
        complete: held.complete,
        max_context: manifest.architecture.context,
        weight_bytes: bytes(memory.weight_bytes),
        context: memory.context,
        kv_bytes: bytes(memory.kv_bytes),
        kv_at: kv_at.collect(),
        other_bytes: bytes(memory.other_bytes),
        fit: judged.fit,
        missing_bytes: bytes(judged.missing_bytes),
        precisions: Vec::new(),
        storage,
    }
}

/// Bytes of everything but the manifest.
pub(crate) fn download_bytes(manifest: &Manifest) -> u64 {
    let tokenizer = manifest.text.as_ref().map(|text| &text.tokenizer);
    let files = manifest.shards.iter().chain(tokenizer);
    files.fold(0, |bytes, file| bytes.saturating_add(file.bytes))
}
