//! What goes wrong with a download.

/// What was wrong with one attempt at one file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No answer, or a broken one.
    #[error("the connection failed ({detail})")]
    Network {
        /// The platform's words.
        detail: String,
    },
    /// The connection is there, but nothing comes.
    #[error("nothing came for {seconds} s")]
    Stalled {
        /// How long.
        seconds: u32,
    },
    /// The server can't or does not want to, now.
    #[error("expected HTTP status 200 or 206, got {status}; the server is busy")]
    Busy {
        /// 408, 425, 429 or 500 and above.
        status: u16,
        /// Milliseconds that it asks to wait, when it says.
        retry_after_millis: Option<f64>,
    },
    /// A web page came instead of the file: the network wants somebody to log in, or the server has a page for everything
    /// that is missing.
    #[error(
        "expected a file, got a web page; log in to the network if it asks for it, or check the address"
    )]
    Page,
    /// The body ended early.
    #[error("expected {expected} bytes, got {got}")]
    Short {
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that are.
        got: u64,
    },
    /// The file on the server is of another length.
    #[error("expected {expected} bytes, the server has {got}; the file was replaced there")]
    WrongLength {
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that the server states or sent at least.
        got: u64,
    },
    /// A file of unknown length is longer than anything that is accepted.
    #[error("expected at most {max_bytes} bytes, got more")]
    TooLong {
        /// The limit.
        max_bytes: u64,
    },
    /// The file on the server was replaced while it was fetched.
    #[error("the file changed on the server while it was fetched")]
    Changed,
    /// The bytes are not the ones that were meant.
    #[error("expected SHA-256 {expected}, got {got}")]
    WrongHash {
        /// Hash that the bytes should have.
        expected: String,
        /// Hash that they have.
        got: String,
    },
    /// There is no such file.
    #[error("the server has no such file (HTTP status {status})")]
    Missing {
        /// 404 or 410.
        status: u16,
    },
    /// The server gives it to nobody, or not to everybody.
    #[error("the server refuses this file (HTTP status {status})")]
    Refused {
        /// 401, 402, 403, 407 or 451.
        status: u16,
    },
    /// The server sends whole files only, and this one is too large to throw most of it away.
    #[error(
        "the server does not send parts of files, and {skipped} bytes would have to be thrown away"
    )]
    NoRanges {
        /// Bytes in front of those that are wanted.
        skipped: u64,
    },
    /// An answer that means nothing here.
    #[error("expected HTTP status 200 or 206, got {status}")]
    Status {
        /// The status.
        status: u16,
    },
}

/// How a problem is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Try again a little later; what has come is good.
    Wait,
    /// Fetch it anew, past all caches; what has come is not good.
    Anew,
    /// Nothing helps.
    Nothing,
}

impl Problem {
    /// The problem of an answer that brings no bytes.
    #[must_use]
    pub const fn of_status(status: u16, retry_after_millis: Option<f64>) -> Self {
        match status {
            401 | 402 | 403 | 407 | 451 => Self::Refused { status },
            404 | 410 => Self::Missing { status },
            // Network Authentication Required: what a network that wants a log-in should answer.
            511 => Self::Page,
            408 | 425 | 429 | 500.. => Self::Busy {
                status,
                retry_after_millis,
            },
            _ => Self::Status { status },
        }
    }

    /// How it is met.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Network { .. }
            | Self::Stalled { .. }
            | Self::Busy { .. }
            | Self::Page
            | Self::Short { .. } => Remedy::Wait,
            Self::WrongLength { .. }
            | Self::TooLong { .. }
            | Self::Changed
            | Self::WrongHash { .. } => Remedy::Anew,
            Self::Missing { .. }
            | Self::Refused { .. }
            | Self::NoRanges { .. }
            | Self::Status { .. } => Remedy::Nothing,
        }
    }

    /// Whether it may be due to this device's own connection, so that it may be over when the connection is back.
    #[must_use]
    pub const fn is_of_connection(&self) -> bool {
        matches!(
            self,
            Self::Network { .. } | Self::Stalled { .. } | Self::Page
        )
    }
}

/// Why a download ended without its files.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name}: {problem}, attempt {attempts}")]
pub struct Failure {
    /// The file.
    pub name: String,
    /// Requests that were made for it.
    pub attempts: u32,
    /// What was wrong with the last one.
    pub problem: Problem,
}
