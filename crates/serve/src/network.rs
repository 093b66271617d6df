//! Where this computer is reached on the local network, and the page that helps a new device to trust it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;

/// Path of the authority's certificate on the plain server.
const CERTIFICATE_PATH: &str = "/tern-certificate.crt";

/// Names and addresses of this computer on local networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// What to type on another device, best first.
    pub reachable: Vec<String>,
    /// All that the certificate should cover.
    pub all: Vec<String>,
}

impl Names {
    /// Asks the system.
    #[must_use]
    pub fn find() -> Self {
        let addresses = if_addrs::get_if_addrs().unwrap_or_default();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self::of(addresses.iter().map(if_addrs::Interface::ip), host.trim())
    }

    /// Leaves out what is not reached when the server listens on `host` alone.
    #[must_use]
    pub fn listening_on(mut self, host: IpAddr) -> Self {
        match host {
            IpAddr::V6(v6) if v6.is_unspecified() => {}
            IpAddr::V4(v4) if v4.is_unspecified() => {
                self.reachable.retain(|name| !name.contains(':'))
            }
            host => self.reachable = vec![host.to_string()],
        }
        self
    }

    fn of(addresses: impl Iterator<Item = IpAddr>, host: &str) -> Self {
        let mut reachable: Vec<String> = addresses
            .filter(|address| is_local(*address) && !address.is_loopback())
            // A link-local address of IPv6 needs a zone, which no browser takes in an address.
            .filter(|address| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()))
            .map(|address| address.to_string())
            .collect();
        reachable.sort_by_key(|address| address.contains(':'));
        let label = host.split('.').next().unwrap_or_default();
        let usable = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !label.is_empty() && label != "localhost" && label.chars().all(usable) {
            reachable.push(format!("{}.local", label.to_ascii_lowercase()));
        }
        let mut all = reachable.clone();
        all.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        Self { reachable, all }
    }
}

/// Whether an address belongs to this computer or to a private network.
#[must_use]
pub(crate) fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// `https://host:port/base/` with IPv6 addresses in brackets and the usual port left out.
#[must_use]
pub fn address(scheme: &str, host: &str, port: u16, base: &str) -> String {
    let host = host
        .parse::<Ipv6Addr>()
        .map_or_else(|_| host.to_owned(), |v6| format!("[{v6}]"));
    match (scheme, port) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{host}{base}/"),
        _ => format!("{scheme}://{host}:{port}{base}/"),
    }
}

/// The page that a new device opens first, over plain HTTP, to get the certificate.
#[derive(Debug)]
pub struct Help {
    /// The authority's certificate, as DER.
    pub certificate: Vec<u8>,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Where the app is, once the certificate is trusted.
    pub app: Vec<String>,
}

impl Help {
    /// The service that answers with the page and the certificate.
    pub fn router(self) -> Router {
        let page = Html(self.page());
        let certificate: Arc<[u8]> = self.certificate.into();
        let download = [
            (header::CONTENT_TYPE, "application/x-x509-ca-cert"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        Router::new()
            .route(
                CERTIFICATE_PATH,
                get(move || async move { (download, certificate.to_vec()) }),
            )
            .fallback(get(move || async move { page }))
    }

    fn page(&self) -> String {
        let app: String = self
            .app
            .iter()
            .map(|address| format!("<li><a href=\"{address}\">{address}</a></li>"))
            .collect();
        let fingerprint = &self.fingerprint;
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tern: trust this computer</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <h1>Trust this computer, once</h1><p>Tern needs a secure connection. Do this on each iPad:</p><ol>\
             <li><a href=\"{CERTIFICATE_PATH}\">Load the certificate</a> in Safari, and allow it.</li>\
             <li>Settings, General, VPN &amp; Device Management: open <b>Tern development</b>, then More Details, and compare \
             the SHA-256 fingerprint with the one that the computer's terminal shows, not only with this page:<br>\
             <code>{fingerprint}</code></li><li>Install it.</li>\
             <li>Settings, General, About, Certificate Trust Settings: turn it on.</li><li>Open the app:<ul>{app}</ul></li></ol>\
             <p>It is good for addresses of local networks only. To take it back, remove the profile where you installed it.</p></html>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_addresses_are_offered_and_covered() {
        let addresses = [
            "127.0.0.1",
            "192.168.1.7",
            "8.8.8.8",
            "fe80::1",
            "fd00::7",
            "2001:db8::1",
            "10.0.0.2",
        ];
        let names = Names::of(
            addresses.iter().map(|text| text.parse().unwrap()),
            "My-Box.lan",
        );
        assert_eq!(
            names.reachable,
            ["192.168.1.7", "10.0.0.2", "fd00::7", "my-box.local"]
        );
        assert_eq!(names.all.len(), names.reachable.len() + 3);
        for host in ["", "localhost", "a_b"] {
            assert!(
                Names::of(std::iter::empty(), host).reachable.is_empty(),
                "{host}"
            );
        }
    }

    #[test]
    fn only_what_is_listened_on_is_offered() {
        let addresses = ["192.168.1.7", "fd00::7"];
        let names = Names::of(addresses.iter().map(|text| text.parse().unwrap()), "box");
        for (host, expected) in [
            ("::", &["192.168.1.7", "fd00::7", "box.local"][..]),
            ("0.0.0.0", &["192.168.1.7", "box.local"]),
            ("192.168.1.7", &["192.168.1.7"]),
        ] {
            let found = names.clone().listening_on(host.parse().unwrap());
            assert_eq!(found.reachable, expected, "{host}");
        }
    }

    #[test]
    fn addresses_can_be_typed() {
        assert_eq!(
            address("https", "192.168.1.7", 8443, ""),
            "https://192.168.1.7:8443/"
        );
        assert_eq!(
            address("https", "fd00::7", 443, "/a"),
            "https://[fd00::7]/a/"
        );
    }
}
