//! HTTP answers: heads as the download machine reads them, bodies piece by piece.

use std::ops::Range;

use js_sys::{Date, Function, Object, Promise, Reflect, Uint8Array};
use model::download::Head;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStream, ReferrerPolicy, RequestCache, RequestInit, Response,
    ResponseType,
};

use super::bytes::{Collector, release};
use super::{hosts, scope};
use crate::network::{Ask, AskError, Body};

/// Bytes that a stream may fill at a time. What is larger saves calls; what is smaller is closer to what a killed page loses.
const PIECE_BYTES: u32 = 128 * 1024;

/// Breaks the transfer off when it is dropped; an ended one does not mind.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks a server, and waits for the head of its answer.
pub(super) async fn ask(ask: Ask) -> Result<(Head, JsBody), AskError> {
    hosts::check(&ask.url)?;
    let abort = AbortOnDrop(AbortController::new().map_err(unasked)?);
    let init = RequestInit::new();
    init.set_signal(Some(&abort.0.signal()));
    init.set_referrer_policy(ReferrerPolicy::NoReferrer);
    init.set_cache(if ask.fresh {
        RequestCache::Reload
    } else {
        RequestCache::Default
    });
    if let Some(range) = ask.range_header() {
        let headers = Headers::new().map_err(unasked)?;
        headers.append("Range", &range).map_err(unasked)?;
        init.set_headers(&headers);
    }
    let promise = scope().fetch_with_str_and_init(&ask.url, &init);
    let response: Response = match JsFuture::from(promise).await {
        Ok(response) => response.unchecked_into(),
        Err(error) => {
            return Err(match hosts::stopped(&ask.url).await {
                Some(forbidden) => forbidden.into(),
                None => AskError::Network(network(error)),
            });
        }
    };
    hosts::check_answer(&ask.url, &response)?;
    let headers = response.headers();
    let head = Head::read(
        response.status(),
        |name| headers.get(name).ok().flatten(),
        response.type_() == ResponseType::Basic,
        Date::now() / 1000.0,
    );
    let body = JsBody::new(abort, response.body().as_ref()).map_err(AskError::Network)?;
    Ok((head, body))
}

/// The body of an answer.
pub(super) struct JsBody {
    /// Ends the transfer with this.
    _abort: AbortOnDrop,
    /// A stream's reader, of either kind; `None` when there is no body.
    reader: Option<JsValue>,
    /// What the stream writes into. Otherwise each piece comes in a buffer of its own, which the browser keeps until it
    /// collects its garbage: Safari's streams can't do better yet.
    place: Option<Uint8Array>,
    piece: Option<Uint8Array>,
}

impl JsBody {
    fn new(abort: AbortOnDrop, body: Option<&ReadableStream>) -> Result<Self, String> {
        let mut place = None;
        let reader = match body {
            None => None,
            Some(body) => {
                let options = Object::new();
                let byob = Reflect::set(&options, &"mode".into(), &"byob".into())
                    .and_then(|_| call(body, "getReader", &options));
                Some(match byob {
                    Ok(reader) => {
                        place = Some(Uint8Array::new_with_length(PIECE_BYTES));
                        reader
                    }
                    Err(_) => call(body, "getReader", &JsValue::UNDEFINED).map_err(network)?,
                })
            }
        };
        Ok(Self {
            _abort: abort,
            reader,
            place,
            piece: None,
        })
    }

    /// Gives back what the last piece took.
    fn drop_piece(&mut self) {
        if let Some(piece) = self.piece.take()
            && self.place.is_none()
        {
            release(&piece.buffer());
        }
    }
}

impl Drop for JsBody {
    fn drop(&mut self) {
        self.drop_piece();
        if let Some(place) = &self.place {
            release(&place.buffer());
        }
    }
}

impl Body for JsBody {
    type Buffer = Collector;

    async fn next(&mut self) -> Result<Option<u64>, String> {
        self.drop_piece();
        let Some(reader) = &self.reader else {
            return Ok(None);
        };
        let place = self
            .place
            .as_ref()
            .map_or(JsValue::UNDEFINED, |place| place.clone().into());
        let promise: Promise = call(reader, "read", &place)
            .map_err(network)?
            .unchecked_into();
        let part = JsFuture::from(promise).await.map_err(network)?;
        let get = |name: &str| Reflect::get(&part, &JsValue::from_str(name)).map_err(network);
        let is_end = get("done")?.is_truthy();
        let piece = get("value")?.dyn_into::<Uint8Array>().ok();
        if let (Some(place), Some(piece)) = (&mut self.place, &piece) {
            // The stream has moved the buffer.
            *place = Uint8Array::new(&piece.buffer());
        }
        let n_bytes = piece.as_ref().map_or(0, Uint8Array::length);
        self.piece = piece;
        Ok((!is_end).then_some(u64::from(n_bytes)))
    }

    fn copy(&self, part: Range<u64>, buffer: &mut Collector) {
        if let Some(piece) = &self.piece {
            // A piece is shorter than 2^32 bytes in a 32-bit worker.
            buffer.push(&piece.subarray(part.start as u32, part.end as u32));
        }
    }
}

/// `object[name](argument)`.
fn call(object: &JsValue, name: &str, argument: &JsValue) -> Result<JsValue, JsValue> {
    Reflect::get(object, &JsValue::from_str(name))?
        .dyn_into::<Function>()?
        .call1(object, argument)
}

fn unasked(error: JsValue) -> AskError {
    AskError::Network(network(error))
}

fn network(error: JsValue) -> String {
    words(&error)
}

/// The message of a JavaScript error.
pub(super) fn words(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    }
}
