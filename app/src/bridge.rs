//! The worker, seen from the page. The only place that owns a `web_sys::Worker`, and with `debug.rs` the only one that
//! turns JavaScript values into messages and back.

use std::cell::RefCell;
use std::rc::Rc;

use app::{Action, Effect, strings};
use js_sys::Array;
use protocol::{Event, Request};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::handles::Handles;

/// The worker's starter, beside the page. Its name carries no hash; the greeting tells a stale one.
const WORKER_URL: &str = "worker_loader.js";

/// Takes what the worker says.
type Listener = Rc<dyn Fn(Action)>;

/// At most one worker.
pub(crate) struct Bridge {
    listener: Listener,
    handles: Rc<Handles>,
    live: RefCell<Option<Live>>,
}

/// A worker and its listeners. Dropping it ends the worker, and nothing that it still says is heard.
struct Live {
    worker: Worker,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_error: Closure<dyn Fn(web_sys::Event)>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

impl Bridge {
    pub(crate) fn new(handles: Rc<Handles>, listener: impl Fn(Action) + 'static) -> Self {
        Self {
            listener: Rc::new(listener),
            handles,
            live: RefCell::new(None),
        }
    }

    /// Performs an effect that concerns the worker.
    pub(crate) fn perform(&self, effect: Effect) {
        match effect {
            Effect::Spawn => {
                drop(self.live.take());
                match Live::spawn(&self.listener, &self.handles) {
                    Ok(live) => *self.live.borrow_mut() = Some(live),
                    Err(error) => {
                        self.report(format!("the worker could not be started: {error:?}"))
                    }
                }
            }
            // A dead worker does not answer; whoever asks gives it only so much time.
            Effect::Retire => self.post(&Request::Retire),
            Effect::Terminate => drop(self.live.take()),
            Effect::Post(request) => self.post(&request),
            _ => {}
        }
    }

    fn post(&self, request: &Request) {
        let live = self.live.borrow();
        let Some(live) = live.as_ref() else { return };
        let handles = match request {
            Request::OpenFiles { .. } => self.handles.chosen(),
            _ => Array::new(),
        };
        let sent =
            to_js(request).and_then(|body| live.worker.post_message(&Array::of2(&body, &handles)));
        if let Err(error) = sent {
            self.report(format!("a request could not be sent: {error:?}"));
        }
    }

    /// Tells the listener of an error, later: it is busy with the effect that led here.
    fn report(&self, detail: String) {
        let listener = Rc::clone(&self.listener);
        gloo::timers::callback::Timeout::new(0, move || listener(Action::WorkerError(detail)))
            .forget();
    }
}

impl Live {
    fn spawn(listener: &Listener, handles: &Rc<Handles>) -> Result<Self, JsValue> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(WORKER_URL, &options)?;
        let (tell, received) = (Rc::clone(listener), Rc::clone(handles));
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
            tell(read(&message.data(), &received));
        });
        let tell = Rc::clone(listener);
        let on_error = Closure::<dyn Fn(web_sys::Event)>::new(move |error: web_sys::Event| {
            tell(Action::WorkerError(describe(&error)));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self {
            worker,
            _on_message: on_message,
            _on_error: on_error,
        })
    }
}

/// What the browser says of an error. Of a script that could not be fetched it says nothing: that event is a plain one.
fn describe(error: &web_sys::Event) -> String {
    match error.dyn_ref::<ErrorEvent>() {
        Some(error) => {
            let (message, file, line) = (error.message(), error.filename(), error.lineno());
            format!("{message} ({file}:{line})")
        }
        None => strings::WORKER_NOT_LOADED.to_owned(),
    }
}

/// Reads `[body, handles]`.
fn read(data: &JsValue, handles: &Handles) -> Action {
    let message = Array::from(data);
    handles.receive(&message.get(1).dyn_into().unwrap_or_default());
    let body = message.get(0);
    match serde_wasm_bindgen::from_value::<Event>(body) {
        Ok(event) => Action::Event(event),
        Err(error) => {
            Action::WorkerError(format!("the worker sent an unreadable message: {error}"))
        }
    }
}

/// A value as plain JavaScript, as JSON would have it.
pub(crate) fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(JsValue::from)
}
