//! Files in memory, with faults on demand, for tests.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Source;
use crate::Error;

/// Files held in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    files: BTreeMap<String, Vec<u8>>,
    fault: Option<ReadFault>,
}

/// A read that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFault {
    /// Reads of this file fail ...
    pub file: String,
    /// ... when they touch this byte.
    pub byte: u64,
}

impl MemorySource {
    /// A source over these files.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> MemorySource {
        MemorySource {
            files: files.into_iter().collect(),
            fault: None,
        }
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, file: &str, bytes: Vec<u8>) {
        self.files.insert(file.to_string(), bytes);
    }

    /// Removes a file; returns what it held.
    pub fn remove(&mut self, file: &str) -> Option<Vec<u8>> {
        self.files.remove(file)
    }

    /// The bytes of a file.
    pub fn get(&self, file: &str) -> Option<&[u8]> {
        self.files.get(file).map(Vec::as_slice)
    }

    /// The files by name.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// Makes reads that touch one byte fail from now on.
    pub fn fail_at(&mut self, fault: ReadFault) {
        self.fault = Some(fault);
    }
}

impl Source for MemorySource {
    fn files(&self) -> Result<Vec<String>, Error> {
        Ok(self.files.keys().cloned().collect())
    }

    fn len(&self, file: &str) -> Result<Option<u64>, Error> {
        Ok(self.files.get(file).map(|bytes| bytes.len() as u64))
    }

    fn read_at(&self, file: &str, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let io = |kind: std::io::ErrorKind| Error::Io {
            action: "read",
            path: PathBuf::from(file),
            source: kind.into(),
        };
        let bytes = self
            .files
            .get(file)
            .ok_or_else(|| io(std::io::ErrorKind::NotFound))?;
        let end = offset.saturating_add(buffer.len() as u64);
        if self
            .fault
            .as_ref()
            .is_some_and(|fault| fault.file == file && (offset..end).contains(&fault.byte))
        {
            return Err(io(std::io::ErrorKind::ConnectionReset));
        }
        if end > bytes.len() as u64 {
            return Err(io(std::io::ErrorKind::UnexpectedEof));
        }
        buffer.copy_from_slice(&bytes[offset as usize..end as usize]);
        Ok(())
    }
}
