//! The app as something installed: what stands in the page before it runs.

use leptos::prelude::document;

/// The id of what index.html shows before the app runs.
const BOOT: &str = "boot";

/// Takes away what index.html showed until the page was drawn.
pub(crate) fn drawn() {
    if let Some(boot) = document().get_element_by_id(BOOT) {
        boot.remove();
    }
}
