//! Messages as JavaScript values. The only place of the worker that knows how they look: `[body, handles]`, where
//! `handles` carries what cannot be a plain value: the files of `OpenFiles`, and the one of `Saved`.

use js_sys::Array;
use protocol::{Event, Fault, FaultCode, Request};
use serde::Serialize as _;
use wasm_bindgen::{JsCast as _, JsValue};

use super::file::JsFile;

/// Reads what came through the message port.
pub(super) fn read(data: &JsValue) -> Result<(Request, Vec<JsFile>), Fault> {
    let bad = |detail: String| {
        Fault::new(
            FaultCode::BadRequest,
            format!("unreadable message: {detail}"),
        )
    };
    if !Array::is_array(data) {
        return Err(bad(
            "expected [body, handles], got something else".to_owned()
        ));
    }
    let message = Array::from(data);
    let request = serde_wasm_bindgen::from_value(message.get(0));
    let request = request.map_err(|error| bad(error.to_string()))?;
    let handles = match message.get(1) {
        handles if Array::is_array(&handles) => Array::from(&handles),
        _ => Array::new(),
    };
    let files = handles.iter().filter_map(|handle| handle.dyn_into().ok());
    Ok((
        request,
        files.map(|file: web_sys::File| file.into()).collect(),
    ))
}

/// Sends an event to the page, with a file if one belongs to it.
pub(super) fn post(event: &Event, file: Option<&JsFile>) {
    let handles: Array = file.into_iter().map(JsFile::blob).collect();
    let sent = event
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(JsValue::from)
        .and_then(|body| super::scope().post_message(&Array::of2(&body, &handles)));
    if let Err(error) = sent {
        log::error!("an event could not be sent: {error:?}");
    }
}
