//! The network as the worker needs it, as traits. What is asked for when, and what is kept, `fetching` decides.

use std::future::Future;
use std::ops::Range;

use crate::{Blob, Forbidden};

/// A request for a file, or for a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The file.
    pub url: String,
    /// First byte, and the last one unless it is the file's; `None` = the whole file.
    pub range: Option<(u64, Option<u64>)>,
    /// Whether it has to come from the server: what a cache had was wrong.
    pub fresh: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskError {
    /// The platform's words.
    Network(String),
    /// The host is none that may be asked.
    Forbidden(Forbidden),
}

impl From<Forbidden> for AskError {
    fn from(forbidden: Forbidden) -> Self {
        Self::Forbidden(forbidden)
    }
}

impl Ask {
    /// The value of the `Range` header: a single range with a start, which needs no permission of another origin.
    #[must_use]
    pub fn range_header(&self) -> Option<String> {
        self.range.map(|(first, last)| match last {
            Some(last) => format!("bytes={first}-{last}"),
            None => format!("bytes={first}-"),
        })
    }
}

/// The body of an answer, piece by piece. Dropping it ends the transfer.
pub trait Body {
    /// What its bytes are collected in.
    type Buffer: Buffer;

    /// Waits for the next piece and says how long it is; `None` at the end.
    ///
    /// # Errors
    /// The platform's words when the connection breaks.
    fn next(&mut self) -> impl Future<Output = Result<Option<u64>, String>>;

    /// Appends a part of the last piece to a buffer.
    fn copy(&self, part: Range<u64>, buffer: &mut Self::Buffer);
}

/// Bytes of a file that is not whole yet.
pub trait Buffer {
    /// What it becomes.
    type Bytes: Blob;

    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends bytes that are there already.
    fn append(&mut self, bytes: &Self::Bytes);

    /// A copy of the bytes from a place on.
    fn tail(&self, start: u64) -> Self::Bytes;

    /// Throws everything away.
    fn clear(&mut self);

    /// What was collected.
    fn finish(self) -> Self::Bytes;
}

/// Plain memory, for hosts that have no better place.
impl Buffer for Vec<u8> {
    type Bytes = Self;

    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn append(&mut self, bytes: &Self) {
        self.extend_from_slice(bytes);
    }

    fn tail(&self, start: u64) -> Self {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        self.get(start..).unwrap_or_default().to_vec()
    }

    fn clear(&mut self) {
        Self::clear(self);
    }

    fn finish(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Ask;

    #[test]
    fn ranges_as_headers() {
        for (range, header) in [
            (None, None),
            (Some((5, None)), Some("bytes=5-")),
            (Some((0, Some(9))), Some("bytes=0-9")),
        ] {
            let ask = Ask {
                url: String::new(),
                range,
                fresh: false,
            };
            assert_eq!(ask.range_header().as_deref(), header);
        }
    }
}
