//! From a request and a plan to the head and the body of an answer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::plan::Fault;
use crate::request::Request;

/// An answer that is ready to be sent.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// With their usual capitals.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Box<dyn Read>,
    pub(crate) body_bytes: u64,
}

impl Answer {
    /// Status and words.
    pub(crate) fn words(status: u16, words: &str) -> Self {
        let headers = [("Content-Type".to_owned(), "text/plain".to_owned())];
        Self {
            status,
            headers: headers.into(),
            body_bytes: words.len() as u64,
            body: Box::new(Cursor::new(words.to_owned().into_bytes())),
        }
    }

    /// The file, or the part of it that is asked for.
    pub(crate) fn file(path: &Path, request: &Request, fault: &Fault) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let about = file.metadata()?;
        let n_bytes = about.len();
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |name: &str, value: String| headers.insert(name.to_owned(), value);
        set("Content-Type", media_type(path).to_owned());
        set("Cache-Control", "no-store".to_owned());
        set("Accept-Ranges", "bytes".to_owned());
        let age = about
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        set("ETag", format!("\"{n_bytes:x}-{:x}\"", age.as_nanos()));
        let range = request.range(n_bytes).filter(|_| !fault.ignore_range);
        let (status, first, end) = match range {
            None => (200, 0, n_bytes),
            Some(None) => {
                set("Content-Range", format!("bytes */{n_bytes}"));
                return Ok(Self {
                    status: 416,
                    headers,
                    body: Box::new(io::empty()),
                    body_bytes: 0,
                });
            }
            Some(Some((first, last))) => {
                set("Content-Range", format!("bytes {first}-{last}/{n_bytes}"));
                (206, first, last + 1)
            }
        };
        file.seek(SeekFrom::Start(first))?;
        Ok(Self {
            status,
            headers,
            body: Box::new(file.take(end - first)),
            body_bytes: end - first,
        })
    }

    /// Spoils it as planned. What stops it while it is sent is the sender's.
    pub(crate) fn spoil(mut self, fault: &Fault) -> io::Result<Self> {
        if fault.gzip {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            io::copy(&mut self.body, &mut encoder)?;
            encoder.flush()?;
            let packed = encoder.finish()?;
            self.headers
                .insert("Content-Encoding".to_owned(), "gzip".to_owned());
            self.body_bytes = packed.len() as u64;
            self.body = Box::new(Cursor::new(packed));
        }
        if fault.extra_bytes > 0 {
            self.body = Box::new(self.body.chain(io::repeat(0x55).take(fault.extra_bytes)));
            self.body_bytes += fault.extra_bytes;
        }
        if let Some(end) = fault.end_at {
            self.body_bytes = self.body_bytes.min(end);
            self.body = Box::new(self.body.take(end));
        }
        for (name, value) in &fault.headers {
            self.headers
                .retain(|other, _| !other.eq_ignore_ascii_case(name));
            self.headers.insert(name.clone(), value.clone());
        }
        Ok(self)
    }

    /// The head as text.
    pub(crate) fn head(&self, fault: &Fault, stays: bool) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.status != 204 && self.status != 304 {
            let length = fault.stated_length.unwrap_or(self.body_bytes);
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        let connection = if stays { "keep-alive" } else { "close" };
        head.push_str(&format!("Connection: {connection}\r\n\r\n"));
        head
    }
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        302 => "Found",
        307 => "Temporary Redirect",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
