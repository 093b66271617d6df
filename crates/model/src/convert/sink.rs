//! Where the files of a package go.

use std::collections::BTreeMap;

use crate::Error;
use crate::source::MemorySource;

/// Takes the files of a package, each once and whole. Nothing may become visible as a package before [`Sink::finish`].
pub trait Sink {
    /// Stores a file.
    ///
    /// # Errors
    /// If it cannot be stored.
    fn write_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error>;

    /// Makes the package visible; all files have been written.
    ///
    /// # Errors
    /// If that is not possible.
    fn finish(&mut self) -> Result<(), Error>;
}

/// A package in memory.
#[derive(Debug, Default)]
pub struct MemorySink {
    files: BTreeMap<String, Vec<u8>>,
    is_finished: bool,
}

impl MemorySink {
    /// The files as a source; `None` unless the package was finished.
    pub fn into_source(self) -> Option<MemorySource> {
        self.is_finished.then(|| MemorySource::new(self.files))
    }
}

impl Sink for MemorySink {
    fn write_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.files.insert(name.to_string(), bytes.to_vec());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.is_finished = true;
        Ok(())
    }
}
