//! Reading beside this thread: a worker of this worker (`public/reader.js`) takes records out of the database.
//!
//! A browser makes the value of a record on the thread that asked for it (Chromium copies it three times, into memory that is new each
//! time). That takes as long as checking it and handing it to the device, so both are done at once. Where there is no such worker,
//! records are read here.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use futures_channel::oneshot;
use gloo::timers::callback::Timeout;
use js_sys::{ArrayBuffer, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use web_sys::{Event, MessageEvent, Worker};

use super::bytes::JsBytes;

/// The worker's script, beside this worker's own.
const SCRIPT: &str = "reader.js";
/// Milliseconds without a question after which the worker ends, and gives back the memory that it takes. A device may take some
/// seconds to open between the tokenizer and the first shard.
const IDLE_MILLIS: u32 = 10_000;

/// What is asked for: a record, if there is an entry for it too.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Question {
    /// The database.
    pub(super) database: &'static str,
    /// Object store and key of the entry.
    pub(super) entry: (&'static str, String),
    /// Object store and key of the record.
    pub(super) record: (&'static str, String),
    /// See [`super::bytes::nudge_bytes`].
    pub(super) nudge_bytes: f64,
}

#[derive(Serialize)]
struct Message<'a> {
    id: u32,
    #[serde(flatten)]
    question: &'a Question,
}

/// A record, unless it is missing, or the words of the database.
type Answer = Result<Option<JsBytes>, String>;

/// The other worker. It is started when something is to be read.
#[derive(Default)]
pub(super) struct Reader(Rc<Shared>);

#[derive(Default)]
struct Shared {
    running: RefCell<Option<Running>>,
    waiting: RefCell<HashMap<u32, oneshot::Sender<Answer>>>,
    last_id: Cell<u32>,
    /// Whether it has ever answered.
    has_answered: Cell<bool>,
    /// Whether this browser has no such worker.
    is_broken: Cell<bool>,
    /// Ends the worker when it was idle for long.
    idle: RefCell<Option<Timeout>>,
}

/// A worker that runs. Dropping it ends it.
struct Running {
    worker: Worker,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_error: Closure<dyn Fn(Event)>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

impl Reader {
    /// Asks the other worker. `None` when there is none, or when it has ended meanwhile: the caller then reads for itself.
    pub(super) async fn read(&self, question: &Question) -> Option<Answer> {
        let receiver = self.0.ask(question)?;
        receiver.await.ok()
    }

    /// Ends the worker, and with it what it was asked. One that never said anything is not started again.
    pub(super) fn close(&self) {
        let shared = &self.0;
        if !shared.waiting.borrow().is_empty() && !shared.has_answered.get() {
            shared.is_broken.set(true);
        }
        shared.idle.take();
        shared.running.take();
        shared.waiting.take();
    }
}

impl Shared {
    fn ask(self: &Rc<Self>, question: &Question) -> Option<oneshot::Receiver<Answer>> {
        if self.is_broken.get() {
            return None;
        }
        if self.running.borrow().is_none() {
            match self.start() {
                Ok(running) => *self.running.borrow_mut() = Some(running),
                Err(error) => {
                    self.break_down(&super::fetch::words(&error));
                    return None;
                }
            }
        }
        self.idle.take();
        let id = self.last_id.get().wrapping_add(1);
        self.last_id.set(id);
        let message = Message { id, question };
        let message = message.serialize(&serde_wasm_bindgen::Serializer::json_compatible());
        let running = self.running.borrow();
        let worker = &running.as_ref()?.worker;
        worker.post_message(&message.ok()?).ok()?;
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, sender);
        Some(receiver)
    }

    fn start(self: &Rc<Self>) -> Result<Running, JsValue> {
        let worker = Worker::new(SCRIPT)?;
        let shared = Rc::downgrade(self);
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
            if let Some(shared) = shared.upgrade() {
                shared.on_answer(&message.data());
            }
        });
        let shared = Rc::downgrade(self);
        let on_error = Closure::<dyn Fn(Event)>::new(move |_| {
            if let Some(shared) = shared.upgrade() {
                shared.break_down("its script failed");
            }
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Running {
            worker,
            _on_message: on_message,
            _on_error: on_error,
        })
    }

    fn on_answer(self: &Rc<Self>, answer: &JsValue) {
        let get = |name: &str| Reflect::get(answer, &name.into()).unwrap_or_default();
        let id = get("id").as_f64().map(|id| id as u32);
        let sender = id.and_then(|id| self.waiting.borrow_mut().remove(&id));
        let answer = match get("error").as_string() {
            Some(words) => Err(words),
            None => Ok(get("value")
                .dyn_into::<ArrayBuffer>()
                .ok()
                .map(JsBytes::new)),
        };
        self.has_answered.set(true);
        if let Some(sender) = sender {
            // Whoever gave up waiting does not want to know.
            sender.send(answer).ok();
        }
        if self.waiting.borrow().is_empty() {
            *self.idle.borrow_mut() = Some(end_later(Rc::downgrade(self)));
        }
    }

    /// From now on records are read here.
    fn break_down(&self, why: &str) {
        if !self.is_broken.replace(true) {
            log::warn!("records are read by this worker alone: {why}");
        }
        // Whoever waits reads for himself.
        self.waiting.take();
    }
}

fn end_later(shared: Weak<Shared>) -> Timeout {
    Timeout::new(IDLE_MILLIS, move || {
        if let Some(shared) = shared.upgrade() {
            shared.running.take();
        }
    })
}
