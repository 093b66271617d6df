//! Who is talking to whom: the greeting and its check.

use serde::{Deserialize, Serialize};

use crate::{Fault, FaultCode};

/// Version of the messages. Raised with every change of a message's shape or meaning.
pub const PROTOCOL_VERSION: u32 = 11;

/// Name of this build: the value of `TERN_BUILD` when it was compiled (a commit, set by the build command), or `dev`.
///
/// Worker files carry no hash in their name, so a browser may pair a cached worker with a new page; this tells.
pub const BUILD: &str = match option_env!("TERN_BUILD") {
    Some(build) => build,
    None => "dev",
};

/// The first message in either direction. The worker speaks first, because messages that reach a worker before its code
/// runs are lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's [`PROTOCOL_VERSION`].
    pub version: u32,
    /// The sender's [`BUILD`].
    pub build: String,
}

impl Hello {
    /// The greeting of this build.
    #[must_use]
    pub fn own() -> Self {
        Self {
            version: PROTOCOL_VERSION,
            build: BUILD.to_owned(),
        }
    }

    /// Checks the other side's greeting against this build.
    ///
    /// # Errors
    /// A fault with [`FaultCode::VersionMismatch`] when version or build differ; loading the page again repairs it.
    pub fn check(&self) -> Result<(), Fault> {
        let own = Self::own();
        if *self == own {
            return Ok(());
        }
        let detail = format!(
            "page and worker are of different builds: expected version {} build {}, got version {} build {}",
            own.version, own.build, self.version, self.build
        );
        Err(Fault::new(FaultCode::VersionMismatch, detail))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{BUILD, Hello, PROTOCOL_VERSION};
    use crate::{FaultCode, Retry};

    #[test]
    fn own_greeting_is_accepted_and_others_are_refused() {
        assert_eq!(Hello::own().check(), Ok(()));
        for other in [
            Hello {
                version: PROTOCOL_VERSION + 1,
                build: BUILD.to_owned(),
            },
            Hello {
                version: PROTOCOL_VERSION,
                build: format!("{BUILD}-stale"),
            },
        ] {
            let fault = other.check().unwrap_err();
            assert_eq!(
                (fault.code, fault.retry),
                (FaultCode::VersionMismatch, Retry::Reload)
            );
        }
    }
}
