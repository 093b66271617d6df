//! The one screen that has an address of its own: `#diagnose`, behind whatever the page's address is.

use std::rc::Rc;

use app::Action;
use gloo::events::EventListener;
use leptos::prelude::window;

use crate::page::Listener;

/// The address's part behind the page.
const FRAGMENT: &str = "#diagnose";

/// Whether the address names the diagnostics.
pub(super) fn names_diagnostics() -> bool {
    window()
        .location()
        .hash()
        .is_ok_and(|hash| hash == FRAGMENT)
}

/// Tells of changes, also of those that come from here.
pub(super) fn listen(listener: &Listener) {
    let tell = Rc::clone(listener);
    EventListener::new(&window(), "hashchange", move |_| {
        tell(Action::Address {
            diagnostics: names_diagnostics(),
        });
    })
    .forget();
}

/// Makes the address say what is shown. Opening the diagnostics is a step that the browser can take back; leaving them is
/// none.
pub(super) fn show(diagnostics: bool) {
    if diagnostics == names_diagnostics() {
        return;
    }
    let window = window();
    let changed = if diagnostics {
        window.location().set_hash(FRAGMENT)
    } else {
        without_fragment()
    };
    if let Err(error) = changed {
        leptos::logging::warn!("the address stays as it was: {error:?}");
    }
}

fn without_fragment() -> Result<(), wasm_bindgen::JsValue> {
    let window = window();
    let href = window.location().href()?;
    let plain = href.split('#').next().unwrap_or(&href);
    let history = window.history()?;
    history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(plain))
}
