//! The page in its window: above the on-screen keyboard, in the chosen colours and size.

use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::page::Page;

/// Above this scale the person has zoomed in: the visible part is smaller, but the page must not shrink with it.
const ZOOMED: f64 = 1.01;

/// Keeps the page as large as what can be seen of it. iPadOS does not make a page smaller when the on-screen keyboard
/// comes; it covers the page and moves it.
pub(super) fn follow() {
    let Some(visual) = window().visual_viewport() else {
        return;
    };
    let seen = visual.clone();
    let fit = move || {
        let root: web_sys::HtmlElement = match document().document_element().map(JsCast::dyn_into) {
            Some(Ok(root)) => root,
            _ => return,
        };
        let inner = window()
            .inner_height()
            .ok()
            .and_then(|height| height.as_f64());
        let is_covered =
            seen.scale() < ZOOMED && inner.is_some_and(|inner| inner - seen.height() > 1.0);
        let style = root.style();
        // A property that can't be set leaves the page as large as its window.
        let _set = if is_covered {
            let _set = style.set_property("--app-top", &format!("{}px", seen.offset_top()));
            style.set_property("--app-height", &format!("{}px", seen.height()))
        } else {
            let _removed = style.remove_property("--app-top");
            style.remove_property("--app-height").map(drop)
        };
    };
    fit();
    for name in ["resize", "scroll"] {
        let fit = fit.clone();
        // The page has it as long as it lives.
        gloo::events::EventListener::new(&visual, name, move |_| fit()).forget();
    }
}

/// Writes theme and size of text to the root, where the style looks for them.
pub(super) fn appearance(page: Page) {
    let chosen = page.part(|state| (state.preferences.theme, state.preferences.text_size));
    Effect::new(move |_| {
        let (theme, size) = chosen.get();
        if let Some(root) = document().document_element() {
            // Both are known names: they can't be refused.
            let _set = root.set_attribute("data-theme", theme.name());
            let _set = root.set_attribute("data-text-size", size.name());
        }
    });
}
