//! One tab has the engine: a lock of the browser (Web Locks) that ends with its tab, however that ends.
//!
//! A tab that finds it taken waits in the queue and gets it when the other tab is closed; on the person's word it takes it
//! at once (`steal`), and the other tab is told by its broken promise.

use std::cell::Cell;
use std::rc::Rc;

use app::Action;
use js_sys::{Function, Object, Promise, Reflect};
use leptos::prelude::window;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::page::Listener;

/// Name of the lock.
const NAME: &str = "tern-engine";

#[wasm_bindgen]
extern "C" {
    /// `LockManager`, which web-sys has only behind an unstable flag.
    type LockManager;
    #[wasm_bindgen(method, catch)]
    fn request(
        this: &LockManager,
        name: &str,
        options: &Object,
        callback: &Function,
    ) -> Result<Promise, JsValue>;
}

/// How to ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Only if it is free.
    IfFree,
    /// When it gets free.
    Wait,
    /// At once.
    Steal,
}

/// The lock, seen from this tab.
pub(super) struct EngineLock {
    listener: Listener,
    /// Whether this tab stands in the queue.
    waiting: Cell<bool>,
}

impl EngineLock {
    pub(super) fn new(listener: Listener) -> Rc<Self> {
        Rc::new(Self {
            listener,
            waiting: Cell::new(false),
        })
    }

    /// Asks for the lock and tells of it, now and whenever it changes hands.
    pub(super) fn claim(self: &Rc<Self>, steal: bool) {
        self.ask(if steal { Claim::Steal } else { Claim::IfFree });
    }

    fn ask(self: &Rc<Self>, claim: Claim) {
        if claim == Claim::Wait && self.waiting.replace(true) {
            return;
        }
        let Some(asked) = self.request(claim) else {
            // A browser without locks: every tab has its own engine.
            return self.tell(true);
        };
        let here = Rc::clone(self);
        spawn_local(async move {
            // A lock that was given is never given back, so a promise that ends was refused or robbed.
            if JsFuture::from(asked).await.is_err() {
                here.tell(false);
                here.ask(Claim::Wait);
            }
        });
    }

    fn request(self: &Rc<Self>, claim: Claim) -> Option<Promise> {
        let locks = Reflect::get(&window().navigator(), &"locks".into()).ok()?;
        if !locks.is_object() {
            return None;
        }
        let options = Object::new();
        let option = match claim {
            Claim::IfFree => Some("ifAvailable"),
            Claim::Steal => Some("steal"),
            Claim::Wait => None,
        };
        if let Some(option) = option {
            Reflect::set(&options, &option.into(), &JsValue::TRUE).ok()?;
        }
        let here = Rc::clone(self);
        let given = Closure::once_into_js(move |lock: JsValue| here.given(claim, &lock));
        let locks: LockManager = locks.unchecked_into();
        locks.request(NAME, &options, given.unchecked_ref()).ok()
    }

    /// The browser's answer: the lock, or null. The lock is held as long as the returned promise is not settled.
    fn given(self: &Rc<Self>, claim: Claim, lock: &JsValue) -> JsValue {
        if claim == Claim::Wait {
            self.waiting.set(false);
        }
        let is_given = lock.is_truthy();
        self.tell(is_given);
        if is_given {
            Promise::new(&mut |_, _| {}).into()
        } else {
            self.ask(Claim::Wait);
            JsValue::UNDEFINED
        }
    }

    fn tell(&self, is_given: bool) {
        (self.listener)(Action::EngineLock(is_given));
    }
}
