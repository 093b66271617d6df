//! The head of an HTTP response, as far as a download minds it.

/// What the headers of a response say. Headers that a browser hides from a page count as absent, so everything here may be
/// missing and nothing is needed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Length of the whole file, when it is stated and is that of the bytes that will come.
    pub total_bytes: Option<u64>,
    /// First byte of a partial answer, when it is stated.
    pub first_byte: Option<u64>,
    /// What names this version of the file: a strong `ETag`, or else `Last-Modified`.
    pub version: Option<String>,
    /// Whether it is a web page. No file of a model is one.
    pub is_page: bool,
    /// Whether the body is compressed on its way. Parts of such a body mean nothing.
    pub is_encoded: bool,
    /// Milliseconds that the server asks to wait.
    pub retry_after_millis: Option<f64>,
}

impl Head {
    /// Reads the headers. `header` gives one by its name in lower case. `all_readable` says that an absent header is
    /// absent, not hidden, as it is for answers of other origins. `unix_seconds` is the time of day, for a server that names
    /// a date and has no `Date` of its own.
    pub fn read(
        status: u16,
        header: impl Fn(&str) -> Option<String>,
        all_readable: bool,
        unix_seconds: f64,
    ) -> Self {
        let is_encoded = header("content-encoding")
            .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
        let range = header("content-range").and_then(|text| content_range(&text));
        let length = header("content-length").and_then(|text| text.trim().parse().ok());
        let total_bytes = match (status, range) {
            (206 | 416, Some((_, total))) => total,
            // What is stated may be the length of a compressed body.
            (200, _) if all_readable && !is_encoded => length,
            _ => None,
        };
        let media = header("content-type")
            .unwrap_or_default()
            .to_ascii_lowercase();
        Self {
            status,
            total_bytes,
            first_byte: range.and_then(|(first, _)| first).filter(|_| status == 206),
            version: header("etag")
                .filter(|tag| !tag.starts_with("W/"))
                .or_else(|| header("last-modified")),
            is_page: media.starts_with("text/html") || media.starts_with("application/xhtml"),
            is_encoded,
            retry_after_millis: header("retry-after").and_then(|text| {
                let now = header("date").and_then(|date| http_date(&date));
                retry_after(&text, now.unwrap_or(unix_seconds))
            }),
        }
    }
}

/// First byte and length of the whole file from `bytes 5-9/100`, `bytes */100` or `bytes 5-9/*`.
fn content_range(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (span, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let first = span
        .split_once('-')
        .and_then(|(first, _)| first.trim().parse().ok());
    Some((first, total.trim().parse().ok()))
}

/// Milliseconds from a `Retry-After` of seconds or of a date.
fn retry_after(text: &str, unix_seconds: f64) -> Option<f64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(f64::from(seconds) * 1000.0);
    }
    Some((http_date(text)? - unix_seconds).max(0.0) * 1000.0)
}

/// Seconds since 1970 of a date like `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers may send today.
fn http_date(text: &str) -> Option<f64> {
    let (_, date) = text.trim().split_once(", ")?;
    let mut words = date.split(' ');
    let day: u32 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    .iter()
    .position(|name| *name == month)?;
    let year: u32 = words.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let mut time = words.next()?.split(':').map(str::parse::<u32>);
    let (hours, minutes, seconds) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let is_time = hours < 24 && minutes < 60 && seconds <= 60 && (1..=31).contains(&day);
    if !is_time || year < 1970 || words.next() != Some("GMT") {
        return None;
    }
    // Years that begin in March end with the leap day.
    let month = u32::try_from(month).ok()? + 1;
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = f64::from(365 * year + year / 4 - year / 100 + year / 400)
        + f64::from((153 * month + 2) / 5 + day)
        - 719_469.0;
    Some(days * 86_400.0 + f64::from(hours * 3600 + minutes * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::{Head, http_date, retry_after};

    /// Half past the date of the tests.
    const NOON: f64 = 784_111_777.0;

    fn head(status: u16, headers: &[(&str, &str)], all_readable: bool) -> Head {
        let header = |name: &str| {
            let found = headers.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Head::read(status, header, all_readable, NOON)
    }

    #[test]
    fn dates() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(NOON)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0.0)),
            ("Tue, 29 Feb 2000 12:00:00 GMT", Some(951_825_600.0)),
            ("Sat, 28 Nov 2026 00:00:00 GMT", Some(1_795_824_000.0)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Non 1994 08:49:37 GMT", None),
            ("soon", None),
        ] {
            assert_eq!(http_date(text), seconds, "{text}");
        }
    }

    #[test]
    fn waits() {
        for (text, millis) in [
            ("120", Some(120_000.0)),
            ("0", Some(0.0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000.0)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0.0)),
            ("-5", None),
            ("later", None),
        ] {
            assert_eq!(retry_after(text, NOON), millis, "{text}");
        }
        let date = [
            ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"),
            ("date", "Sun, 06 Nov 1994 08:50:07 GMT"),
        ];
        let millis = head(503, &date, true).retry_after_millis;
        assert_eq!(millis, Some(30_000.0), "by the server's own clock");
    }

    #[test]
    fn lengths_count_when_they_are_those_of_the_bytes_that_come() {
        let length = ("content-length", "90");
        let range = ("content-range", "bytes 10-99/100");
        for (status, headers, all_readable, total, first) in [
            (200, vec![length], true, Some(90), None),
            (200, vec![length], false, None, None),
            (
                200,
                vec![length, ("content-encoding", "gzip")],
                true,
                None,
                None,
            ),
            (
                200,
                vec![length, ("content-encoding", "identity")],
                true,
                Some(90),
                None,
            ),
            (206, vec![length, range], true, Some(100), Some(10)),
            (206, vec![length], true, None, None),
            (
                206,
                vec![("content-range", "bytes 10-99/*")],
                true,
                None,
                Some(10),
            ),
            (
                416,
                vec![("content-range", "bytes */100")],
                true,
                Some(100),
                None,
            ),
            (
                206,
                vec![("content-range", "lines 1-2/3")],
                true,
                None,
                None,
            ),
            (200, vec![("content-length", "x")], true, None, None),
        ] {
            let head = head(status, &headers, all_readable);
            assert_eq!(
                (head.total_bytes, head.first_byte),
                (total, first),
                "{status} {headers:?}"
            );
        }
    }

    #[test]
    fn versions_and_pages() {
        let version = |headers: &[(&str, &str)]| head(200, headers, true).version;
        let dated = ("last-modified", "yesterday");
        assert_eq!(
            version(&[("etag", "\"a\""), dated]).as_deref(),
            Some("\"a\"")
        );
        assert_eq!(
            version(&[("etag", "W/\"a\""), dated]).as_deref(),
            Some("yesterday")
        );
        assert_eq!(version(&[("etag", "W/\"a\"")]), None);
        assert!(head(200, &[("content-type", "Text/HTML; charset=utf-8")], true).is_page);
        assert!(!head(200, &[("content-type", "text/plain")], true).is_page);
    }
}
