//! Byte counts that survive a trip through JavaScript numbers.

use serde::{Deserialize, Serialize};

/// The largest byte count, 2^53 - 1: the largest integer below which every integer is a JavaScript number.
pub const MAX_BYTE_COUNT: u64 = (1 << 53) - 1;

/// A number of bytes, at most [`MAX_BYTE_COUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct ByteCount(u64);

impl ByteCount {
    /// A count of `bytes`; `None` above [`MAX_BYTE_COUNT`].
    #[must_use]
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes <= MAX_BYTE_COUNT {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// A count of `bytes`, or the largest one when there are more: for display, where 9 PB are as good as more.
    #[must_use]
    pub const fn saturating(bytes: u64) -> Self {
        if bytes <= MAX_BYTE_COUNT {
            Self(bytes)
        } else {
            Self(MAX_BYTE_COUNT)
        }
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<ByteCount> for u64 {
    fn from(count: ByteCount) -> Self {
        count.0
    }
}

impl TryFrom<u64> for ByteCount {
    type Error = ByteCountError;

    fn try_from(bytes: u64) -> Result<Self, ByteCountError> {
        Self::new(bytes).ok_or(ByteCountError { bytes })
    }
}

/// A byte count that JavaScript cannot hold exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte count too large: expected at most {MAX_BYTE_COUNT}, got {bytes}")]
pub struct ByteCountError {
    /// The refused count.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{ByteCount, MAX_BYTE_COUNT};

    #[test]
    fn the_border_is_two_to_the_53() {
        assert_eq!(
            ByteCount::new(MAX_BYTE_COUNT).unwrap().get(),
            9_007_199_254_740_991
        );
        assert_eq!(ByteCount::new(1 << 53), None);
        assert_eq!(ByteCount::saturating(u64::MAX).get(), MAX_BYTE_COUNT);
    }

    #[test]
    fn an_inexact_count_is_refused_when_read() {
        assert_eq!(
            serde_json::from_str::<ByteCount>("9007199254740991")
                .unwrap()
                .get(),
            MAX_BYTE_COUNT
        );
        let error = serde_json::from_str::<ByteCount>("9007199254740992").unwrap_err();
        assert!(
            error.to_string().contains("got 9007199254740992"),
            "{error}"
        );
        assert!(serde_json::from_str::<ByteCount>("-1").is_err());
    }
}
