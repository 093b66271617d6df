//! What a package is and needs, before it is loaded.

use engine::SessionConfig;
use model::Manifest;
use protocol::{ByteCount, Fit, ModelOffer, StorageState};

use crate::store::Held;

/// Describes the package at `model_url`.
pub(crate) fn offer(
    model_url: &str,
    manifest: &Manifest,
    held: Held,
    storage: StorageState,
) -> ModelOffer {
    let tokenizer = manifest.text.as_ref().map(|text| &text.tokenizer);
    let files = manifest.shards.iter().chain(tokenizer);
    let context = SessionConfig::default()
        .context
        .min(manifest.architecture.context);
    ModelOffer {
        model_url: model_url.to_owned(),
        name: manifest.name.clone(),
        license: manifest.license.clone(),
        download_bytes: sum(files.map(|file| file.bytes)),
        stored_bytes: ByteCount::saturating(held.stored_bytes),
        complete: held.complete,
        max_context: manifest.architecture.context,
        weight_bytes: sum(manifest.memory.iter().take(1).map(|need| need.weight_bytes)),
        kv_bytes: ByteCount::saturating(manifest.architecture.kv_bytes_f16(context)),
        other_bytes: ByteCount::default(),
        fit: Fit::Unknown,
        storage,
    }
}

fn sum(bytes: impl Iterator<Item = u64>) -> ByteCount {
    ByteCount::saturating(bytes.fold(0, u64::saturating_add))
}
