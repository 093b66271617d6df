//! What can go wrong, as the page needs to know it.

use serde::{Deserialize, Serialize};

use crate::ByteCount;

/// A failure at the border between worker and page. The page turns `code` into words and an action in the reader's
/// language; `detail` is the technical line for a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Fault {
    /// What failed.
    pub code: FaultCode,
    /// One technical line: what failed, expected, got.
    pub detail: String,
    /// What may help.
    pub retry: Retry,
    /// How much room has to be made, where that is what is wrong and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_bytes: Option<ByteCount>,
    /// The host that the person would have to allow, as [`crate::Origin`] has it, where that is what is wrong and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Fault {
    /// A fault of `code` with the usual advice for it.
    #[must_use]
    pub fn new(code: FaultCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry: code.usual_retry(),
            missing_bytes: None,
            host: None,
        }
    }
}

/// Kinds of failure that a person should be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FaultCode {
    /// Page and worker are of different builds.
    VersionMismatch,
    /// What was given as a model's address is none, or none that may be used.
    BadAddress,
    /// The model lies on a host that the person has not allowed, or its server redirects to such a one.
    HostNotAllowed,
    /// The host is allowed, but the policy of this worker does not have it: the page was not served by the app's service worker.
    HostBlocked,
    /// A message could not be read, or came at the wrong time.
    BadRequest,
    /// The browser has no WebGPU.
    NoWebGpu,
    /// WebGPU is there but offers no adapter.
    NoAdapter,
    /// The adapter's limits are too small for the model.
    LimitsTooSmall,
    /// The device was lost more often than is worth trying.
    DeviceLost,
    /// The GPU or the worker ran out of memory.
    OutOfMemory,
    /// A shader or pipeline was refused, or the GPU reported another error.
    Gpu,
    /// The GPU computes wrong numbers in every variant of the kernels.
    WrongNumbers,
    /// A file could not be fetched.
    Network,
    /// A file does not exist on the server.
    NotFound,
    /// The server gives the file to nobody, or not to everybody.
    Refused,
    /// The server was too busy for too long.
    Busy,
    /// A web page came instead of a file, every time.
    WebPage,
    /// The package's description is wrong, or of an unknown version.
    BadModel,
    /// A model in a format of others that can't be converted: not ternary, of an unknown architecture, incomplete.
    Unsupported,
    /// The chosen files are no model: an archive that is damaged, not whole or no archive of a package, or files that don't make one.
    BadFiles,
    /// The model is to come out of files that a person chose, and they are not at hand any more.
    FilesGone,
    /// A file's bytes do not have the hash that the package states.
    Corrupt,
    /// The package has no tokenizer.
    NoChat,
    /// Tokenizer or chat template failed.
    Text,
    /// The conversation does not fit the context.
    PromptTooLong,
    /// The worker died.
    Trap,
    /// The worker has been silent for too long.
    Silent,
    /// The browser gives no more room for the model. What was stored stays; `missing_bytes` says how much is missing.
    StorageFull,
    /// The browser's database failed, and opening it anew did not help.
    Storage,
    /// The system ended the page several times while the model was being started. Made by the page.
    Killed,
}

impl FaultCode {
    /// All codes, for tables of texts and their tests.
    pub const ALL: [Self; 30] = [
        Self::VersionMismatch,
        Self::BadAddress,
        Self::HostNotAllowed,
        Self::HostBlocked,
        Self::Unsupported,
        Self::BadRequest,
        Self::NoWebGpu,
        Self::NoAdapter,
        Self::LimitsTooSmall,
        Self::DeviceLost,
        Self::OutOfMemory,
        Self::Gpu,
        Self::WrongNumbers,
        Self::Network,
        Self::NotFound,
        Self::Refused,
        Self::Busy,
        Self::WebPage,
        Self::BadModel,
        Self::BadFiles,
        Self::FilesGone,
        Self::Corrupt,
        Self::NoChat,
        Self::Text,
        Self::PromptTooLong,
        Self::Trap,
        Self::Silent,
        Self::StorageFull,
        Self::Storage,
        Self::Killed,
    ];

    /// What usually helps against this kind of failure.
    #[must_use]
    pub const fn usual_retry(self) -> Retry {
        match self {
            Self::VersionMismatch
            | Self::Trap
            | Self::Storage
            | Self::FilesGone
            | Self::HostBlocked => Retry::Reload,
            Self::NoAdapter
            | Self::DeviceLost
            | Self::OutOfMemory
            | Self::Silent
            | Self::Killed
            | Self::Network
            | Self::HostNotAllowed
            | Self::NotFound
            | Self::Refused
            | Self::Busy
            | Self::WebPage
            | Self::Corrupt
            | Self::StorageFull
            | Self::WrongNumbers
            | Self::Gpu => Retry::Again,
            Self::BadRequest
            | Self::BadAddress
            | Self::Unsupported
            | Self::NoWebGpu
            | Self::LimitsTooSmall
            | Self::BadModel
            | Self::BadFiles
            | Self::NoChat
            | Self::Text
            | Self::PromptTooLong => Retry::Never,
        }
    }
}

/// What may help after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retry {
    /// The same request fails again.
    Never,
    /// The same request may succeed later.
    Again,
    /// The page has to be loaded again.
    Reload,
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultCode, Retry};

    #[test]
    fn every_code_is_listed_once() {
        let mut seen = std::collections::HashSet::new();
        assert!(FaultCode::ALL.iter().all(|code| seen.insert(*code)));
    }

    #[test]
    fn advice_follows_the_code_and_the_message_is_the_detail() {
        let fault = Fault::new(FaultCode::Network, "fetch failed");
        assert_eq!(fault.retry, Retry::Again);
        assert_eq!(fault.to_string(), "fetch failed");
    }
}
