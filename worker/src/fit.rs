//! Whether a model fits a device, and with which context, as far as that can be known before it is downloaded.
//!
//! Browsers tell how much may be stored and how large a buffer may be, but not how much memory a page may use: for that there
//! is a budget ([`protocol::Budget`]), which is an assumption, corrected by what happened on this device.

use engine::{SessionConfig, memory_need};
use model::Manifest;
use model::architecture::gpu_tensor_bytes;
use protocol::{Budget, Fit, Settings};

use crate::engine_terms::engine_kv;
use crate::store::Estimate;

/// Weights that lie in one buffer. Tables of rows are cut to whatever fits.
const STACKS: [&[&str]; 4] = [&["q", "k", "v"], &["o"], &["gate", "up"], &["down"]];
/// The shortest context that is proposed, and the steps between those that are.
const LEAST_CONTEXT: u32 = 512;
const CONTEXT_STEP: u32 = 256;

/// By what models are judged: what the page said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Judgement {
    pub(crate) budget: Budget,
    pub(crate) settings: Settings,
}

/// GPU bytes of a model at a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) context: u32,
    pub(crate) weight_bytes: u64,
    pub(crate) kv_bytes: u64,
    pub(crate) other_bytes: u64,
    /// Its largest buffer that can't be cut and grows with the context.
    pub(crate) buffer_bytes: u64,
}

impl Memory {
    /// Of a model with these settings, whose context counts no more than the one that is given.
    pub(crate) fn of(manifest: &Manifest, settings: &Settings, context: u32) -> Self {
        let config = SessionConfig {
            context,
            kv: engine_kv(settings.kv),
            prefill_chunk: settings.prefill_chunk,
        };
        let layers = u64::from(manifest.architecture.layers.max(1));
        match memory_need(manifest, &config) {
            Ok(need) => Self {
                context,
                weight_bytes: need.weight_bytes,
                kv_bytes: need.kv_bytes,
                other_bytes: need.activation_bytes,
                // Keys and values of each layer lie apart.
                buffer_bytes: need.kv_bytes / layers / 2,
            },
            Err(_) => Self {
                context,
                weight_bytes: manifest.weight_bytes(),
                kv_bytes: manifest.architecture.kv_bytes_f16(context),
                other_bytes: 0,
                buffer_bytes: 0,
            },
        }
    }

    /// All of it.
    pub(crate) const fn bytes(&self) -> u64 {
        self.weight_bytes
            .saturating_add(self.kv_bytes)
            .saturating_add(self.other_bytes)
    }
}

/// What a model needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// Bytes that have to be downloaded and stored.
    pub(crate) missing_bytes: u64,
    /// Its largest buffer of weights that can't be cut.
    pub(crate) buffer_bytes: u64,
    /// Memory at the contexts that it may get, the best one first.
    pub(crate) memory: Vec<Memory>,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    /// Bytes that the browser still lets us store; absent when it does not say.
    pub(crate) storage_bytes: Option<u64>,
    /// Bytes of the largest buffer that the adapter allows; absent when there is none to ask.
    pub(crate) buffer_bytes: Option<u64>,
    /// What is assumed of memory.
    pub(crate) budget: Budget,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) fit: Fit,
    /// Memory at the context that it gets.
    pub(crate) memory: Memory,
    /// Room that is missing.
    pub(crate) missing_bytes: u64,
}

/// The context that a model gets when nobody chooses another and it fits.
pub(crate) fn usual_context(manifest: &Manifest) -> u32 {
    SessionConfig::default()
        .context
        .min(manifest.architecture.context)
}

/// The contexts that it may get. One that the person has chosen is the only one.
fn contexts(manifest: &Manifest, settings: &Settings) -> Vec<u32> {
    if settings.context != 0 {
        return vec![settings.context.min(manifest.architecture.context)];
    }
    let usual = usual_context(manifest);
    let steps = (LEAST_CONTEXT / CONTEXT_STEP..=usual / CONTEXT_STEP).rev();
    let shorter = steps.map(|step| step * CONTEXT_STEP);
    let shorter = shorter.filter(|context| *context < usual);
    [usual].into_iter().chain(shorter).collect()
}

/// What the package needs, of which `missing_bytes` are not stored.
pub(crate) fn need(manifest: &Manifest, settings: &Settings, missing_bytes: u64) -> Need {
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
    let contexts = contexts(manifest, settings).into_iter();
    Need {
        missing_bytes,
        buffer_bytes: STACKS.into_iter().map(stack).fold(0, u64::max),
        memory: contexts
            .map(|context| Memory::of(manifest, settings, context))
            .collect(),
    }
}

/// The room that an estimate leaves.
pub(crate) fn room(estimate: Estimate) -> Option<u64> {
    let quota = estimate.quota_bytes?;
    Some(quota.saturating_sub(estimate.usage_bytes.unwrap_or(0)))
}

/// The context with which a model is opened when nobody has chosen one: the longest that fits, or the usual one where none does.
/// Then the person was told, and has the model tried all the same.
pub(crate) fn fitting_context(
    manifest: &Manifest,
    settings: &Settings,
    budget: &Budget,
    buffer_bytes: Option<u64>,
) -> u32 {
    let given = Given {
        storage_bytes: None,
        buffer_bytes,
        budget: *budget,
    };
    judge(&need(manifest, settings, 0), given).memory.context
}

/// Compares both. What is too large comes before what is not known.
///
/// # Panics
/// Never: a need has at least one context.
pub(crate) fn judge(need: &Need, given: Given) -> Judged {
    let allowed = given.budget.bytes(given.buffer_bytes);
    let usual = need.memory[0];
    let fits = |memory: &&Memory| {
        let is_cut = given
            .buffer_bytes
            .is_some_and(|bytes| memory.buffer_bytes > bytes);
        !is_cut && memory.bytes() <= allowed
    };
    let found = need.memory.iter().find(fits);
    let missing_bytes = given
        .storage_bytes
        .map_or(0, |bytes| need.missing_bytes.saturating_sub(bytes));
    let is_known =
        given.buffer_bytes.is_some() && (given.storage_bytes.is_some() || need.missing_bytes == 0);
    let fit = match (too_large(need, given, found, allowed), found) {
        (Some(detail), _) => Fit::TooLarge { detail },
        (None, Some(memory)) if memory.context < usual.context => {
            Fit::FitsWithContext(memory.context)
        }
        (None, _) if is_known => Fit::Fits,
        (None, _) => Fit::Unknown,
    };
    Judged {
        fit,
        memory: found.copied().unwrap_or(usual),
        missing_bytes,
    }
}

/// Why it does not fit, with both numbers.
fn too_large(need: &Need, given: Given, found: Option<&Memory>, allowed: u64) -> Option<String> {
    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
    let exceeds = |needed: u64, allowed: Option<u64>| {
        let allowed = allowed.filter(|allowed| needed > *allowed)?;
        Some((megabytes(needed), allowed / 1_000_000))
    };
    if let Some((needed, allowed)) = exceeds(need.missing_bytes, given.storage_bytes) {
        return Some(format!(
            "the download needs {needed} MB, the browser lets {allowed} MB be stored"
        ));
    }
    let least = need.memory.last().filter(|_| found.is_none());
    let buffer = least.map_or(0, |least| least.buffer_bytes);
    let buffer = buffer.max(need.buffer_bytes);
    if let Some((needed, allowed)) = exceeds(buffer, given.buffer_bytes) {
        return Some(format!(
            "it needs a buffer of {needed} MB, the graphics processor allows {allowed} MB"
        ));
    }
    let least = least?;
    let (needed, context) = (megabytes(least.bytes()), least.context);
    let killed = given.budget.killed_bytes.map(|bytes| bytes.get());
    let why = match killed {
        Some(killed) if killed.saturating_sub(1) == allowed => {
            format!(
                "with {} MB the system has closed Tern before",
                killed / 1_000_000
            )
        }
        _ => format!("a page is assumed to get {} MB", allowed / 1_000_000),
    };
    Some(format!(
        "it needs {needed} MB of memory with a context of {context} tokens, {why}"
    ))
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
