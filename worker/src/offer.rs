//! What a package is and needs, before it is loaded.

use model::Manifest;
use protocol::{ByteCount, Fit, ModelOffer, StorageState};

use crate::fit::usual_context;
use crate::store::Held;

/// Describes the package at `model_url`.
pub(crate) fn offer(
    model_url: &str,
    manifest: &Manifest,
    held: Held,
    storage: StorageState,
    fit: Fit,
) -> ModelOffer {
    let context = usual_context(manifest);
    ModelOffer {
        model_url: model_url.to_owned(),
        name: manifest.name.clone(),
        license: manifest.license.clone(),
        download_bytes: ByteCount::saturating(download_bytes(manifest)),
        stored_bytes: ByteCount::saturating(held.stored_bytes),
        complete: held.complete,
        max_context: manifest.architecture.context,
        weight_bytes: sum(manifest.memory.iter().take(1).map(|need| need.weight_bytes)),
        kv_bytes: ByteCount::saturating(manifest.architecture.kv_bytes_f16(context)),
        other_bytes: ByteCount::default(),
        fit,
        storage,
    }
}

/// Bytes of everything but the manifest.
pub(crate) fn download_bytes(manifest: &Manifest) -> u64 {
    let tokenizer = manifest.text.as_ref().map(|text| &text.tokenizer);
    let files = manifest.shards.iter().chain(tokenizer);
    files.fold(0, |bytes, file| bytes.saturating_add(file.bytes))
}

fn sum(bytes: impl Iterator<Item = u64>) -> ByteCount {
    ByteCount::saturating(bytes.fold(0, u64::saturating_add))
}
