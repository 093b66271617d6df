//! HTTP bodies, with a limit on their length and on silence.

use gloo::timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader, RequestCache, RequestInit, Response};

use super::bytes::{Collector, JsBytes};
use super::scope;
use crate::race::{First, first};
use crate::{CacheMode, FetchError};

/// A transfer that brings nothing for so long is broken off.
const STALL_MILLIS: u32 = 30_000;

/// Room to begin with for a body of unknown length.
const FIRST_BYTES: u64 = 64 * 1024;

/// Breaks the transfer off when it is dropped; an ended one does not mind.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body behind `url`, at most `max_bytes` long.
pub(super) async fn fetch(
    url: &str,
    max_bytes: u64,
    cache: CacheMode,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<JsBytes, FetchError> {
    let network = |error: JsValue| FetchError::Network(words(&error));
    let abort = AbortOnDrop(AbortController::new().map_err(network)?);
    let init = RequestInit::new();
    init.set_signal(Some(&abort.0.signal()));
    init.set_cache(match cache {
        CacheMode::Default => RequestCache::Default,
        CacheMode::Reload => RequestCache::Reload,
    });
    let response = unstalled(JsFuture::from(scope().fetch_with_str_and_init(url, &init))).await?;
    let response: Response = response.unchecked_into();
    if !response.ok() {
        return Err(FetchError::Status(response.status()));
    }
    let stated_bytes = response
        .headers()
        .get("content-length")
        .ok()
        .flatten()
        .and_then(|text| text.parse::<u64>().ok());
    if stated_bytes.is_some_and(|stated| stated > max_bytes) {
        return Err(FetchError::TooLong);
    }
    let Some(body) = response.body() else {
        return Ok(Collector::new(0).finish());
    };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    // What the server states may be the length of a compressed body, so it is only a hint.
    let capacity = stated_bytes.unwrap_or(FIRST_BYTES).min(max_bytes);
    let mut collected = Collector::new(u32::try_from(capacity).unwrap_or(0));
    let mut length = 0;
    loop {
        let part = unstalled(JsFuture::from(reader.read())).await?;
        let get = |name: &str| Reflect::get(&part, &JsValue::from_str(name)).map_err(network);
        if get("done")?.is_truthy() {
            return Ok(collected.finish());
        }
        let part: Uint8Array = get("value")?.unchecked_into();
        length += u64::from(part.length());
        if length > max_bytes {
            return Err(FetchError::TooLong);
        }
        collected.push(&part);
        on_bytes(length);
    }
}

/// Waits for the network, but not for ever.
async fn unstalled<T: Into<JsValue>>(
    work: impl Future<Output = Result<T, JsValue>>,
) -> Result<JsValue, FetchError> {
    match first(work, TimeoutFuture::new(STALL_MILLIS)).await {
        First::Left(Ok(value)) => Ok(value.into()),
        First::Left(Err(error)) => Err(FetchError::Network(words(&error))),
        First::Right(()) => Err(FetchError::Network(format!(
            "nothing came for {} seconds",
            STALL_MILLIS / 1000
        ))),
    }
}

/// The message of a JavaScript error.
pub(super) fn words(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    }
}
