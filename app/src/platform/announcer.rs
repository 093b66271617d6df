//! The region whose text screen readers say when they have time. It is no part of the drawn page, so that nothing of
//! what is drawn can silence it.

use leptos::prelude::document;
use wasm_bindgen::JsValue;
use web_sys::Element;

/// The id of the region.
const REGION: &str = "announcer";
/// How many of the latest announcements stay: those that may still wait to be said.
const KEPT: u32 = 8;

/// Makes the region. Screen readers say only what comes into one that they know already.
pub(super) fn prepare() {
    if let Err(error) = make() {
        leptos::logging::warn!("announcements can't be made: {error:?}");
    }
}

fn make() -> Result<(), JsValue> {
    let document = document();
    let region = document.create_element("div")?;
    let attributes = [
        ("id", REGION),
        ("role", "log"),
        ("aria-live", "polite"),
        ("aria-label", app::strings::ANNOUNCEMENTS),
        ("class", "unseen"),
    ];
    for (name, value) in attributes {
        region.set_attribute(name, value)?;
    }
    if let Some(body) = document.body() {
        body.append_child(&region)?;
    }
    Ok(())
}

/// Has `words` said, after what waits to be said.
pub(super) fn say(words: &str) {
    let Some(region) = document().get_element_by_id(REGION) else {
        return;
    };
    if let Err(error) = add(&region, words) {
        leptos::logging::warn!("an announcement was not made: {error:?}");
    }
}

fn add(region: &Element, words: &str) -> Result<(), JsValue> {
    let line = document().create_element("p")?;
    line.set_text_content(Some(words));
    region.append_child(&line)?;
    while region.child_element_count() > KEPT {
        match region.first_element_child() {
            Some(oldest) => oldest.remove(),
            None => break,
        }
    }
    Ok(())
}
