//! Files on their way between the person and the worker. The state can't hold them: it is made of plain values.

use std::cell::RefCell;

use js_sys::Array;
use wasm_bindgen::JsCast as _;
use web_sys::{Blob, FileList};

/// What was chosen last, and what the worker has made last.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    chosen: RefCell<Array>,
    made: RefCell<Option<Blob>>,
}

impl Handles {
    /// The person has chosen files. Returns how many.
    pub(crate) fn choose(&self, files: &FileList) -> u32 {
        let files: Array = (0..files.length()).filter_map(|i| files.get(i)).collect();
        let count = files.length();
        self.chosen.replace(files);
        count
    }

    /// The chosen files, for the worker.
    pub(crate) fn chosen(&self) -> Array {
        self.chosen.take()
    }

    /// Takes what came with a message of the worker.
    pub(crate) fn receive(&self, handles: &Array) {
        if let Ok(file) = handles.get(0).dyn_into() {
            self.made.replace(Some(file));
        }
    }

    /// The file that the worker has made.
    pub(crate) fn made(&self) -> Option<Blob> {
        self.made.take()
    }
}
