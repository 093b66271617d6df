//! Files of a browser: those that the page sends, and those that are made for it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use js_sys::{Array, ArrayBuffer};
use protocol::RequestId;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

use super::bytes::JsBytes;
use super::fetch::words;
use crate::File;

/// A Blob, which the browser reads from the disk when it is asked to.
#[derive(Debug, Clone)]
pub(super) struct JsFile {
    blob: Blob,
    name: String,
    modified_millis: f64,
}

impl JsFile {
    const fn unnamed(blob: Blob) -> Self {
        Self {
            blob,
            name: String::new(),
            modified_millis: 0.0,
        }
    }

    pub(super) const fn blob(&self) -> &Blob {
        &self.blob
    }
}

impl From<web_sys::File> for JsFile {
    fn from(file: web_sys::File) -> Self {
        Self {
            name: file.name(),
            modified_millis: file.last_modified(),
            blob: file.unchecked_into(),
        }
    }
}

impl File for JsFile {
    type Bytes = JsBytes;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn size(&self) -> u64 {
        // An integer below 2^53.
        self.blob.size() as u64
    }

    fn modified_millis(&self) -> f64 {
        self.modified_millis
    }

    fn slice(&self, range: Range<u64>) -> Self {
        let (start, end) = (range.start as f64, range.end as f64);
        let part = self.blob.slice_with_f64_and_f64(start, end);
        // It fails for no numbers; were it to, reading fewer bytes than there should be is noticed.
        Self::unnamed(part.unwrap_or_else(|_| self.blob.clone()))
    }

    async fn read(&self) -> Result<JsBytes, String> {
        let buffer = JsFuture::from(self.blob.array_buffer()).await;
        let buffer = buffer.map_err(|error| words(&error))?;
        Ok(JsBytes::new(buffer.unchecked_into::<ArrayBuffer>()))
    }

    fn of(bytes: &JsBytes) -> Result<Self, String> {
        let parts = Array::of1(bytes.buffer());
        let blob = Blob::new_with_buffer_source_sequence(&parts);
        blob.map(Self::unnamed).map_err(|error| words(&error))
    }

    fn joined(parts: &[Self]) -> Result<Self, String> {
        let parts: Array = parts.iter().map(|part| &part.blob).collect();
        let blob = Blob::new_with_blob_sequence(&parts);
        blob.map(Self::unnamed).map_err(|error| words(&error))
    }
}

/// Files on their way between the page and the runtime, by the requests that they belong to.
#[derive(Debug, Default)]
pub(super) struct Files {
    brought: RefCell<HashMap<RequestId, Vec<JsFile>>>,
    given: RefCell<HashMap<RequestId, JsFile>>,
}

impl Files {
    /// They came with a request.
    pub(super) fn bring(&self, id: RequestId, files: Vec<JsFile>) {
        self.brought.borrow_mut().insert(id, files);
    }

    /// The files that came with a request.
    pub(super) fn take(&self, id: RequestId) -> Vec<JsFile> {
        self.brought.borrow_mut().remove(&id).unwrap_or_default()
    }

    /// It goes with what ends a request.
    pub(super) fn give(&self, id: RequestId, file: JsFile) {
        self.given.borrow_mut().insert(id, file);
    }

    /// The file that goes with what ends a request. What came with it, or before it, and was not taken is let go: such a request
    /// was refused, or cancelled before it began.
    pub(super) fn handed_over(&self, id: RequestId) -> Option<JsFile> {
        self.brought.borrow_mut().retain(|brought, _| *brought > id);
        self.given.borrow_mut().remove(&id)
    }
}
