//! Words about servers that the person may allow.

use protocol::{Fault, Origin};

use crate::HostProblem;

/// Heading of a group.
pub const GROUP_HOSTS: &str = "Allowed servers";
/// Below the list.
pub const HOSTS_NOTE: &str = "Tern can fetch models from these servers, from Hugging Face and from its own. Removing one reloads the page; models that are stored stay.";
/// Button beside a server.
pub const REMOVE_HOST: &str = "Remove";
/// What it means to allow one.
pub const ALLOW_NOTE: &str = "It learns your network address and what you fetch there, nothing of your chats. Tern loads anew and comes back to this place.";
/// A server redirects, and nobody tells where to.
pub(super) const HOST_UNKNOWN: &str = "The server sends Tern on to another server that is not allowed, and the browser does not tell which. Use the address of the file where it really lies, or download it and choose it from files.";
/// It is being stored.
pub const ALLOWING: &str = "Allowing…";

/// The host of an origin with its port, and with its scheme where that is not https.
#[must_use]
pub fn host_name(origin: &str) -> &str {
    origin.strip_prefix("https://").unwrap_or(origin)
}

/// The question before a server is asked for the first time.
#[must_use]
pub fn ask_host(origin: &str) -> String {
    format!(
        "Tern has not talked to {} before. Allow it?",
        host_name(origin)
    )
}

/// The button that answers it.
#[must_use]
pub fn allow_host(origin: &str) -> String {
    format!("Allow {}", host_name(origin))
}

/// Label of the button beside a server.
#[must_use]
pub fn remove_host(origin: &str) -> String {
    format!("{REMOVE_HOST} {}", host_name(origin))
}

/// Why a server was not asked.
#[must_use]
pub(super) fn host_not_allowed(fault: &Fault) -> String {
    match fault.host.as_deref().and_then(Origin::parse) {
        Some(origin) => format!(
            "This model is on {}, a server that Tern has not talked to before.",
            host_name(origin.as_str())
        ),
        None => HOST_UNKNOWN.to_owned(),
    }
}

/// Why an allowed server can't be asked in this window.
#[must_use]
pub(super) fn host_blocked(fault: &Fault) -> String {
    let host = fault.host.as_deref().map_or("This server", host_name);
    format!(
        "{host} is allowed, but this window does not know it yet. Reload the page. If this comes again, use a normal window: in a private one Tern can only fetch from Hugging Face."
    )
}

/// Why a server could not be allowed or removed.
#[must_use]
pub fn host_problem(problem: &HostProblem) -> String {
    match problem {
        HostProblem::NoServiceWorker => "This window can't allow other servers: the part of Tern that would let them through, its service worker, does not run here, as in private browsing. Hugging Face and files work; for other servers use a normal window.".to_owned(),
        HostProblem::TooMany => format!(
            "{} servers are allowed already. Remove one in the settings first.",
            protocol::MAX_HOSTS
        ),
        HostProblem::Storage { detail } => {
            super::with_detail("The browser did not keep the list of servers", detail)
        }
    }
}
