//! Time, network, files and hashes of a browser worker.

use std::rc::Rc;

use gloo::timers::future::TimeoutFuture;
use model::download::Head;
use protocol::{Event, RequestId};
use wasm_bindgen_futures::JsFuture;

use super::bytes::{Collector, JsBytes};
use super::clock::EventLoop;
use super::fetch::JsBody;
use super::file::{Files, JsFile};
use super::idb_store::IdbStore;
use super::{fetch, scope, wire};
use crate::{Ask, AskError, Host};

/// The browser as a [`Host`].
pub(super) struct WebHost {
    event_loop: Option<EventLoop>,
    store: IdbStore,
    files: Rc<Files>,
}

impl WebHost {
    pub(super) fn new(files: Rc<Files>) -> Self {
        Self {
            event_loop: EventLoop::new(),
            store: IdbStore::default(),
            files,
        }
    }
}

impl Host for WebHost {
    type Bytes = JsBytes;
    type Buffer = Collector;
    type Body = JsBody;
    type Store = IdbStore;
    type File = JsFile;

    fn store(&self) -> &IdbStore {
        &self.store
    }

    fn now(&self) -> f64 {
        scope()
            .performance()
            .map_or(0.0, |performance| performance.now())
    }

    async fn sleep(&self, millis: u32) {
        TimeoutFuture::new(millis).await;
    }

    async fn yield_now(&self) {
        match &self.event_loop {
            Some(event_loop) => event_loop.turn().await,
            None => TimeoutFuture::new(0).await,
        }
    }

    fn post(&self, event: Event) {
        let terminal = event.id().filter(|_| event.is_terminal());
        let file = terminal.and_then(|id| self.files.handed_over(id));
        wire::post(&event, file.as_ref());
    }

    fn files(&self, id: RequestId) -> Vec<JsFile> {
        self.files.take(id)
    }

    fn give(&self, id: RequestId, file: JsFile) {
        self.files.give(id, file);
    }

    fn random(&self) -> f64 {
        js_sys::Math::random()
    }

    fn bytes(&self, bytes: &[u8]) -> JsBytes {
        JsBytes::new(js_sys::Uint8Array::from(bytes).buffer())
    }

    fn buffer(&self, bytes: u64) -> Collector {
        Collector::new(bytes)
    }

    async fn ask(&self, ask: Ask) -> Result<(Head, JsBody), AskError> {
        fetch::ask(ask).await
    }

    async fn sha256(&self, bytes: &JsBytes) -> Result<String, String> {
        let words = |error| fetch::words(&error);
        let subtle = scope().crypto().map_err(words)?.subtle();
        let digest = subtle
            .digest_with_str_and_buffer_source("SHA-256", bytes.buffer())
            .map_err(words)?;
        let digest = JsFuture::from(digest).await.map_err(words)?;
        let digest = js_sys::Uint8Array::new(&digest).to_vec();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
