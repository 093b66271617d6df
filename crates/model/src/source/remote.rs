//! Files behind a network.

use std::future::Future;

use super::ByteRange;
use crate::Error;

/// Files that are read without blocking, one request after the other. Names are plain: without folders.
pub trait RemoteSource {
    /// What can go wrong, the errors of this crate included.
    type Error: From<Error>;

    /// Names of all files.
    ///
    /// # Errors
    /// If they cannot be listed.
    fn files(&mut self) -> impl Future<Output = Result<Vec<String>, Self::Error>>;

    /// Length of a file in bytes, or `None` if there is no such file.
    ///
    /// # Errors
    /// If it cannot be asked for.
    fn len(&mut self, file: &str) -> impl Future<Output = Result<Option<u64>, Self::Error>>;

    /// The bytes of a range that lies inside its file: all of them. For headers and small files.
    ///
    /// # Errors
    /// If they cannot be read.
    fn read(&mut self, range: &ByteRange) -> impl Future<Output = Result<Vec<u8>, Self::Error>>;

    /// Some bytes of a file from `offset` on: what has come so far, at least one byte and at most as many as the file has left.
    /// Who reads a file to its end calls this with each end as the next `offset`, so that one request serves all calls.
    ///
    /// # Errors
    /// If they cannot be read.
    fn next(
        &mut self,
        file: &str,
        offset: u64,
    ) -> impl Future<Output = Result<Vec<u8>, Self::Error>>;
}
