//! A client that follows redirects, as a browser does for a page of another origin.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// An answer, and where it came from.
pub(crate) struct Reply {
    pub(crate) url: String,
    pub(crate) status: u16,
    /// By names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// What a page at `origin` may read of it, if anything.
    pub(crate) fn is_readable_by(&self, origin: &str) -> bool {
        matches!(self.header("access-control-allow-origin"), Some(allowed) if allowed == "*" || allowed == origin)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// One request, without following anything.
pub(crate) fn ask(method: &str, url: &str, headers: &[(&str, &str)]) -> Reply {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let mut stream = TcpStream::connect(host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n"
    )
    .unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let end = reply
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(reply[..end].to_vec()).unwrap();
    let (first, lines) = head.split_once("\r\n").unwrap();
    let headers = lines.lines().map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Reply {
        url: url.to_owned(),
        status: first.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.collect(),
        body: reply[end + 4..].to_vec(),
    }
}

/// The answers on the way to the one that is no redirect. Behind a redirect from one foreign origin to another a browser
/// no longer says who asks.
pub(crate) fn follow(url: &str, origin: &str, headers: &[(&str, &str)]) -> Vec<Reply> {
    let mut replies: Vec<Reply> = Vec::new();
    let (mut url, mut origin) = (url.to_owned(), origin.to_owned());
    loop {
        assert!(replies.len() < 5, "redirected for ever to {url}");
        let mut all = vec![("Origin", origin.as_str())];
        all.extend_from_slice(headers);
        let reply = ask("GET", &url, &all);
        assert!(reply.is_readable_by(&origin), "{url}: not for {origin}");
        let next = reply.header("location").map(str::to_owned);
        replies.push(reply);
        let Some(next) = next else { return replies };
        if next.starts_with('/') {
            url = format!("{}{next}", origin_of(&url));
        } else {
            url = next;
            origin = "null".to_owned();
        }
    }
}

/// Scheme, host and port.
pub(crate) fn origin_of(url: &str) -> &str {
    let end = url["http://".len()..].find('/').unwrap();
    &url[.."http://".len() + end]
}
