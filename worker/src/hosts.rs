//! The hosts that this worker asks, and what it says of others. The policy that the worker was served with is the stronger guard;
//! it can't say in words what it forbids, and a worker that came before the service worker has none on hosts without headers.

use protocol::{Fault, FaultCode, Origin};

/// Why a request is not made, or its answer not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forbidden {
    /// Nobody has allowed this host.
    Host(Origin),
    /// A host of this name can't be allowed at all.
    Name(String),
    /// A host that is allowed redirects to another one; which one, not every browser tells.
    Redirect {
        /// Who redirects.
        from: String,
        /// Where to, as an origin.
        to: Option<String>,
    },
    /// It is allowed, and the worker's policy does not know of it.
    Policy(Origin),
}

/// What may be asked.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    own: String,
    allowed: Vec<Origin>,
}

impl Hosts {
    /// The app's own origin, the hub, and what the person has allowed.
    #[must_use]
    pub const fn new(own: String, allowed: Vec<Origin>) -> Self {
        Self { own, allowed }
    }

    /// Checks an origin as browsers write it.
    ///
    /// # Errors
    /// [`Forbidden::Host`] or [`Forbidden::Name`].
    pub fn check(&self, origin: &str) -> Result<(), Forbidden> {
        if origin == self.own {
            return Ok(());
        }
        let origin = Origin::parse(origin).ok_or_else(|| Forbidden::Name(origin.to_owned()))?;
        if origin.is_of_hub() || self.allowed.contains(&origin) {
            return Ok(());
        }
        Err(Forbidden::Host(origin))
    }

    /// What a policy meant that has stopped a request to `origin`. It tells neither whether that was the first request or one
    /// behind a redirect, but it tells its own text.
    #[must_use]
    pub fn stopped(origin: &str, policy: &str) -> Forbidden {
        let sources = policy.split(';').find_map(|directive| {
            let directive = directive.trim();
            directive.strip_prefix("connect-src ")
        });
        let mut sources = sources.unwrap_or_default().split_ascii_whitespace();
        match Origin::parse(origin) {
            Some(origin)
                if origin.is_of_hub() || sources.any(|source| source == origin.as_str()) =>
            {
                Forbidden::Redirect {
                    from: origin.to_string(),
                    to: None,
                }
            }
            Some(origin) => Forbidden::Policy(origin),
            None => Forbidden::Redirect {
                from: origin.to_owned(),
                to: None,
            },
        }
    }
}

impl From<Forbidden> for Fault {
    fn from(forbidden: Forbidden) -> Self {
        let not_allowed = |detail: String, host: Option<String>| Self {
            host,
            ..Self::new(FaultCode::HostNotAllowed, detail)
        };
        match forbidden {
            Forbidden::Host(origin) => {
                let detail = format!("{origin} is not allowed yet");
                not_allowed(detail, Some(origin.to_string()))
            }
            Forbidden::Name(name) => Self::new(
                FaultCode::BadAddress,
                format!(
                    "{name} is no host that can be allowed: expected https and a plain host name"
                ),
            ),
            Forbidden::Redirect { from, to } => {
                let detail = match &to {
                    Some(to) => format!("{from} redirects to {to}, which is not allowed yet"),
                    None => format!(
                        "{from} redirects to a host that is not allowed, and the browser does not tell which"
                    ),
                };
                let can_be_allowed = |to: &String| Origin::parse(to).is_some();
                not_allowed(detail, to.filter(can_be_allowed))
            }
            Forbidden::Policy(origin) => Self {
                host: Some(origin.to_string()),
                ..Self::new(
                    FaultCode::HostBlocked,
                    format!("{origin} is allowed, and the policy of this worker does not have it"),
                )
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use protocol::{Fault, FaultCode, Origin};

    use super::{Forbidden, Hosts};

    const OWN: &str = "http://127.0.0.1:8080";
    const ALLOWED: &str = "https://models.example";

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
    }

    #[test]
    fn the_app_the_hub_and_what_was_allowed_are_asked_and_nobody_else() {
        let hosts = Hosts::new(OWN.to_owned(), vec![origin(ALLOWED)]);
        for asked in [
            OWN,
            ALLOWED,
            "https://huggingface.co",
            "https://cas-bridge.xethub.hf.co",
        ] {
            assert_eq!(hosts.check(asked), Ok(()), "{asked}");
        }
        for other in [
            "https://models.example:8443",
            "https://a.models.example",
            "http://127.0.0.1:8081",
        ] {
            assert_eq!(
                hosts.check(other),
                Err(Forbidden::Host(origin(other))),
                "{other}"
            );
        }
        for name in ["https://models.example.", "http://[::1]:8080", "null"] {
            assert_eq!(
                hosts.check(name),
                Err(Forbidden::Name(name.to_owned())),
                "{name}"
            );
        }
    }

    #[test]
    fn a_policy_that_has_the_host_has_stopped_a_redirect() {
        let policy =
            format!("default-src 'none'; connect-src 'self' https://huggingface.co {ALLOWED}");
        let redirect = |from: &str| Forbidden::Redirect {
            from: from.to_owned(),
            to: None,
        };
        for (asked, meant) in [
            (ALLOWED, redirect(ALLOWED)),
            ("https://huggingface.co", redirect("https://huggingface.co")),
            (
                "https://other.example",
                Forbidden::Policy(origin("https://other.example")),
            ),
        ] {
            assert_eq!(Hosts::stopped(asked, &policy), meant, "{asked}");
        }
        assert_eq!(
            Hosts::stopped(ALLOWED, ""),
            Forbidden::Policy(origin(ALLOWED))
        );
    }

    #[test]
    fn the_fault_names_the_host_that_can_be_allowed() {
        let redirect = |to: Option<&str>| Forbidden::Redirect {
            from: ALLOWED.to_owned(),
            to: to.map(str::to_owned),
        };
        for (forbidden, code, host) in [
            (
                Forbidden::Host(origin(ALLOWED)),
                FaultCode::HostNotAllowed,
                Some(ALLOWED),
            ),
            (
                Forbidden::Policy(origin(ALLOWED)),
                FaultCode::HostBlocked,
                Some(ALLOWED),
            ),
            (
                redirect(Some("https://store.example")),
                FaultCode::HostNotAllowed,
                Some("https://store.example"),
            ),
            (
                redirect(Some("http://store.example")),
                FaultCode::HostNotAllowed,
                None,
            ),
            (redirect(None), FaultCode::HostNotAllowed, None),
            (
                Forbidden::Name("https://a..b".into()),
                FaultCode::BadAddress,
                None,
            ),
        ] {
            let fault = Fault::from(forbidden);
            assert_eq!((fault.code, fault.host.as_deref()), (code, host), "{fault}");
        }
    }
}
