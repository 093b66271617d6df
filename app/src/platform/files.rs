//! Text that leaves the page and comes into it: clipboard and files.

use std::rc::Rc;

use app::{Action, limits, strings};
use gloo::events::EventListener;
use gloo::timers::callback::Timeout;
use leptos::prelude::{document, window};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, HtmlInputElement, Url};

use crate::handles::Handles;
use crate::page::Listener;

/// How long a saved file stays readable for the browser that writes it.
const KEEP_MILLIS: u32 = 60_000;
/// How much of a large file it certainly writes in a millisecond: 2 MB a second.
const KEEP_BYTES_PER_MILLI: f64 = 2000.0;
/// The most that is added for a large file: an hour.
const MAX_KEEP_MILLIS: u32 = 3_600_000;

/// Puts text into the clipboard, and tells `listener` what came of it.
pub(super) fn copy(listener: &Listener, number: u32, text: String) {
    let tell = Rc::clone(listener);
    let navigator = window().navigator();
    let is_there = js_sys::Reflect::get(&navigator, &"clipboard".into())
        .is_ok_and(|clipboard| clipboard.is_object());
    // Its own task: what an action causes must not come before the action has ended.
    spawn_local(async move {
        if !is_there {
            let detail = "pages without HTTPS have no clipboard".to_owned();
            return tell(Action::CopyFailed(detail));
        }
        tell(
            match JsFuture::from(navigator.clipboard().write_text(&text)).await {
                Ok(_) => Action::Copied(number),
                Err(error) => Action::CopyFailed(format!("{error:?}")),
            },
        );
    });
}

/// Gives the person a file with `text`, and tells `listener` if that fails.
pub(super) fn save(listener: &Listener, name: &str, mime: &str, text: &str) {
    let saved = of_text(mime, text).and_then(|file| hand_over(name, &file));
    tell_failure(listener, saved);
}

/// Gives the person the file that the worker has made.
pub(super) fn save_made(listener: &Listener, name: &str, file: Option<Blob>) {
    let file = file.ok_or_else(|| JsValue::from_str("the worker has sent no file"));
    tell_failure(listener, file.and_then(|file| hand_over(name, &file)));
}

fn tell_failure(listener: &Listener, saved: Result<(), JsValue>) {
    if let Err(error) = saved {
        let tell = Rc::clone(listener);
        // Its own task, as in `copy`.
        spawn_local(async move { tell(Action::SaveFailed(format!("{error:?}"))) });
    }
}

fn of_text(mime: &str, text: &str) -> Result<Blob, JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(mime);
    let parts = js_sys::Array::of1(&text.into());
    Blob::new_with_str_sequence_and_options(&parts, &options)
}

/// Has the browser download a file.
fn hand_over(name: &str, file: &Blob) -> Result<(), JsValue> {
    let url = Url::create_object_url_with_blob(file)?;
    let anchor: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    anchor.set_href(&url);
    anchor.set_download(name);
    anchor.click();
    // The browser reads it after the click has returned; a model takes a while.
    let extra_millis = (file.size() / KEEP_BYTES_PER_MILLI).min(f64::from(MAX_KEEP_MILLIS));
    Timeout::new(KEEP_MILLIS + extra_millis as u32, move || {
        let _revoked = Url::revoke_object_url(&url);
    })
    .forget();
    Ok(())
}

/// Lets the person choose a file and tells its text. Nothing is told when none is chosen.
pub(super) fn pick(listener: &Listener) {
    let Ok(input) = document().create_element("input") else {
        return;
    };
    let input: HtmlInputElement = input.unchecked_into();
    input.set_type("file");
    input.set_accept(".json,application/json");
    let tell = Rc::clone(listener);
    let chosen = input.clone();
    EventListener::once(&input, "change", move |_| {
        let Some(file) = chosen.files().and_then(|files| files.get(0)) else {
            return;
        };
        spawn_local(async move {
            // Before it fills the memory.
            let text = if !limits::is_readable(file.size()) {
                Err(strings::file_too_large(file.size()))
            } else {
                let text = JsFuture::from(file.text()).await;
                text.map(|text| text.as_string().unwrap_or_default())
                    .map_err(|error| format!("the file could not be read: {error:?}"))
            };
            tell(Action::Import(text));
        });
    })
    .forget();
    input.click();
}

/// Lets the person choose the files of a model. Nothing is told when none is chosen.
pub(super) fn pick_model(listener: &Listener, handles: &Rc<Handles>) {
    let Ok(input) = document().create_element("input") else {
        return;
    };
    let input: HtmlInputElement = input.unchecked_into();
    input.set_type("file");
    // Which kinds there are is not said: systems that don't know them would not let them be chosen.
    input.set_multiple(true);
    let (tell, handles) = (Rc::clone(listener), Rc::clone(handles));
    let chosen = input.clone();
    EventListener::once(&input, "change", move |_| {
        if let Some(files) = chosen.files() {
            tell(Action::FilesChosen(handles.choose(&files)));
        }
    })
    .forget();
    input.click();
}
