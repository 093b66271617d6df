//! What is known about the files of a checkpoint so far, and what is wanted next.
//!
//! Planning a conversion needs a few small files and headers. So that a native program (reads) and a browser (range requests)
//! can both do it, the planner reads nothing itself: it is started again each time that it gets what it asked for, until it
//! needs nothing more.

use std::collections::BTreeMap;

use crate::Error;
use crate::source::ByteRange;

/// What a planner wants to know next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The names of all files; none where files cannot be listed.
    Files,
    /// The length of a file, or that there is no such file.
    Length {
        /// File name.
        file: String,
    },
    /// These bytes; they lie inside the file.
    Bytes(ByteRange),
}

/// Why planning does not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something must be supplied first.
    Need(Need),
    /// The checkpoint cannot be converted.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

/// Lengths and bytes supplied so far.
#[derive(Debug, Default)]
pub(crate) struct Known {
    files: Option<Vec<String>>,
    lengths: BTreeMap<String, Option<u64>>,
    ranges: BTreeMap<String, Vec<(u64, Vec<u8>)>>,
}

impl Known {
    pub(crate) fn supply_files(&mut self, mut files: Vec<String>) {
        files.sort();
        self.files = Some(files);
    }

    pub(crate) fn supply_length(&mut self, file: &str, bytes: Option<u64>) {
        self.lengths.insert(file.to_string(), bytes);
    }

    pub(crate) fn supply_bytes(&mut self, range: &ByteRange, bytes: Vec<u8>) {
        let ranges = self.ranges.entry(range.file.clone()).or_default();
        // A header that turned out to be longer is supplied again, from its beginning.
        ranges.retain(|(start, held)| *start != range.offset || held.len() > bytes.len());
        ranges.push((range.offset, bytes));
    }

    /// What is held of a range, from its beginning on.
    pub(crate) fn held(&self, range: &ByteRange) -> &[u8] {
        let ranges = self.ranges.get(&range.file).map_or(&[][..], Vec::as_slice);
        let same = ranges.iter().find(|(start, _)| *start == range.offset);
        same.map_or(&[], |(_, bytes)| bytes)
    }

    /// The names of all files in alphabetical order.
    pub(crate) fn files(&self) -> Result<&[String], Stop> {
        self.files.as_deref().ok_or(Stop::Need(Need::Files))
    }

    /// Length of a file, `None` if it is absent.
    pub(crate) fn len(&self, file: &str) -> Result<Option<u64>, Stop> {
        self.lengths.get(file).copied().ok_or_else(|| {
            Stop::Need(Need::Length {
                file: file.to_string(),
            })
        })
    }

    /// Bytes of a file, which the caller knows to be long enough.
    pub(crate) fn bytes(&self, file: &str, offset: u64, bytes: u64) -> Result<&[u8], Stop> {
        let wanted = || {
            Stop::Need(Need::Bytes(ByteRange {
                file: file.to_string(),
                offset,
                bytes,
            }))
        };
        let ranges = self.ranges.get(file).map_or(&[][..], Vec::as_slice);
        let part = ranges.iter().find_map(|(start, held)| {
            let from = usize::try_from(offset.checked_sub(*start)?).ok()?;
            held.get(from..from.checked_add(usize::try_from(bytes).ok()?)?)
        });
        part.ok_or_else(wanted)
    }

    /// A whole file of at most `limit` bytes, `None` if it is absent.
    pub(crate) fn whole(&self, file: &str, limit: u64) -> Result<Option<&[u8]>, Stop> {
        let Some(bytes) = self.len(file)? else {
            return Ok(None);
        };
        if bytes > limit {
            let expected = format!("at most {limit}");
            return Err(Error::FileLength {
                file: file.to_string(),
                expected,
                got: bytes,
            }
            .into());
        }
        self.bytes(file, 0, bytes).map(Some)
    }

    /// A JSON file of at most `limit` bytes, `None` if it is absent.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        &self,
        file: &str,
        limit: u64,
    ) -> Result<Option<T>, Stop> {
        let Some(bytes) = self.whole(file, limit)? else {
            return Ok(None);
        };
        let json = |source| Error::Json {
            file: file.to_string(),
            source,
        };
        Ok(Some(serde_json::from_slice(bytes).map_err(json)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_are_named_and_covering_ranges_serve_parts() {
        let mut known = Known::default();
        let range = |offset, bytes| ByteRange {
            file: "a".to_string(),
            offset,
            bytes,
        };
        assert!(matches!(known.len("a"), Err(Stop::Need(Need::Length { file })) if file == "a"));
        known.supply_length("a", Some(10));
        assert!(
            matches!(known.bytes("a", 2, 3), Err(Stop::Need(Need::Bytes(need))) if need == range(2, 3))
        );
        known.supply_bytes(&range(1, 6), vec![1, 2, 3, 4, 5, 6]);
        assert!(matches!(known.bytes("a", 2, 3), Ok([2, 3, 4])));
        assert!(matches!(known.bytes("a", 0, 3), Err(Stop::Need(_))));
        assert!(matches!(known.bytes("a", 5, 3), Err(Stop::Need(_))));
        assert!(matches!(
            known.whole("a", 9),
            Err(Stop::Error(Error::FileLength { got: 10, .. }))
        ));
        known.supply_length("b", None);
        assert!(matches!(known.whole("b", 9), Ok(None)));
    }
}
