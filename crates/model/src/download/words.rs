//! What goes into the machine and what comes out of it.

use super::{Failure, Head, Problem};

/// Milliseconds of a steady clock.
pub type Millis = f64;

/// Number of a request, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt(pub u32);

/// Which bytes are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A whole file of known length.
    Whole {
        /// The length.
        bytes: u64,
    },
    /// A whole file.
    Unknown {
        /// Longest that is accepted.
        max_bytes: u64,
    },
    /// A part of a file.
    Part {
        /// Its first byte.
        start: u64,
        /// Its length.
        bytes: u64,
    },
}

impl Extent {
    /// First byte within the file.
    #[must_use]
    pub const fn start(self) -> u64 {
        match self {
            Self::Whole { .. } | Self::Unknown { .. } => 0,
            Self::Part { start, .. } => start,
        }
    }

    /// How many bytes, when it is known.
    #[must_use]
    pub const fn bytes(self) -> Option<u64> {
        match self {
            Self::Whole { bytes } | Self::Part { bytes, .. } => Some(bytes),
            Self::Unknown { .. } => None,
        }
    }

    /// Most bytes that are taken.
    pub(super) const fn max_bytes(self) -> u64 {
        match self {
            Self::Whole { bytes } | Self::Part { bytes, .. } => bytes,
            Self::Unknown { max_bytes } => max_bytes,
        }
    }
}

/// A file, or part of one, that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Want {
    /// What it is called in messages.
    pub name: String,
    /// Which bytes.
    pub extent: Extent,
    /// Whether its hash is known. Then the hash decides what is right; otherwise only bytes of one version, by the server's
    /// own word, are put together.
    pub has_hash: bool,
    /// Bytes that are there from earlier, in front.
    pub held_bytes: u64,
    /// The version that they are of, as [`Head::version`] had it.
    pub held_version: Option<String>,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Nothing: the machine is to begin, or the time of [`super::Download::wake_at`] has come.
    Wake,
    /// The head of an answer is there.
    Answered(Attempt, Head),
    /// This many bytes of its body have come. What is kept of them says [`super::Download::keeps`], asked before.
    Came(Attempt, u64),
    /// The body is at its end.
    Ended(Attempt),
    /// The connection failed, in the platform's words.
    Broke(Attempt, String),
    /// The bytes of this number are what they should be; they are stored, or whatever was to be done with them.
    Good(usize),
    /// They are not.
    Wrong(usize, Problem),
    /// The platform thinks that there is a connection, or none.
    Online(bool),
    /// The person wants a pause.
    Pause,
    /// The person wants it to go on.
    Resume,
    /// The person wants no more of it.
    Cancel,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the server.
    Request {
        /// Number of the want.
        item: usize,
        /// Number of the request.
        attempt: Attempt,
        /// First byte to ask for, and the last one unless it is the file's; `None` = the whole file, without a `Range`.
        range: Option<(u64, Option<u64>)>,
        /// Whether every cache is to be passed by.
        fresh: bool,
    },
    /// Give a request up: nothing that it brings is wanted any more.
    Abort(Attempt),
    /// Throw away all bytes of this number.
    Forget(usize),
    /// All bytes of this number are there: look whether they are good, and say so.
    Check(usize),
    /// Tell the person: something was wrong, and is tried again.
    Trouble {
        /// Number of the want.
        item: usize,
        /// Number of the coming attempt at it, from 2.
        attempt: u32,
        /// What was wrong.
        problem: Problem,
        /// Milliseconds until then.
        wait_millis: Millis,
    },
    /// It is over. Nothing follows.
    End(End),
}

/// How a download ends.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// Everything is there.
    Done,
    /// The person wanted no more of it.
    Cancelled,
    /// It does not work.
    Failed(Failure),
}

/// How patient a download is, as numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Most requests at a time.
    pub parallel: usize,
    /// Milliseconds of silence after which a request is given up.
    pub idle_millis: Millis,
    /// Milliseconds by which a wake-up may be late. Later ones come from a device that slept, and blame nobody.
    pub late_millis: Millis,
    /// Wait after the first failure; each one behind it doubles the wait.
    pub first_wait_millis: Millis,
    /// Longest of these waits.
    pub max_wait_millis: Millis,
    /// Longest wait that a server may ask for.
    pub max_retry_after_millis: Millis,
    /// Failures in a row that are borne.
    pub max_failures: u32,
    /// Bytes that an attempt must bring to count as none of them.
    pub progress_bytes: u64,
    /// How often a file may come wrong.
    pub max_wrongs: u32,
    /// Most bytes in front of the wanted ones that are thrown away where a server does not send parts.
    pub max_skip_bytes: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            parallel: 2,
            idle_millis: 20_000.0,
            late_millis: 5_000.0,
            first_wait_millis: 500.0,
            max_wait_millis: 30_000.0,
            max_retry_after_millis: 600_000.0,
            max_failures: 7,
            progress_bytes: 16 << 10,
            max_wrongs: 2,
            max_skip_bytes: 64 << 20,
        }
    }
}
