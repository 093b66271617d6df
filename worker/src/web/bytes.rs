//! Bytes outside of the wasm memory.

use std::rc::Rc;

use js_sys::{ArrayBuffer, Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::Blob;

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

/// Takes parts of unknown number and becomes one buffer of the right length.
pub(super) struct Collector {
    bytes: Uint8Array,
    length: u32,
}

impl Collector {
    /// Room for `capacity` bytes to begin with.
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            bytes: Uint8Array::new_with_length(capacity),
            length: 0,
        }
    }

    /// Appends a part, and frees it.
    pub(super) fn push(&mut self, part: &Uint8Array) {
        let end = self.length + part.length();
        if end > self.bytes.length() {
            let room = end.max(self.bytes.length().saturating_mul(2));
            let grown = Uint8Array::new_with_length(room);
            grown.set(&self.bytes.subarray(0, self.length), 0);
            release(&self.bytes.buffer());
            self.bytes = grown;
        }
        self.bytes.set(part, self.length);
        self.length = end;
        release(&part.buffer());
    }

    /// What was collected.
    pub(super) fn finish(self) -> JsBytes {
        let buffer = self.bytes.buffer();
        if self.length == self.bytes.length() {
            return JsBytes::new(buffer);
        }
        let exact = buffer.slice_with_end(0, self.length);
        release(&buffer);
        JsBytes::new(exact)
    }
}
