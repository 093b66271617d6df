//! Chosen files in memory.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

use worker::File;

/// A file, or a part of one.
#[derive(Debug, Clone)]
pub(crate) struct MemoryFile {
    name: String,
    bytes: Rc<Vec<u8>>,
    range: Range<u64>,
    /// The most bytes of it that were read at once.
    pub(crate) most_read: Rc<Cell<u64>>,
    /// Bytes of it that were read in all.
    pub(crate) read_bytes: Rc<Cell<u64>>,
    /// Whether reading fails from now on, as when a file is deleted.
    pub(crate) is_gone: Rc<Cell<bool>>,
}

impl MemoryFile {
    pub(crate) fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            range: 0..bytes.len() as u64,
            bytes: Rc::new(bytes),
            most_read: Rc::default(),
            read_bytes: Rc::default(),
            is_gone: Rc::default(),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.range.start as usize..self.range.end as usize]
    }
}

impl File for MemoryFile {
    type Bytes = Vec<u8>;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn size(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn modified_millis(&self) -> f64 {
        1e12
    }

    fn slice(&self, range: Range<u64>) -> Self {
        let at = |place: u64| (self.range.start + place).min(self.range.end);
        Self {
            range: at(range.start)..at(range.end),
            ..self.clone()
        }
    }

    async fn read(&self) -> Result<Vec<u8>, String> {
        if self.is_gone.get() {
            return Err("the file is not there".to_owned());
        }
        self.most_read.set(self.most_read.get().max(self.size()));
        self.read_bytes.set(self.read_bytes.get() + self.size());
        Ok(self.bytes().to_vec())
    }

    fn of(bytes: &Vec<u8>) -> Result<Self, String> {
        Ok(Self::new("", bytes.clone()))
    }

    fn joined(parts: &[Self]) -> Result<Self, String> {
        let bytes = parts.iter().flat_map(MemoryFile::bytes).copied();
        Ok(Self::new("", bytes.collect()))
    }
}
