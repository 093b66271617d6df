//! Files that are dropped onto the page, wherever that is.

use std::rc::Rc;

use app::Action;
use gloo::events::{EventListener, EventListenerOptions};
use leptos::prelude::document;
use wasm_bindgen::JsCast as _;
use web_sys::{DragEvent, FileList};

use crate::handles::Handles;
use crate::page::Listener;

/// Tells of files that are dropped. The browser would open them in place of the page.
pub(super) fn listen(listener: &Listener, handles: &Rc<Handles>) {
    let options = EventListenerOptions::enable_prevent_default();
    // Only where this is prevented something can be dropped.
    let over = |event: &web_sys::Event| {
        if has_files(event) {
            event.prevent_default();
        }
    };
    EventListener::new_with_options(&document(), "dragover", options, over).forget();
    let (tell, handles) = (Rc::clone(listener), Rc::clone(handles));
    let drop = move |event: &web_sys::Event| {
        if !has_files(event) {
            return;
        }
        event.prevent_default();
        if let Some(files) = files(event) {
            tell(Action::FilesChosen(handles.choose(&files)));
        }
    };
    EventListener::new_with_options(&document(), "drop", options, drop).forget();
}

/// Whether files are dragged, and not a piece of text.
fn has_files(event: &web_sys::Event) -> bool {
    let transfer = event.dyn_ref().and_then(DragEvent::data_transfer);
    transfer.is_some_and(|transfer| transfer.types().includes(&"Files".into(), 0))
}

fn files(event: &web_sys::Event) -> Option<FileList> {
    event.dyn_ref().and_then(DragEvent::data_transfer)?.files()
}
