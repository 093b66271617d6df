//! SHA-256 as lower-case hex.

use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::manifest::FileHash;
use crate::source::{ByteRange, Source, read_range};

/// Bytes read at once when a file is hashed.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// Length and hash of bytes that make up a file.
pub fn hash_bytes(file: &str, bytes: &[u8]) -> FileHash {
    FileHash {
        file: file.to_string(),
        bytes: bytes.len() as u64,
        sha256: hex(&Sha256::digest(bytes)),
    }
}

/// Length and hash of a file, read in pieces of 1 MiB. `progress` gets the bytes of each piece and may stop the work.
///
/// # Errors
/// If the file is missing or cannot be read, or [`Error::Cancelled`].
pub fn hash_file(
    source: &dyn Source,
    file: &str,
    progress: &mut dyn FnMut(u64) -> std::ops::ControlFlow<()>,
) -> Result<FileHash, Error> {
    let missing = || Error::FileMissing {
        file: file.to_string(),
        purpose: "its hash",
    };
    let bytes = source.len(file)?.ok_or_else(missing)?;
    let mut hasher = Sha256::new();
    let mut offset = 0;
    while offset < bytes {
        let n = CHUNK_BYTES.min(bytes - offset);
        hasher.update(read_range(
            source,
            &ByteRange {
                file: file.to_string(),
                offset,
                bytes: n,
            },
        )?);
        offset += n;
        if progress(n).is_break() {
            return Err(Error::Cancelled);
        }
    }
    Ok(FileHash {
        file: file.to_string(),
        bytes,
        sha256: hex(&hasher.finalize()),
    })
}

/// A hash of bytes that come in parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }

    /// The state, so that another one can go on with it.
    pub(crate) fn save(&self) -> String {
        hex(&self.0.serialize())
    }

    /// One that goes on where another was; `None` if the text is no such state.
    pub(crate) fn restore(saved: &str) -> Option<Hasher> {
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let byte = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
        let bytes: Option<Vec<u8>> = saved.as_bytes().chunks(2).map(byte).collect();
        let state = SerializedState::<Sha256>::try_from(bytes?.as_slice()).ok()?;
        Sha256::deserialize(&state).ok().map(Hasher)
    }
}

/// Compares bytes with the length and hash that a manifest states.
///
/// # Errors
/// If one of them differs.
pub fn check_hash(expected: &FileHash, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() as u64 != expected.bytes {
        return Err(Error::FileLength {
            file: expected.file.clone(),
            expected: expected.bytes.to_string(),
            got: bytes.len() as u64,
        });
    }
    let got = hex(&Sha256::digest(bytes));
    if got != expected.sha256 {
        return Err(Error::FileHash {
            file: expected.file.clone(),
            expected: expected.sha256.clone(),
            got,
        });
    }
    Ok(())
}

fn hex(digest: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    digest
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::ops::ControlFlow;

    use super::*;
    use crate::source::MemorySource;

    #[test]
    fn hash_is_the_published_vector() {
        let hash = hash_bytes("abc.txt", b"abc");
        assert_eq!(
            hash.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(check_hash(&hash, b"abc").is_ok());
        let error = check_hash(&hash, b"abd").unwrap_err().to_string();
        assert!(
            error.contains("abc.txt: SHA-256 must be ba7816bf"),
            "{error}"
        );
        assert!(
            check_hash(&hash, b"abcd")
                .unwrap_err()
                .to_string()
                .contains("length must be 3 bytes, got 4")
        );
    }

    #[test]
    fn a_hash_goes_on_where_it_was() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i % 251) as u8).collect();
        for at in [0, 1, 63, 64, 65, 500, 1000] {
            let mut first = Hasher::default();
            first.update(&bytes[..at]);
            let mut second = Hasher::restore(&first.save()).unwrap();
            second.update(&bytes[at..]);
            assert_eq!(second.finish(), hash_bytes("", &bytes).sha256, "{at}");
        }
        for damaged in ["", "0", "zz", &"ff".repeat(200), &"ff".repeat(105)] {
            assert!(Hasher::restore(damaged).is_none(), "{damaged}");
        }
    }

    #[test]
    fn a_file_hashes_as_its_bytes_and_can_be_stopped() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 2 + 77).map(|i| (i % 251) as u8).collect();
        let source = MemorySource::new([("big".to_string(), bytes.clone())]);
        let mut n_calls = 0;
        let hash = hash_file(&source, "big", &mut |_| {
            n_calls += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((hash.unwrap(), n_calls), (hash_bytes("big", &bytes), 3));
        let stopped = hash_file(&source, "big", &mut |_| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }
}
