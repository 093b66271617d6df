//! Whether a model fits a device, as far as that can be known before it is downloaded.
//!
//! Browsers tell how much may be stored and how large a buffer may be, but not how much memory a page may use: for that there
//! is a budget, which is an assumption and is named as one.

use engine::SessionConfig;
use model::Manifest;
use model::architecture::gpu_tensor_bytes;
use protocol::Fit;

use crate::store::Estimate;

/// Weights that lie in one buffer. Tables of rows are cut to whatever fits.
const STACKS: [&[&str]; 4] = [&["q", "k", "v"], &["o"], &["gate", "up"], &["down"]];

/// What a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Bytes that have to be downloaded and stored.
    pub(crate) missing_bytes: u64,
    /// Its largest buffer that can't be cut.
    pub(crate) buffer_bytes: u64,
    /// Weights, and the key-value cache at the usual context.
    pub(crate) memory_bytes: u64,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    /// Bytes that the browser still lets us store; absent when it does not say.
    pub(crate) storage_bytes: Option<u64>,
    /// Bytes of the largest buffer that the adapter allows; absent when there is none to ask.
    pub(crate) buffer_bytes: Option<u64>,
    /// What is assumed of memory.
    pub(crate) memory_bytes: u64,
}

/// The context that a model gets when nobody chooses another.
pub(crate) fn usual_context(manifest: &Manifest) -> u32 {
    SessionConfig::default()
        .context
        .min(manifest.architecture.context)
}

/// What the package needs, of which `missing_bytes` are not stored.
pub(crate) fn need(manifest: &Manifest, missing_bytes: u64) -> Need {
    let arch = &manifest.architecture;
    let rows_per_tile = manifest.ternary.rows_per_tile;
    // All layers have the same shapes.
    let stack = |names: &[&str]| -> u64 {
        let is_in = |name: &str| {
            let part = name.strip_prefix("layers.0.");
            part.is_some_and(|part| names.contains(&part))
        };
        let tensors = manifest.tensors.iter();
        tensors
            .filter(|tensor| is_in(&tensor.name))
            .map(|tensor| gpu_tensor_bytes(&tensor.encoding, tensor.shape, rows_per_tile))
            .sum()
    };
    let kv_bytes = arch.kv_bytes_f16(usual_context(manifest));
    // Keys and values of each layer lie apart.
    let kv_buffer = kv_bytes / u64::from(arch.layers.max(1)) / 2;
    let stacks = STACKS.into_iter().map(stack);
    Need {
        missing_bytes,
        buffer_bytes: stacks.fold(kv_buffer, u64::max),
        memory_bytes: manifest.weight_bytes().saturating_add(kv_bytes),
    }
}

/// The room that an estimate leaves.
pub(crate) fn room(estimate: Estimate) -> Option<u64> {
    let quota = estimate.quota_bytes?;
    Some(quota.saturating_sub(estimate.usage_bytes.unwrap_or(0)))
}

/// Compares both. What is too large comes before what is not known.
pub(crate) fn judge(need: Need, given: Given) -> Fit {
    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
    let mut is_known = true;
    let mut too_large = |needed: u64, allowed: Option<u64>| match allowed {
        Some(allowed) => (needed > allowed).then_some((megabytes(needed), allowed / 1_000_000)),
        None => {
            is_known &= needed == 0;
            None
        }
    };
    let storage = too_large(need.missing_bytes, given.storage_bytes);
    let buffer = too_large(need.buffer_bytes, given.buffer_bytes);
    let memory = too_large(need.memory_bytes, Some(given.memory_bytes));
    let detail = if let Some((needed, allowed)) = storage {
        format!("the download needs {needed} MB, the browser lets {allowed} MB be stored")
    } else if let Some((needed, allowed)) = buffer {
        format!("it needs a buffer of {needed} MB, the graphics processor allows {allowed} MB")
    } else if let Some((needed, allowed)) = memory {
        format!("it needs {needed} MB of memory, a page is assumed to get {allowed} MB")
    } else if is_known {
        return Fit::Fits;
    } else {
        return Fit::Unknown;
    };
    Fit::TooLarge { detail }
}

#[cfg(test)]
mod tests {
    use super::{Estimate, Fit, Given, Need, judge, room};

    const MB: u64 = 1_000_000;
    const NEED: Need = Need {
        missing_bytes: 850 * MB,
        buffer_bytes: 9 * MB,
        memory_bytes: 1200 * MB,
    };
    const GIVEN: Given = Given {
        storage_bytes: Some(850 * MB),
        buffer_bytes: Some(9 * MB),
        memory_bytes: 1200 * MB,
    };

    fn detail(need: Need, given: Given) -> String {
        match judge(need, given) {
            Fit::TooLarge { detail } => detail,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_model_fits_where_nothing_is_missing() {
        assert_eq!(judge(NEED, GIVEN), Fit::Fits);
    }

    #[test]
    fn what_is_missing_is_named_with_both_numbers() {
        let less = |bytes: u64| bytes - MB;
        let rows = [
            (
                Given {
                    storage_bytes: GIVEN.storage_bytes.map(less),
                    ..GIVEN
                },
                "the download needs 850 MB, the browser lets 849 MB be stored",
            ),
            (
                Given {
                    buffer_bytes: GIVEN.buffer_bytes.map(less),
                    ..GIVEN
                },
                "it needs a buffer of 9 MB, the graphics processor allows 8 MB",
            ),
            (
                Given {
                    memory_bytes: less(GIVEN.memory_bytes),
                    buffer_bytes: None,
                    ..GIVEN
                },
                "it needs 1200 MB of memory, a page is assumed to get 1199 MB",
            ),
        ];
        for (given, words) in rows {
            assert_eq!(detail(NEED, given), words);
        }
    }

    #[test]
    fn what_nobody_tells_is_not_guessed() {
        let unknown = Given {
            storage_bytes: None,
            ..GIVEN
        };
        assert_eq!(judge(NEED, unknown), Fit::Unknown);
        let stored = Need {
            missing_bytes: 0,
            ..NEED
        };
        assert_eq!(judge(stored, unknown), Fit::Fits);
        let no_adapter = Given {
            buffer_bytes: None,
            ..GIVEN
        };
        assert_eq!(judge(NEED, no_adapter), Fit::Unknown);
    }

    #[test]
    fn room_is_what_is_allowed_less_what_is_used() {
        let estimate = |usage_bytes, quota_bytes| Estimate {
            usage_bytes,
            quota_bytes,
        };
        assert_eq!(room(estimate(Some(3), Some(10))), Some(7));
        assert_eq!(room(estimate(Some(11), Some(10))), Some(0));
        assert_eq!(room(estimate(None, Some(10))), Some(10));
        assert_eq!(room(estimate(Some(3), None)), None);
    }
}
