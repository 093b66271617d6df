//! Files that are not whole yet: what has come of them, in parts. A killed page goes on behind the last of them.
//!
//! Parts are not checked: when the file is whole, its hash is. They go in the transaction that stores the file.

use model::manifest::FileHash;
use protocol::Fault;

use super::{Shelf, Store, sum};
use crate::network::Buffer;
use crate::{Blob, Host};

/// The beginning of the keys of parts.
const PART: &str = "part/";

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// SHA-256 that the whole file should have.
    pub sha256: String,
    /// Its first byte within the file.
    pub start: u64,
    /// Its length.
    pub bytes: u64,
}

impl StoredPart {
    /// The key of its record.
    #[must_use]
    pub fn key(&self) -> String {
        format!(
            "{}{}/{}",
            Self::keys_of(&self.sha256),
            self.start,
            self.bytes
        )
    }

    /// The part whose record has this key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        let mut words = key.strip_prefix(PART)?.split('/');
        let part = Self {
            sha256: words.next()?.to_owned(),
            start: words.next()?.parse().ok()?,
            bytes: words.next()?.parse().ok()?,
        };
        // One part has one key.
        (part.key() == key).then_some(part)
    }

    /// The beginning of the keys of all parts of a file.
    #[must_use]
    pub fn keys_of(sha256: &str) -> String {
        format!("{PART}{sha256}/")
    }
}

/// The parts among `parts` that make up the beginning of a file, in order and without a gap.
fn beginning<'p>(
    file: &FileHash,
    parts: impl Iterator<Item = &'p StoredPart>,
) -> Vec<&'p StoredPart> {
    let mut parts: Vec<&StoredPart> = parts.filter(|part| part.sha256 == file.sha256).collect();
    // Of two that begin alike the longer one is of use.
    parts.sort_by_key(|part| (part.start, std::cmp::Reverse(part.bytes)));
    let mut length = 0;
    parts.retain(|part| {
        let end = part.start.checked_add(part.bytes);
        let fits = part.start == length && end.is_some_and(|end| end <= file.bytes);
        length += if fits { part.bytes } else { 0 };
        fits
    });
    parts
}

/// Bytes of a file that need not be fetched although it is not whole.
pub(super) fn begun_bytes(file: &FileHash, parts: &[StoredPart]) -> u64 {
    sum(beginning(file, parts.iter()).iter().map(|part| part.bytes))
}

impl<H: Host> Shelf<'_, H> {
    /// All parts of all files.
    pub(crate) async fn parts(&self) -> Result<Vec<StoredPart>, Fault> {
        let keys = self
            .run("listing what has come", |store| store.record_keys(PART))
            .await?;
        Ok(keys
            .iter()
            .filter_map(|key| StoredPart::from_key(key))
            .collect())
    }

    /// Stores bytes of a file that begin at `start`.
    pub(crate) async fn put_part(
        &self,
        file: &FileHash,
        start: u64,
        bytes: &H::Bytes,
    ) -> Result<(), Fault> {
        let part = StoredPart {
            sha256: file.sha256.clone(),
            start,
            bytes: bytes.len(),
        };
        let key = part.key();
        self.run(&format!("storing a part of {}", file.file), |store| {
            store.put_record(&key, bytes)
        })
        .await
    }

    /// The beginning of a file, as far as its parts go without a gap.
    pub(crate) async fn begun(
        &self,
        file: &FileHash,
        parts: impl Iterator<Item = &StoredPart>,
    ) -> Result<H::Buffer, Fault> {
        let mut buffer = self.host().buffer(file.bytes);
        for part in beginning(file, parts) {
            let key = part.key();
            let record = self
                .run("reading what has come", |store| store.record(&key))
                .await?;
            match record.filter(|record| record.len() == part.bytes) {
                Some(record) => buffer.append(&record),
                None => break,
            }
        }
        Ok(buffer)
    }

    /// Forgets parts. Returns their bytes.
    pub(crate) async fn drop_parts(
        &self,
        parts: impl Iterator<Item = &StoredPart> + Clone,
    ) -> Result<u64, Fault> {
        let keys: Vec<String> = parts.clone().map(StoredPart::key).collect();
        if !keys.is_empty() {
            self.run("forgetting what has come", |store| {
                store.remove(None, &[], &keys)
            })
            .await?;
        }
        Ok(sum(parts.map(|part| part.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::{FileHash, StoredPart, begun_bytes};

    #[test]
    fn keys_name_parts() {
        let part = StoredPart {
            sha256: "ab".into(),
            start: 5,
            bytes: 7,
        };
        assert_eq!(part.key(), "part/ab/5/7");
        assert_eq!(StoredPart::from_key("part/ab/5/7"), Some(part));
        for key in [
            "ab/0",
            "part/ab/5",
            "part/ab/05/7",
            "part/ab/5/7/",
            "part/ab/-5/7",
            "part/",
        ] {
            assert_eq!(StoredPart::from_key(key), None, "{key}");
        }
    }

    #[test]
    fn what_is_begun_is_what_has_no_gap() {
        let part = |sha256: &str, start, bytes| StoredPart {
            sha256: sha256.into(),
            start,
            bytes,
        };
        let file = FileHash {
            file: "a.bin".into(),
            bytes: 10,
            sha256: "ab".into(),
        };
        for (parts, bytes) in [
            (vec![], 0),
            (vec![part("ab", 4, 3), part("ab", 0, 4)], 7),
            (
                vec![part("ab", 0, 2), part("ab", 0, 4), part("ab", 4, 6)],
                10,
            ),
            (vec![part("ab", 0, 4), part("ab", 5, 2)], 4),
            (vec![part("ab", 0, 4), part("ab", 4, 7)], 4),
            (vec![part("cd", 0, 4)], 0),
        ] {
            assert_eq!(begun_bytes(&file, &parts), bytes, "{parts:?}");
        }
    }
}
