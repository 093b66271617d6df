//! Giving way to the event loop.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use wasm_bindgen::prelude::*;
use web_sys::{MessageChannel, MessagePort};

#[derive(Default)]
struct Turns {
    sent: Cell<u64>,
    received: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

/// Gives way by a message to itself. A timer would do as well, but browsers stretch nested timers to 4 ms, which is as
/// long as a token takes; a microtask would not give way at all.
pub(super) struct EventLoop {
    turns: Rc<Turns>,
    port: MessagePort,
    /// Keep the receiving end alive.
    _receiver: (MessagePort, Closure<dyn Fn()>),
}

impl EventLoop {
    /// A new channel; `None` where the browser has none.
    pub(super) fn new() -> Option<Self> {
        let channel = MessageChannel::new().ok()?;
        let turns = Rc::new(Turns::default());
        let received = Rc::clone(&turns);
        let on_message = Closure::<dyn Fn()>::new(move || {
            received.received.set(received.received.get() + 1);
            if let Some(waker) = received.waker.take() {
                waker.wake();
            }
        });
        let receiver = channel.port1();
        receiver.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Some(Self {
            turns,
            port: channel.port2(),
            _receiver: (receiver, on_message),
        })
    }

    /// Completes in a later turn of the event loop.
    pub(super) async fn turn(&self) {
        let turn = self.turns.sent.get() + 1;
        self.turns.sent.set(turn);
        if self.port.post_message(&JsValue::NULL).is_err() {
            return;
        }
        poll_fn(|context| {
            if self.turns.received.get() >= turn {
                return Poll::Ready(());
            }
            *self.turns.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
