//! Where bytes come from: a folder, memory, or a server that answers range requests.

#[cfg(not(target_family = "wasm"))]
mod folder;
mod memory;
mod remote;

#[cfg(not(target_family = "wasm"))]
pub use folder::FolderSource;
pub use memory::{MemorySource, ReadFault};
pub use remote::RemoteSource;

use crate::Error;

/// A run of bytes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange {
    /// File name without folders.
    pub file: String,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// Files that can be read at any place, by several threads at once. Names are plain: without folders.
pub trait Source: Sync {
    /// Names of all files; none where they cannot be listed.
    ///
    /// # Errors
    /// If they could be listed, but not now.
    fn files(&self) -> Result<Vec<String>, Error>;

    /// Length of a file in bytes, or `None` if there is no such file.
    ///
    /// # Errors
    /// If the file is there but cannot be asked for its length.
    fn len(&self, file: &str) -> Result<Option<u64>, Error>;

    /// Fills `buffer` with the bytes of `file` from `offset` on.
    ///
    /// # Errors
    /// If the file is missing, ends before the buffer is full, or cannot be read.
    fn read_at(&self, file: &str, offset: u64, buffer: &mut [u8]) -> Result<(), Error>;
}

/// Reads a byte range into a new buffer. The length is compared with the file first, so that memory is bounded by its real size.
///
/// # Errors
/// If the file is missing, shorter, or cannot be read.
pub fn read_range(source: &dyn Source, range: &ByteRange) -> Result<Vec<u8>, Error> {
    let file_bytes = source.len(&range.file)?.unwrap_or(0);
    if range
        .offset
        .checked_add(range.bytes)
        .is_none_or(|end| end > file_bytes)
    {
        return Err(Error::FileLength {
            file: range.file.clone(),
            expected: format!("at least {}", range.offset.saturating_add(range.bytes)),
            got: file_bytes,
        });
    }
    let mut buffer = vec![0; range.bytes as usize];
    source.read_at(&range.file, range.offset, &mut buffer)?;
    Ok(buffer)
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// If the file is missing, longer than `limit`, or cannot be read.
pub fn read_whole(
    source: &dyn Source,
    file: &str,
    purpose: &'static str,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let missing = || Error::FileMissing {
        file: file.to_string(),
        purpose,
    };
    let bytes = source.len(file)?.ok_or_else(missing)?;
    if bytes > limit {
        return Err(Error::FileLength {
            file: file.to_string(),
            expected: format!("at most {limit}"),
            got: bytes,
        });
    }
    read_range(
        source,
        &ByteRange {
            file: file.to_string(),
            offset: 0,
            bytes,
        },
    )
}
