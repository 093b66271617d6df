//! The region whose text screen readers say when they have time. It is no part of the drawn page, so that nothing of
//! what is drawn can silence it.

use leptos::prelude::document;
use web_sys::Element;

/// The id of the region.
const REGION: &str = "announcer";

/// Has `words` said. What was to be said before and was not yet is lost, as with every live region.
pub(super) fn say(words: &str) {
    if let Some(region) = region() {
        region.set_text_content(Some(words));
    }
}

/// The region, made when it is not there.
fn region() -> Option<Element> {
    let document = document();
    if let Some(region) = document.get_element_by_id(REGION) {
        return Some(region);
    }
    let region = document.create_element("div").ok()?;
    let attributes = [
        ("id", REGION),
        ("aria-live", "polite"),
        ("aria-atomic", "true"),
        ("class", "unseen"),
    ];
    for (name, value) in attributes {
        region.set_attribute(name, value).ok()?;
    }
    document.body()?.append_child(&region).ok()?;
    Some(region)
}
