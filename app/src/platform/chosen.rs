//! The model that was chosen last. It has to be known before anything else is, so it lies where it can be read at once.

use leptos::prelude::window;
use web_sys::Storage;

/// The store and the name of the note in it.
fn store() -> Option<(Storage, String)> {
    let store = window().local_storage().ok()??;
    Some((store, format!("tern-model {}", super::folder()?)))
}

/// Its address.
pub(super) fn remembered() -> Option<String> {
    let (store, name) = store()?;
    store.get_item(&name).ok()?
}

/// Forgets it, if it is this one: the next visit begins with the usual one.
pub(super) fn forget(url: &str) {
    if remembered().as_deref() == Some(url)
        && let Some((store, name)) = store()
    {
        let _gone = store.remove_item(&name);
    }
}

/// Remembers it. Where that is not possible the next visit begins with the usual one.
pub(super) fn remember(url: &str) {
    if let Some((store, name)) = store() {
        let _kept = store.set_item(&name, url);
    }
}
