//! Keeping the screen on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Promise, Reflect};
use leptos::prelude::window;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

#[wasm_bindgen]
extern "C" {
    /// `WakeLock`, which web-sys has only behind an unstable flag.
    type WakeLock;
    #[wasm_bindgen(method, catch)]
    fn request(this: &WakeLock, kind: &str) -> Result<Promise, JsValue>;

    /// `WakeLockSentinel`.
    #[derive(Clone)]
    type Sentinel;
    #[wasm_bindgen(method, catch)]
    fn release(this: &Sentinel) -> Result<Promise, JsValue>;
}

/// At most one lock on the screen. Browsers without it, and refusals (a low battery), are taken as they are: the screen
/// goes dark as it always does.
#[derive(Default)]
pub(super) struct ScreenLock(Rc<Inner>);

#[derive(Default)]
struct Inner {
    wanted: Cell<bool>,
    held: RefCell<Option<Sentinel>>,
}

impl ScreenLock {
    /// Keeps the screen on, or no longer. A lock that the browser dropped is asked for again.
    pub(super) fn set(&self, wanted: bool) {
        self.0.wanted.set(wanted);
        let before = self.0.held.borrow_mut().take();
        if let Some(before) = before {
            release(&before);
        }
        if wanted {
            spawn_local(Rc::clone(&self.0).take());
        }
    }
}

impl Inner {
    async fn take(self: Rc<Self>) {
        let Ok(api) = Reflect::get(&window().navigator(), &"wakeLock".into()) else {
            return;
        };
        if !api.is_object() {
            return;
        }
        let Ok(asked) = api.unchecked_into::<WakeLock>().request("screen") else {
            return;
        };
        let Ok(lock) = JsFuture::from(asked).await else {
            return;
        };
        let lock: Sentinel = lock.unchecked_into();
        if self.wanted.get() {
            let double = self.held.borrow_mut().replace(lock);
            if let Some(double) = double {
                release(&double);
            }
        } else {
            release(&lock);
        }
    }
}

/// Gives a lock back. One that the browser took already gives nothing.
fn release(lock: &Sentinel) {
    if let Ok(released) = lock.release() {
        spawn_local(async move {
            let _gone_either_way = JsFuture::from(released).await;
        });
    }
}
