//! Bytes outside of the wasm memory.

use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::network::Buffer;
use crate::{Blob, RECORD_BYTES};

/// Bytes that make Chromium's collector look, see [`nudge_collector`]: 34 MiB still do. A sample of the
/// heap may see them beside the shards that are on their way, two from the network or three out of the store, and has to stay below 64 MB.
const NUDGE_BYTES: f64 = 34.0 * 1024.0 * 1024.0;
/// Room to begin with for a file of unknown length.
const FIRST_BYTES: u64 = 64 * 1024;

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

    fn copied(bytes: &[u8]) -> Self {
        Self::new(Uint8Array::from(bytes).buffer())
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
    let length = nudge_bytes();
    if length == 0.0 {
        return;
    }
    let class = Reflect::get(&js_sys::global(), &"ArrayBuffer".into());
    let class = class.and_then(|class| class.dyn_into::<Function>());
    let length = Array::of1(&JsValue::from_f64(length));
    // Without the memory for it there is nothing to be nudged.
    if let Ok(buffer) = class.and_then(|class| Reflect::construct(&class, &length)) {
        release(buffer.unchecked_ref());
    }
}

/// How large an allocation has this browser collect its garbage; 0 where none should be made.
pub(super) fn nudge_bytes() -> f64 {
    let chromium = Reflect::get(&super::scope().navigator(), &"userAgentData".into());
    if chromium.is_ok_and(|data| data.is_object()) {
        NUDGE_BYTES
    } else {
        0.0
    }
}

/// Takes pieces of unknown number and becomes one buffer of the right length.
pub(super) struct Collector {
    bytes: Uint8Array,
    length: u32,
    /// How long it will be, they say.
    expected: u64,
}

impl Collector {
    /// Room for about `bytes` to begin with: servers and manifests may claim anything.
    pub(super) fn new(bytes: u64) -> Self {
        let capacity = bytes.clamp(FIRST_BYTES, RECORD_BYTES);
        Self {
            bytes: Uint8Array::new_with_length(capacity as u32),
            length: 0,
            expected: bytes,
        }
    }

    /// Appends a piece.
    pub(super) fn push(&mut self, piece: &Uint8Array) {
        let end = self.length + piece.length();
        let capacity = self.bytes.length();
        if end > capacity {
            // What is said is not believed at once, but it says where doubling may stop.
            let doubled = capacity.saturating_mul(2);
            let doubled = match u32::try_from(self.expected) {
                Ok(expected) if expected >= end => doubled.min(expected),
                _ => doubled,
            };
            let grown = Uint8Array::new_with_length(end.max(doubled));
            grown.set(&self.bytes.subarray(0, self.length), 0);
            release(&self.bytes.buffer());
            self.bytes = grown;
        }
        self.bytes.set(piece, self.length);
        self.length = end;
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        release(&self.bytes.buffer());
    }
}

impl Buffer for Collector {
    type Bytes = JsBytes;

    fn len(&self) -> u64 {
        u64::from(self.length)
    }

    fn append(&mut self, bytes: &JsBytes) {
        self.push(&Uint8Array::new(bytes.buffer()));
    }

    fn tail(&self, start: u64) -> JsBytes {
        let start = start.min(u64::from(self.length)) as u32;
        JsBytes::new(self.bytes.buffer().slice_with_end(start, self.length))
    }

    fn clear(&mut self) {
        self.length = 0;
    }

    fn finish(mut self) -> JsBytes {
        let bytes = std::mem::replace(&mut self.bytes, Uint8Array::new_with_length(0));
        let buffer = bytes.buffer();
        if self.length == bytes.length() {
            return JsBytes::new(buffer);
        }
        let exact = buffer.slice_with_end(0, self.length);
        release(&buffer);
        JsBytes::new(exact)
    }
}
