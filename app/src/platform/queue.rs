//! The models that are to be downloaded, where a later visit finds them. They are few and have to be known at once, so they lie
//! beside the note of the model that was chosen last.

use app::QueuedModel;
use leptos::prelude::window;
use web_sys::Storage;

/// The store and the name of the note in it.
fn store() -> Option<(Storage, String)> {
    let store = window().local_storage().ok()??;
    Some((store, format!("tern-queue {}", super::folder()?)))
}

/// The models. What can't be read counts as none.
pub(super) fn recall() -> Vec<QueuedModel> {
    let note = store().and_then(|(store, name)| store.get_item(&name).ok()?);
    note.and_then(|note| serde_json::from_str(&note).ok())
        .unwrap_or_default()
}

/// Keeps them. Where that is not possible the next visit begins without any.
pub(super) fn remember(models: &[QueuedModel]) {
    let Some((store, name)) = store() else { return };
    if models.is_empty() {
        let _gone = store.remove_item(&name);
    } else if let Ok(note) = serde_json::to_string(models) {
        let _kept = store.set_item(&name, &note);
    }
}
