//! Files cut into records, and records joined to files.

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsValue;

use super::bytes::{JsBytes, release};
use crate::{Blob as _, RECORD_BYTES};

/// How many records a file has. One without bytes has one.
fn count(bytes: &JsBytes) -> u32 {
    // An ArrayBuffer is shorter than 2^32 bytes in a 32-bit worker.
    bytes.len().div_ceil(RECORD_BYTES).max(1) as u32
}

/// The bytes of one record: all of them, or a copy of a part.
fn record(bytes: &JsBytes, part: u32) -> ArrayBuffer {
    let buffer = bytes.buffer();
    if bytes.len() <= RECORD_BYTES {
        return buffer.clone();
    }
    let start = u64::from(part) * RECORD_BYTES;
    let end = bytes.len().min(start + RECORD_BYTES);
    // As in `count`.
    buffer.slice_with_end(start as u32, end as u32)
}

/// All records of a file.
pub(super) fn all(bytes: &JsBytes) -> Vec<JsValue> {
    let records = (0..count(bytes)).map(|part| record(bytes, part));
    records.map(Into::into).collect()
}

/// The records of a file, for a database that copies each of them when it is asked to store it. One that was cut out is good until
/// the next one is asked for: all of them at once, until the browser collects its garbage, would be the file once more.
pub(super) fn passing(bytes: &JsBytes) -> impl Iterator<Item = JsValue> {
    let mut cut = None;
    (0..count(bytes)).map(move |part| {
        drop(cut.take());
        let record = record(bytes, part);
        cut = (bytes.len() > RECORD_BYTES).then(|| JsBytes::new(record.clone()));
        record.into()
    })
}

/// A file from its records, which are given up.
pub(super) fn joined(parts: Vec<ArrayBuffer>) -> JsBytes {
    if let [whole] = &parts[..] {
        return JsBytes::new(whole.clone());
    }
    let length = parts.iter().map(ArrayBuffer::byte_length).sum();
    let bytes = Uint8Array::new_with_length(length);
    let mut at = 0;
    for part in parts {
        bytes.set(&Uint8Array::new(&part), at);
        at += part.byte_length();
        release(&part);
    }
    JsBytes::new(bytes.buffer())
}
