//! From a request to a file of the served folder: paths, types, ranges, caching.

use std::fs::File;
use std::io::{Cursor, Read, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::http::Request;

/// An answer; the body is read only for requests that want one.
pub(crate) struct Reply {
    /// HTTP status code.
    pub(crate) status: u16,
    /// Header names and values, `Content-Length` and `Connection` left out.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Length of the body in bytes.
    pub(crate) length: u64,
    /// The body.
    pub(crate) body: Option<Box<dyn Read>>,
}

impl Reply {
    /// A line of plain text with an error status.
    pub(crate) fn error(status: u16, text: &str) -> Self {
        let text = format!("{text}\n");
        let headers = vec![
            ("Content-Type", "text/plain; charset=utf-8".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
        ];
        Self {
            status,
            headers,
            length: text.len() as u64,
            body: Some(Box::new(Cursor::new(text))),
        }
    }
}

/// The answer to `request` from the files below `folder`.
pub(crate) fn answer(folder: &Path, request: &Request) -> Reply {
    if request.method != "GET" && request.method != "HEAD" {
        let mut reply = Reply::error(405, "only GET and HEAD are answered here");
        reply.headers.push(("Allow", "GET, HEAD".to_owned()));
        return reply;
    }
    let Some(path) = local_path(folder, &request.target) else {
        return Reply::error(400, "bad path");
    };
    match file_reply(&path, request) {
        Ok(reply) => reply,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Reply::error(404, "not found")
        }
        Err(error) => Reply::error(500, &format!("cannot read the file: {error}")),
    }
}

fn file_reply(path: &Path, request: &Request) -> std::io::Result<Reply> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    let size = meta.len();
    let modified = meta
        .modified()?
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_millis());
    let tag = format!("\"{size:x}-{modified:x}\"");
    let content_type = content_type(path);
    let cache = if content_type.starts_with("text/html") {
        "no-store"
    } else {
        "no-cache"
    };
    let mut headers = vec![
        ("Content-Type", content_type.to_owned()),
        ("Cache-Control", cache.to_owned()),
        ("ETag", tag.clone()),
        ("Accept-Ranges", "bytes".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    if request.if_none_match.as_deref() == Some(tag.as_str()) {
        return Ok(Reply {
            status: 304,
            headers,
            length: 0,
            body: None,
        });
    }
    match request
        .range
        .as_deref()
        .map_or(Range::Whole, |range| parse_range(range, size))
    {
        Range::Whole => Ok(Reply {
            status: 200,
            headers,
            length: size,
            body: Some(Box::new(file)),
        }),
        Range::Part { start, end } => {
            headers.push(("Content-Range", format!("bytes {start}-{}/{size}", end - 1)));
            file.seek(SeekFrom::Start(start))?;
            Ok(Reply {
                status: 206,
                headers,
                length: end - start,
                body: Some(Box::new(file.take(end - start))),
            })
        }
        Range::Outside => {
            let mut reply = Reply::error(416, "range outside the file");
            reply
                .headers
                .push(("Content-Range", format!("bytes */{size}")));
            Ok(reply)
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// No range, or one that may be ignored (several parts, another unit, nonsense).
    Whole,
    /// From `start` up to, not including, `end`.
    Part {
        start: u64,
        end: u64,
    },
    Outside,
}

/// A single byte range of a file of `size` bytes.
fn parse_range(text: &str, size: u64) -> Range {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|part| part.split_once('-'))
    else {
        return Range::Whole;
    };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(start), Ok(last)) if start > last => Range::Whole,
        (Ok(start), _) if start >= size => Range::Outside,
        (Ok(start), Ok(last)) => Range::Part {
            start,
            end: last.saturating_add(1).min(size),
        },
        (Ok(start), Err(_)) if last.is_empty() => Range::Part { start, end: size },
        (Err(_), Ok(0)) if first.is_empty() => Range::Outside,
        (Err(_), Ok(count)) if first.is_empty() => Range::Part {
            start: size.saturating_sub(count),
            end: size,
        },
        _ => Range::Whole,
    }
}

/// The file below `folder` that a request target names; `None` for a path that would leave the folder.
fn local_path(folder: &Path, target: &str) -> Option<PathBuf> {
    let path = percent_decode(target.split(['?', '#']).next()?)?;
    let relative = path.strip_prefix('/')?;
    if relative.contains(['\0', '\\']) {
        return None;
    }
    let relative = Path::new(relative);
    let inside = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let file = folder.join(relative);
    inside.then(|| {
        if path.ends_with('/') {
            file.join("index.html")
        } else {
            file
        }
    })
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn content_type(path: &Path) -> &'static str {
    match path
        .extension()
        .and_then(|ext| ext.to_str())
        .unwrap_or_default()
    {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "txt" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_folder() {
        let path = |target| local_path(Path::new("d"), target);
        assert_eq!(path("/"), Some(PathBuf::from("d/index.html")));
        assert_eq!(
            path("/models/a%20b.bin?x=1#y"),
            Some(PathBuf::from("d/models/a b.bin"))
        );
        for outside in [
            "/../secret",
            "/a/%2e%2e/%2e%2e/secret",
            "//etc/passwd",
            "relative",
            "/a%00b",
            "/%zz",
            "/..\\x",
            "/%ff",
        ] {
            assert_eq!(path(outside), None, "{outside}");
        }
    }

    #[test]
    fn ranges() {
        let cases = [
            ("bytes=0-0", Range::Part { start: 0, end: 1 }),
            (
                "bytes=90-200",
                Range::Part {
                    start: 90,
                    end: 100,
                },
            ),
            ("bytes=7-", Range::Part { start: 7, end: 100 }),
            (
                "bytes=-10",
                Range::Part {
                    start: 90,
                    end: 100,
                },
            ),
            ("bytes=-1000", Range::Part { start: 0, end: 100 }),
            ("bytes=100-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=9-3", Range::Whole),
            ("bytes=0-1,5-6", Range::Whole),
            ("lines=1-2", Range::Whole),
            (
                "bytes=5-18446744073709551615",
                Range::Part { start: 5, end: 100 },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_range(text, 100), expected, "{text}");
        }
    }

    #[test]
    fn a_tag_that_still_fits_saves_the_body() {
        let folder = crate::shell::root();
        let request = |tag: Option<String>| Request {
            method: "GET".to_owned(),
            target: "/Cargo.toml".to_owned(),
            if_none_match: tag,
            ..Request::default()
        };
        let first = answer(&folder, &request(None));
        let tag = first
            .headers
            .iter()
            .find(|(name, _)| *name == "ETag")
            .unwrap()
            .1
            .clone();
        assert_eq!(
            (first.status, answer(&folder, &request(Some(tag))).status),
            (200, 304)
        );
        assert_eq!(
            answer(&folder, &request(Some("\"other\"".to_owned()))).status,
            200
        );
    }

    #[test]
    fn wasm_and_scripts_get_the_types_that_browsers_insist_on() {
        assert_eq!(content_type(Path::new("a_bg.wasm")), "application/wasm");
        assert_eq!(
            content_type(Path::new("worker_loader.js")),
            "text/javascript; charset=utf-8"
        );
        assert_eq!(
            content_type(Path::new("shard-0.bin")),
            "application/octet-stream"
        );
    }
}
