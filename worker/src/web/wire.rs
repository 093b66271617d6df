//! Messages as JavaScript values. The only place of the worker that knows how they look: `[body, handles]`, where
//! `handles` would carry what cannot be a plain value (files, ports); no message of this version has any.

use protocol::{Event, Fault, FaultCode, Request};
use serde::Serialize as _;
use wasm_bindgen::JsValue;

/// Reads what came through the message port.
pub(super) fn read(data: &JsValue) -> Result<Request, Fault> {
    let bad = |detail: String| {
        Fault::new(
            FaultCode::BadRequest,
            format!("unreadable message: {detail}"),
        )
    };
    if !js_sys::Array::is_array(data) {
        return Err(bad(
            "expected [body, handles], got something else".to_owned()
        ));
    }
    let body = js_sys::Array::from(data).get(0);
    serde_wasm_bindgen::from_value(body).map_err(|error| bad(error.to_string()))
}

/// Sends an event to the page.
pub(super) fn post(event: &Event) {
    let sent = event
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(JsValue::from)
        .and_then(|body| {
            super::scope().post_message(&js_sys::Array::of2(&body, &js_sys::Array::new()))
        });
    if let Err(error) = sent {
        log::error!("an event could not be sent: {error:?}");
    }
}
