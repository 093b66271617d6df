//! What can go wrong in the engine.

/// Errors of this crate. Messages say what failed, what was expected, what came, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable GPU adapter was found.
    #[error(
        "no GPU adapter found (wanted {wanted}, available: {available}); install a Vulkan driver or use the CPU device"
    )]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// Names of the adapters that exist.
        available: String,
    },
    /// The adapter refused to make a device.
    #[error("adapter {adapter} gave no device: {reason}")]
    NoDevice {
        /// Adapter name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// A limit of the adapter is too small for this model or session.
    #[error(
        "{what} needs {needed} but the adapter allows {limit} ({name}); use a shorter context or a smaller model"
    )]
    Limit {
        /// What hit the limit.
        what: String,
        /// Amount needed.
        needed: u64,
        /// Amount allowed.
        limit: u64,
        /// Name of the limit.
        name: &'static str,
    },
    /// The device is gone: crashed, removed or taken away under memory pressure. Everything on it must be made again.
    #[error("the GPU device was lost: {reason}")]
    DeviceLost {
        /// What the driver said; informative only.
        reason: String,
    },
    /// The GPU ran out of memory.
    #[error("out of GPU memory while {doing}: {reason}")]
    OutOfMemory {
        /// What was being done.
        doing: String,
        /// The driver's words.
        reason: String,
    },
    /// A kernel did not compile or a call was invalid: a bug in this crate or in the driver.
    #[error("GPU validation failed while {doing}: {reason}")]
    Validation {
        /// What was being done.
        doing: String,
        /// The driver's words.
        reason: String,
    },
    /// A kernel names a helper that no provider offers.
    #[error("shader {kernel} needs `{need}`, which no provider offers")]
    UnknownNeed {
        /// Kernel name.
        kernel: &'static str,
        /// The unknown need.
        need: String,
    },
    /// A kernel's text could not be given its sizes.
    #[error("shader {kernel}: {reason}")]
    Unroll {
        /// Kernel name.
        kernel: &'static str,
        /// What is wrong with the text.
        reason: String,
    },
    /// An operation got buffers or dimensions that do not fit each other.
    #[error("{op}: {what} must be {expected}, got {got}")]
    Shape {
        /// Operation.
        op: &'static str,
        /// The dimension or buffer.
        what: &'static str,
        /// Expected value.
        expected: u64,
        /// Value that came.
        got: u64,
    },
    /// The package is unusable.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The package lacks a tensor, or a shard came twice or never.
    #[error("package: {what}")]
    Package {
        /// What is wrong, with names.
        what: String,
    },
    /// More tokens than the session's context.
    #[error(
        "{needed} tokens do not fit the context of {context}; start a new chat or use a longer context"
    )]
    ContextFull {
        /// Tokens wanted.
        needed: u64,
        /// Tokens that fit.
        context: u32,
    },
    /// A token id outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocab}")]
    TokenOutOfRange {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocab: u32,
    },
    /// A call out of order, for example a token wanted before any prefill.
    #[error("{what}")]
    Order {
        /// What was missing.
        what: &'static str,
    },
    /// The model produced NaN or infinite logits.
    #[error(
        "the model produced non-finite logits at position {position}; the weights are damaged or the GPU computes wrongly"
    )]
    NonFinite {
        /// Position of the token whose logits they are.
        position: u32,
    },
}

impl Error {
    /// Whether the device is gone, so that making everything again can help.
    #[must_use]
    pub fn is_device_lost(&self) -> bool {
        matches!(self, Self::DeviceLost { .. })
    }
}
