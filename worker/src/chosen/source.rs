//! Chosen files, as a conversion reads them.

use std::collections::BTreeMap;

use model::source::{ByteRange, RemoteSource};

use super::bad;
use crate::repacking::Stop;
use crate::{Blob as _, File};

/// Bytes that are read in one go.
const PIECE_BYTES: u64 = 1 << 20;

/// Files by their names.
#[derive(Debug, Clone)]
pub(super) struct FileSource<F>(pub(super) BTreeMap<String, F>);

impl<F: File> FileSource<F> {
    async fn part(&self, name: &str, start: u64, end: u64) -> Result<Vec<u8>, Stop> {
        let file = self.0.get(name).ok_or_else(|| model::Error::FileMissing {
            file: name.to_owned(),
            purpose: "the model",
        })?;
        let end = end.min(file.size());
        let part = file.slice(start.min(end)..end);
        let bytes = part.read().await;
        let bytes = bytes.map_err(|error| bad(format!("{name} could not be read: {error}")))?;
        if bytes.len() != part.size() {
            let (expected, got) = (part.size(), bytes.len());
            let detail = format!("{name} has changed: expected {expected} bytes, got {got}");
            return Err(Stop::Fault(bad(detail)));
        }
        Ok(bytes.to_vec())
    }
}

impl<F: File> RemoteSource for FileSource<F> {
    type Error = Stop;

    async fn files(&mut self) -> Result<Vec<String>, Stop> {
        Ok(self.0.keys().cloned().collect())
    }

    async fn len(&mut self, file: &str) -> Result<Option<u64>, Stop> {
        Ok(self.0.get(file).map(File::size))
    }

    async fn read(&mut self, range: &ByteRange) -> Result<Vec<u8>, Stop> {
        let end = range.offset.saturating_add(range.bytes);
        self.part(&range.file, range.offset, end).await
    }

    async fn next(&mut self, file: &str, offset: u64) -> Result<Vec<u8>, Stop> {
        let end = offset.saturating_add(PIECE_BYTES);
        self.part(file, offset, end).await
    }
}
