//! Reading requests.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

/// Most bytes of a request's head.
const MAX_HEAD_BYTES: u64 = 64 << 10;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, as they came.
    pub(crate) target: String,
    /// By names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    /// Reads the next one; `None` when the other side is done.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = from.take(MAX_HEAD_BYTES);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "expected an HTTP/1.1 request");
        let mut words = line.split_whitespace();
        let (Some(method), Some(target), Some(version)) =
            (words.next(), words.next(), words.next())
        else {
            return Err(broken());
        };
        if !version.starts_with("HTTP/1.") {
            return Err(broken());
        }
        let (method, target) = (method.to_owned(), target.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Err(broken());
            }
            if line.trim_end().is_empty() {
                return Ok(Some(Self {
                    method,
                    target,
                    headers,
                }));
            }
            let (name, value) = line.split_once(':').ok_or_else(broken)?;
            headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }

    /// Path and query apart, the path decoded; `None` when it is no path.
    pub(crate) fn parts(&self) -> Option<(String, Option<String>)> {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (self.target.as_str(), None),
        };
        let path = decoded(path)?;
        path.starts_with('/').then_some((path, query))
    }

    /// First and last byte (inclusive) that are asked for, of a file of `n_bytes`. `None` = all of it; `Some(None)` = a part
    /// that does not exist.
    pub(crate) fn range(&self, n_bytes: u64) -> Option<Option<(u64, u64)>> {
        let (first, last) = self
            .headers
            .get("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        let last_byte = n_bytes.saturating_sub(1);
        let (first, last) = match (first.parse(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => (first, last.min(last_byte)),
            (Ok(first), Err(_)) if last.is_empty() => (first, last_byte),
            (Err(_), Ok(count)) if first.is_empty() => (n_bytes.saturating_sub(count), last_byte),
            // What can't be understood is ignored, as the standard says.
            _ => return None,
        };
        Some((first < n_bytes).then_some((first, last)))
    }
}

fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}
