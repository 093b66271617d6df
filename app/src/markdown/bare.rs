//! Addresses that stand in a text without any marks, `like https://example.org here`.

use std::ops::Range;

use super::address::MAX_ADDRESS;
use super::{Inline, safe_address};

/// What begins an address.
const SCHEMES: [&str; 2] = ["https", "http"];
/// What may stand before an address, beside spaces, quotes and whatever is not ASCII (other scripts and their quotes).
const BEFORE: &str = "([{<*_~,;|";
/// What ends a sentence or a quotation rather than an address.
const BEHIND: &str = "?!.,:;*_~'\"”’»…。，、";
/// Brackets that belong to an address only in pairs.
const BRACKETS: [(char, char); 4] = [('(', ')'), ('[', ']'), ('{', '}'), ('（', '）')];

/// Cuts `text` at its addresses; `None` if there are none. One that reaches the end of a text that is not whole may get
/// longer, and is left.
pub(super) fn split(text: &str, is_whole: bool) -> Option<Vec<Inline>> {
    let mut parts = Vec::new();
    let mut done = 0;
    while let Some(Range { start, end }) = next(text, done, is_whole) {
        let (before, address) = (text.get(done..start)?, text.get(start..end)?);
        if !before.is_empty() {
            parts.push(Inline::Text(before.to_owned()));
        }
        parts.push(Inline::Link {
            address: address.to_owned(),
            content: vec![Inline::Text(address.to_owned())],
        });
        done = end;
    }
    let rest = text.get(done..)?;
    if done > 0 && !rest.is_empty() {
        parts.push(Inline::Text(rest.to_owned()));
    }
    (done > 0).then_some(parts)
}

/// The first address at or behind `from`.
fn next(text: &str, mut from: usize, is_whole: bool) -> Option<Range<usize>> {
    loop {
        let colon = from + text.get(from..)?.find("://")?;
        let found =
            start_of_scheme(text, from, colon).and_then(|start| address_at(text, start, is_whole));
        if found.is_some() {
            return found;
        }
        from = colon + "://".len();
    }
}

fn start_of_scheme(text: &str, from: usize, colon: usize) -> Option<usize> {
    let start = SCHEMES.iter().find_map(|scheme| {
        let start = colon.checked_sub(scheme.len()).filter(|at| *at >= from)?;
        text.get(start..colon)?
            .eq_ignore_ascii_case(scheme)
            .then_some(start)
    })?;
    let mut before = text.get(..start)?.chars().rev();
    let is_free = match before.next() {
        // A quotation, not the attribute of a tag that the model wrote.
        Some('"' | '\'') => before.next() != Some('='),
        Some(c) => c.is_whitespace() || !c.is_ascii() || BEFORE.contains(c),
        None => true,
    };
    is_free.then_some(start)
}

/// The address that begins at `start`, if what is there can be one.
fn address_at(text: &str, start: usize, is_whole: bool) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    let is_end = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`');
    // What is far too long is not looked at to its end: thousands of such beginnings would take minutes.
    let near = rest.char_indices().take(MAX_ADDRESS + 1);
    let end = near.clone().find(|(_, c)| is_end(*c)).map(|(at, _)| at);
    let length = match end {
        Some(at) => at,
        None if near.count() <= MAX_ADDRESS && is_whole => rest.len(),
        None => return None,
    };
    let address = trim(rest.get(..length)?);
    let host = address.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let is_host = host.starts_with(|c: char| c.is_alphanumeric() || c == '[')
        && (host.contains(['.', '[']) || host.split(':').next() == Some("localhost"));
    (is_host && safe_address(address).is_some()).then_some(start..start + address.len())
}

/// Without the marks of the sentence around it.
fn trim(run: &str) -> &str {
    let count = |wanted: char| run.chars().filter(|c| *c == wanted).count();
    let mut unpaired = BRACKETS.map(|(open, close)| count(close).saturating_sub(count(open)));
    let mut length = run.len();
    for last in run.chars().rev() {
        let bracket = BRACKETS.iter().position(|(_, close)| *close == last);
        match bracket.and_then(|at| unpaired.get_mut(at)) {
            Some(left) if *left > 0 => *left -= 1,
            None if BEHIND.contains(last) => {}
            _ => break,
        }
        length -= last.len_utf8();
    }
    run.get(..length).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::{Inline, split};

    /// The addresses that are found; what is shown must be the text as it was.
    fn found(text: &str) -> Vec<String> {
        let parts = split(text, true).unwrap_or_default();
        let mut shown = String::new();
        let mut addresses = Vec::new();
        for part in parts {
            match part {
                Inline::Text(words) => shown += &words,
                Inline::Link { address, content } => {
                    assert_eq!(content, [Inline::Text(address.clone())]);
                    shown += &address;
                    addresses.push(address);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(addresses.is_empty() || shown == text, "{shown}");
        addresses
    }

    #[test]
    fn addresses_end_where_the_sentence_goes_on() {
        for (text, addresses) in [
            ("See https://example.org.", &["https://example.org"][..]),
            (
                "https://a.org/x_y_z?q=1&r=2#f, or",
                &["https://a.org/x_y_z?q=1&r=2#f"],
            ),
            ("(at http://a.org/b_(c))", &["http://a.org/b_(c)"]),
            (
                "[https://a.org]; HTTPS://B.ORG!",
                &["https://a.org", "HTTPS://B.ORG"],
            ),
            (
                "“https://a.org/é” 见https://b.org/。",
                &["https://a.org/é", "https://b.org/"],
            ),
            (
                "http://localhost:8080/x <https",
                &["http://localhost:8080/x"],
            ),
            (
                "http://[::1]:80/ \"https://a.org\"",
                &["http://[::1]:80/", "https://a.org"],
            ),
        ] {
            assert_eq!(found(text), addresses, "{text:?}");
        }
    }

    #[test]
    fn an_address_that_may_go_on_is_left() {
        assert_eq!(split("see https://example.or", false), None);
        let parts = split("https://a.org and https://b.or", false).unwrap_or_default();
        assert_eq!(parts.len(), 2, "{parts:?}");
    }

    #[test]
    fn what_is_no_plain_web_address_stays_text() {
        for text in [
            "",
            "://",
            "https://",
            "https://...",
            "https://nothing",
            "http:/a.org",
            "xhttps://a.org",
            "<a href=\"https://a.org\" title='https://b.org' src=https://c.org>",
            "javascript://https://a.org",
            "ftp://a.org file:///etc/passwd",
            "https://a.org\\@b.org",
            "https://a\u{200b}.org",
            "https://a.org/\u{202e}gpj.exe",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text:?}");
        }
    }
}
