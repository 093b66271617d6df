//! The runtime in a browser: a dedicated module worker.

mod bytes;
mod clock;
mod fetch;
mod file;
mod gpu_probe;
mod host;
mod hosts;
mod idb_store;
mod logger;
mod reader;
mod records;
mod refusal;
mod wire;

use std::rc::Rc;

use protocol::{Event, Request};
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

use crate::{GpuEngine, Inbox, PackageTexts, Policy, Runtime};
use file::Files;
use host::WebHost;

/// Milliseconds between two signs of life.
const BEAT_MILLIS: u32 = 1000;

/// Starts the worker: logger, panic hook, subgroups, message port, signs of life, and then the runtime.
pub fn start() {
    logger::install();
    std::panic::set_hook(Box::new(die));
    gpu_probe::install();
    let scope = scope();

    let inbox = Rc::new(Inbox::default());
    let requests = Rc::clone(&inbox);
    let files = Rc::new(Files::default());
    let brought = Rc::clone(&files);
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        match wire::read(&message.data()) {
            Ok((Request::Retire, _)) => retire(),
            // The runtime notices it as it notices every other loss.
            Ok((Request::LoseDevice, _)) => gpu_probe::destroy(),
            Ok((request, handles)) => {
                if let Request::OpenFiles { id, .. } = &request {
                    brought.bring(*id, handles);
                }
                requests.push(request);
            }
            Err(fault) => wire::post(&Event::Failed { id: None, fault }, None),
        }
    });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The port lives as long as the worker.
    on_message.forget();
    gloo::timers::callback::Interval::new(BEAT_MILLIS, || wire::post(&Event::Beat, None)).forget();

    let engine = GpuEngine::new(gpu_probe::PROBE);
    let runtime = Runtime::new(
        WebHost::new(files),
        engine,
        PackageTexts,
        inbox,
        Policy::default(),
    );
    wasm_bindgen_futures::spawn_local(async {
        hosts::prepare().await;
        runtime.run().await;
    });
}

/// A panic is a bug, and what it leaves behind cannot be trusted: tell the page, then end the worker.
fn die(info: &std::panic::PanicHookInfo<'_>) {
    let text = format!("{info}\n{}", logger::recent());
    web_sys::console::error_1(&JsValue::from_str(&text));
    gpu_probe::destroy();
    wire::post(&Event::Trap { text }, None);
    scope().close();
}

/// Ends the worker. Its device goes first, whatever the runtime is doing: memory that a dead worker has on the GPU may stay
/// taken for a while, and then the next worker's model does not fit.
fn retire() {
    gpu_probe::destroy();
    wire::post(&Event::Retired, None);
    scope().close();
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}
