//! Which hosts the worker may talk to, by their origins: scheme, host and port.
//!
//! The browser enforces it by a policy that the service worker serves (`public/sw.js`); what is no origin here must never get
//! into that policy.

use std::fmt;

/// The hub, and the hosts that it redirects downloads to, as a policy names them.
pub const HUB_SOURCES: [&str; 3] = [
    "https://huggingface.co",
    "https://*.huggingface.co",
    "https://*.hf.co",
];
/// Most hosts that can be allowed at a time. Their names travel in a header.
pub const MAX_HOSTS: usize = 32;

/// Hosts of plain http: this device itself.
const HERE: [&str; 2] = ["localhost", "127.0.0.1"];
/// Longest host name.
const MAX_HOST: usize = 253;
/// Longest part of a host name between dots.
const MAX_LABEL: usize = 63;

/// An origin that a policy can name: https and a host, or http and this device itself; in lower case, with the port unless it is
/// the usual one. Names in other scripts have their ASCII form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(String);

impl Origin {
    /// Reads an origin as browsers write it; `None` if it is none that can be allowed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let is_host = match scheme {
            "https" => is_host_name(host),
            "http" => HERE.contains(&host),
            _ => false,
        };
        let usual = if scheme == "https" { "443" } else { "80" };
        let is_port = port.is_none_or(|port| port != usual && is_port(port));
        (is_host && is_port).then(|| Self(text.to_owned()))
    }

    /// The origin of an address that begins with one in the form of [`Origin::parse`].
    #[must_use]
    pub fn of(address: &str) -> Option<Self> {
        let start = address.find("://")? + 3;
        let end = address.get(start..)?.find(['/', '?', '#']);
        Self::parse(end.map_or(address, |end| &address[..start + end]))
    }

    /// As a policy has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port, for people.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.split_once("://").map_or(&self.0, |(_, host)| host)
    }

    /// Whether it is the hub's, or one that the hub redirects to.
    #[must_use]
    pub fn is_of_hub(&self) -> bool {
        HUB_SOURCES
            .iter()
            .any(|source| match source.split_once('*') {
                Some((scheme, ending)) => {
                    let host = self.0.strip_prefix(scheme);
                    host.is_some_and(|host| host.len() > ending.len() && host.ends_with(ending))
                }
                None => self.0 == *source,
            })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(is_inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= MAX_HOST && host.split('.').all(is_label)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit())
        && !port.starts_with('0')
        && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn origins_as_browsers_write_them_are_read() {
        for text in [
            "https://example.org",
            "https://models.example.org:8443",
            "https://xn--bcher-kva.example",
            "https://a_b.example",
            "https://192.168.1.7",
            "https://localhost",
            "http://localhost",
            "http://localhost:8080",
            "http://127.0.0.1:65535",
        ] {
            let origin = Origin::parse(text).map(|origin| origin.to_string());
            assert_eq!(origin.as_deref(), Some(text));
        }
    }

    #[test]
    fn what_could_say_something_else_in_a_policy_is_none() {
        for text in [
            "",
            "https:",
            "https://",
            "example.org",
            "http://example.org",
            "http://localhost.example.org",
            "ftp://example.org",
            "HTTPS://example.org",
            "https://Example.org",
            "https://bücher.example",
            "https://example.org.",
            "https://.example.org",
            "https://a..b",
            "https://-a.example",
            "https://a-.example",
            "https://*.example.org",
            "https://*",
            "https://example.org/",
            "https://example.org/a",
            "https://example.org?a",
            "https://user@example.org",
            "https://example.org:443",
            "http://localhost:80",
            "https://example.org:",
            "https://example.org:0",
            "https://example.org:070",
            "https://example.org:65536",
            "https://example.org:8443:1",
            "https://example.org:*",
            "https://[::1]",
            "http://[::1]:8080",
            "https://example.org 'unsafe-inline'",
            "https://example.org;script-src",
            "https://example.org,https://other.example",
            "https://example.org\n",
            "https://exam\tple.org",
            "'self'",
            "*",
        ] {
            assert_eq!(Origin::parse(text), None, "{text:?}");
        }
        let long = format!("https://{}", "a".repeat(64));
        assert_eq!(Origin::parse(&long), None);
        let long = format!("https://{}", ["a"; 130].join("."));
        assert_eq!(Origin::parse(&long), None);
    }

    #[test]
    fn an_address_has_the_origin_that_it_begins_with() {
        for (address, origin) in [
            (
                "https://example.org/a/b.gguf?c#d",
                Some("https://example.org"),
            ),
            ("https://example.org", Some("https://example.org")),
            ("http://127.0.0.1:80/", None),
            ("http://127.0.0.1:8080/?://", Some("http://127.0.0.1:8080")),
            ("owner/name", None),
            ("files:0000", None),
        ] {
            let found = Origin::of(address);
            assert_eq!(found.as_ref().map(Origin::as_str), origin, "{address}");
        }
    }

    #[test]
    fn the_hub_redirects_within_its_own_names() {
        for (text, is_of_hub) in [
            ("https://huggingface.co", true),
            ("https://cdn-lfs-us-1.huggingface.co", true),
            ("https://cas-bridge.xethub.hf.co", true),
            ("https://us.aws.cdn.hf.co", true),
            ("https://hf.co", false),
            ("https://huggingface.co.example.org", false),
            ("https://nothf.co", false),
            ("https://huggingface.co:8443", false),
            ("https://example.hf.space", false),
            ("http://localhost", false),
        ] {
            let origin = Origin::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(origin.is_of_hub(), is_of_hub, "{text}");
        }
    }
}
