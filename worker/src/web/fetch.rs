//! HTTP bodies, with a limit on their length and on silence.

use gloo::timers::future::TimeoutFuture;
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStream, RequestCache, RequestInit, Response};

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
    // What the server states may be the length of a compressed body, so it is only a hint.
    let capacity = stated_bytes.unwrap_or(FIRST_BYTES).min(max_bytes).max(1);
    let mut reader = BodyReader::new(&body, u32::try_from(capacity).unwrap_or(1))?;
    let mut length = 0;
    while let Some(n_bytes) = reader.read().await? {
        length += u64::from(n_bytes);
        if length > max_bytes {
            return Err(FetchError::TooLong);
        }
        on_bytes(length);
    }
    Ok(reader.finish())
}

/// Reads a body part by part into one buffer.
struct BodyReader {
    /// A stream's reader, of either kind.
    reader: JsValue,
    /// Whether the stream writes into the buffer itself. Otherwise each part comes in a buffer of its own, which the
    /// browser keeps until it collects its garbage: Safari's streams can't do better yet.
    into_place: bool,
    collected: Collector,
}

impl BodyReader {
    fn new(body: &ReadableStream, capacity: u32) -> Result<Self, FetchError> {
        let options = Object::new();
        let byob = Reflect::set(&options, &"mode".into(), &"byob".into())
            .and_then(|_| call(body, "getReader", &options));
        let (reader, into_place) = match byob {
            Ok(reader) => (reader, true),
            Err(_) => (body.get_reader().into(), false),
        };
        Ok(Self {
            reader,
            into_place,
            collected: Collector::new(capacity),
        })
    }

    /// Reads a part and says how long it is; `None` at the end.
    async fn read(&mut self) -> Result<Option<u32>, FetchError> {
        let room = if self.into_place {
            self.collected.room().into()
        } else {
            JsValue::UNDEFINED
        };
        let promise: Promise = call(&self.reader, "read", &room)
            .map_err(network)?
            .unchecked_into();
        let part = unstalled(JsFuture::from(promise)).await?;
        let get = |name: &str| Reflect::get(&part, &JsValue::from_str(name)).map_err(network);
        let done = get("done")?.is_truthy();
        let bytes = get("value")?.dyn_into::<Uint8Array>().ok();
        let length = match bytes {
            Some(bytes) if self.into_place => self.collected.take_back(&bytes),
            Some(bytes) => self.collected.push(&bytes),
            None => 0,
        };
        Ok((!done).then_some(length))
    }

    fn finish(self) -> JsBytes {
        self.collected.finish()
    }
}

/// `object[name](argument)`.
fn call(object: &JsValue, name: &str, argument: &JsValue) -> Result<JsValue, JsValue> {
    Reflect::get(object, &JsValue::from_str(name))?
        .dyn_into::<Function>()?
        .call1(object, argument)
}

fn network(error: JsValue) -> FetchError {
    FetchError::Network(words(&error))
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
