//! Bytes outside of the wasm memory.

use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::Blob;

/// Bytes that make Chromium's collector look, see [`nudge_collector`]. With a shard's own bytes they stay below 64 MB.
const NUDGE_BYTES: f64 = 40.0 * 1024.0 * 1024.0;
/// Room for a stream whose buffer is full.
const ELSEWHERE_BYTES: u32 = 4096;

/// A whole ArrayBuffer. The last copy of this handle gives its memory back at once, instead of when the browser collects
/// its garbage: a model is a hundred such buffers, one after the other.
#[derive(Debug, Clone)]
pub(super) struct JsBytes(Rc<Owned>);

#[derive(Debug)]
struct Owned(ArrayBuffer);

impl Drop for Owned {
    fn drop(&mut self) {
        release(&self.0);
    }
}

impl JsBytes {
    /// Owns `buffer`.
    pub(super) fn new(buffer: ArrayBuffer) -> Self {
        Self(Rc::new(Owned(buffer)))
    }

    /// The buffer, which is only good as long as this handle lives.
    pub(super) fn buffer(&self) -> &ArrayBuffer {
        &self.0.0
    }
}

impl Blob for JsBytes {
    fn len(&self) -> u64 {
        u64::from(self.buffer().byte_length())
    }

    fn to_vec(&self) -> Vec<u8> {
        Uint8Array::new(self.buffer()).to_vec()
    }
}

/// Frees a buffer by moving its contents into one of no length. Browsers without `transfer` (before 2024) collect it later.
pub(super) fn release(buffer: &ArrayBuffer) {
    let transfer = Reflect::get(buffer, &JsValue::from_str("transfer"));
    if let Some(transfer) = transfer
        .ok()
        .and_then(|value| value.dyn_into::<Function>().ok())
    {
        // It only fails for a buffer that is gone already.
        transfer.call1(buffer, &JsValue::from_f64(0.0)).ok();
    }
}

/// Has the browser collect its garbage soon. Chromium's IndexedDB requests, streams and digests keep what they were given
/// until then, unseen by the collector's own counts: eight megabytes a shard, 300 before it thinks of them (Chromium 156;
/// `cargo xtask memory` shows it). An allocation that is large, and never touched, so that it takes no memory, makes it look.
/// Other browsers are left alone: they would clear such an allocation, and take the memory for it.
pub(super) fn nudge_collector() {
    let chromium = Reflect::get(&super::scope().navigator(), &"userAgentData".into());
    if !chromium.is_ok_and(|data| data.is_object()) {
        return;
    }
    let class = Reflect::get(&js_sys::global(), &"ArrayBuffer".into());
    let class = class.and_then(|class| class.dyn_into::<Function>());
    let length = Array::of1(&JsValue::from_f64(NUDGE_BYTES));
    // Without the memory for it there is nothing to be nudged.
    if let Ok(buffer) = class.and_then(|class| Reflect::construct(&class, &length)) {
        release(buffer.unchecked_ref());
    }
}

/// Takes parts of unknown number and becomes one buffer of the right length.
pub(super) struct Collector {
    bytes: Uint8Array,
    /// Its length, which it does not know itself while a stream has its buffer.
    capacity: u32,
    length: u32,
}

impl Collector {
    /// Room for `capacity` bytes to begin with.
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            bytes: Uint8Array::new_with_length(capacity),
            capacity,
            length: 0,
        }
    }

    /// The free end of the buffer, for a stream to write into. When there is none, a little room elsewhere: most bodies
    /// end exactly where they said, and it takes another read to see that.
    pub(super) fn room(&self) -> Uint8Array {
        if self.length < self.capacity {
            self.bytes.subarray(self.length, self.capacity)
        } else {
            Uint8Array::new_with_length(ELSEWHERE_BYTES)
        }
    }

    /// Takes back what [`Collector::room`] gave: the stream has moved the buffer and filled the beginning of the room.
    /// Returns the number of new bytes.
    pub(super) fn take_back(&mut self, filled: &Uint8Array) -> u32 {
        if self.length == self.capacity {
            return self.push(filled);
        }
        self.bytes = Uint8Array::new(&filled.buffer());
        self.length += filled.length();
        filled.length()
    }

    /// Appends a part, and frees it. Returns its length.
    pub(super) fn push(&mut self, part: &Uint8Array) -> u32 {
        let n_bytes = part.length();
        let end = self.length + n_bytes;
        if end > self.capacity {
            let room = end.max(self.capacity.saturating_mul(2));
            let grown = Uint8Array::new_with_length(room);
            grown.set(&self.bytes.subarray(0, self.length), 0);
            release(&self.bytes.buffer());
            self.bytes = grown;
            self.capacity = room;
        }
        self.bytes.set(part, self.length);
        self.length = end;
        release(&part.buffer());
        n_bytes
    }

    /// What was collected.
    pub(super) fn finish(self) -> JsBytes {
        let buffer = self.bytes.buffer();
        if self.length == self.capacity {
            return JsBytes::new(buffer);
        }
        let exact = buffer.slice_with_end(0, self.length);
        release(&buffer);
        JsBytes::new(exact)
    }
}
