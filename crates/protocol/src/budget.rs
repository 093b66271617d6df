//! What a page is assumed to get of the device's memory. No browser tells it, so it is an assumption, and what happened before.

use serde::{Deserialize, Serialize};

use crate::ByteCount;

/// By what models are judged before they are downloaded, and which context they get when nobody chooses one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Bytes that a device of this kind is assumed to give a page.
    pub assumed_bytes: ByteCount,
    /// The most that a model has taken on this device and worked.
    pub worked_bytes: ByteCount,
    /// The least with which the system has ended a page on this device, since something as large worked.
    pub killed_bytes: Option<ByteCount>,
}

impl Budget {
    /// A tablet with 8 GB, of which the system and the browser keep a part.
    pub const TABLET_BYTES: u64 = 3_000_000_000;

    /// Bytes that models may take. An adapter whose largest buffer has `buffer_bytes` belongs to a device of some size.
    #[must_use]
    pub fn bytes(&self, buffer_bytes: Option<u64>) -> u64 {
        /// Buffers of this size that a device is assumed to have room for.
        const BUFFERS: u64 = 4;
        /// Every device that has WebGPU is assumed to have so much.
        const LEAST_BYTES: u64 = 1_000_000_000;
        let of_adapter = buffer_bytes.map_or(u64::MAX, |bytes| {
            bytes.saturating_mul(BUFFERS).max(LEAST_BYTES)
        });
        let below_kill = self
            .killed_bytes
            .map_or(u64::MAX, |killed| killed.get().saturating_sub(1));
        let assumed = self.assumed_bytes.get().min(of_adapter);
        assumed.max(self.worked_bytes.get()).min(below_kill)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            assumed_bytes: ByteCount::saturating(Self::TABLET_BYTES),
            worked_bytes: ByteCount::default(),
            killed_bytes: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, ByteCount};

    #[test]
    fn what_happened_counts_more_than_what_is_assumed() {
        const MB: u64 = 1_000_000;
        for (assumed, worked, killed, buffer, expected) in [
            (3000, 0, None, None, 3000 * MB),
            (3000, 0, None, Some(4000), 3000 * MB),
            (3000, 0, None, Some(512), 2048 * MB),
            (3000, 0, None, Some(128), 1000 * MB),
            (500, 0, None, Some(128), 500 * MB),
            (3000, 3500, None, None, 3500 * MB),
            (3000, 2500, None, Some(128), 2500 * MB),
            (3000, 0, Some(1200), None, 1200 * MB - 1),
            (3000, 1000, Some(1200), None, 1200 * MB - 1),
            (3000, 0, Some(9000), None, 3000 * MB),
        ] {
            let bytes = |megabytes: u64| ByteCount::saturating(megabytes * MB);
            let budget = Budget {
                assumed_bytes: bytes(assumed),
                worked_bytes: bytes(worked),
                killed_bytes: killed.map(bytes),
            };
            let got = budget.bytes(buffer.map(|megabytes: u64| megabytes * MB));
            assert_eq!(got, expected, "{budget:?} {buffer:?}");
        }
    }
}
