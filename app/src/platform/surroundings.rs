//! Where the page runs, and what happens around it.

use std::rc::Rc;

use app::{Action, Environment};
use gloo::events::EventListener;
use js_sys::Reflect;
use leptos::prelude::{document, window};
use wasm_bindgen::JsValue;

use crate::page::Listener;

/// What the page can know at once.
pub(super) fn environment() -> Environment {
    let window = window();
    let navigator = window.navigator();
    let has = |name: &str| Reflect::get(&navigator, &name.into()).unwrap_or(JsValue::UNDEFINED);
    let is_standalone_display = window
        .match_media("(display-mode: standalone)")
        .ok()
        .flatten()
        .is_some_and(|query| query.matches());
    let agent = navigator.user_agent().unwrap_or_default();
    // An iPad says that it is a Mac, but no Mac has a touch screen.
    let is_ipad = agent.contains("Macintosh") && navigator.max_touch_points() > 1;
    Environment {
        cores: has("hardwareConcurrency")
            .as_f64()
            .map(|cores| cores as u32),
        memory_gigabytes: has("deviceMemory").as_f64(),
        standalone: is_standalone_display || has("standalone").is_truthy(),
        ios: is_ipad || agent.contains("iPad") || agent.contains("iPhone"),
        webgpu: has("gpu").is_object(),
        secure: window.is_secure_context(),
        online: navigator.on_line(),
        hidden: document().hidden(),
        agent,
        ..Environment::default()
    }
}

/// Tells of visibility and network.
pub(super) fn listen(listener: &Listener) {
    let document = document();
    let window = window();
    let see = |listener: &Listener| {
        let tell = Rc::clone(listener);
        move |_: &web_sys::Event| {
            let hidden = leptos::prelude::document().hidden();
            tell(Action::Visibility { hidden });
        }
    };
    EventListener::new(&document, "visibilitychange", see(listener)).forget();
    // A page that comes back from the browser's cache of pages is not told of its visibility.
    EventListener::new(&window, "pageshow", see(listener)).forget();
    let tell = Rc::clone(listener);
    EventListener::new(&window, "pagehide", move |_| {
        tell(Action::Visibility { hidden: true });
    })
    .forget();
    for (event, online) in [("online", true), ("offline", false)] {
        let tell = Rc::clone(listener);
        EventListener::new(&window, event, move |_| tell(Action::Online(online))).forget();
    }
}
