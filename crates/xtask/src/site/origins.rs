//! No file of the shell names a host that something could be fetched from. Names of XML vocabularies and of documentation are
//! addresses in form only, and are listed here one by one.

use anyhow::Result;

use super::{Problems, Site};

/// Files that people and browsers read as text.
const TEXT: [&str; 7] = [
    ".html",
    ".js",
    ".css",
    ".json",
    ".svg",
    ".webmanifest",
    ".txt",
];
/// Starts of addresses that nothing is fetched from.
const NAMES: [&str; 5] = [
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/1998/Math/MathML",
    "http://www.w3.org/1999/xlink",
    "http://www.w3.org/XML/1998/namespace",
    // A comment that wasm-bindgen writes into the glue of quick builds.
    "https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Operators/typeof#description",
];

pub(super) fn problems(site: &Site) -> Result<Problems> {
    let mut problems = Problems::new();
    for path in site
        .shell()
        .filter(|path| TEXT.iter().any(|end| path.ends_with(end)))
    {
        let text = String::from_utf8_lossy(&site.bytes(path)?).into_owned();
        for address in addresses(&text) {
            if !NAMES.iter().any(|name| address.starts_with(name)) {
                problems.push(format!("{path} names {address}"));
            }
        }
    }
    Ok(problems)
}

/// Everything that starts like an address of another host.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    ["http://", "https://", "ws://", "wss://"]
        .into_iter()
        .flat_map(move |scheme| {
            text.match_indices(scheme).map(move |(start, _)| {
                let rest = &text[start..];
                let end = rest
                    .find(|c: char| {
                        c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ')' | '\\')
                    })
                    .unwrap_or(rest.len());
                &rest[..end]
            })
        })
}

#[cfg(test)]
mod tests {
    use super::super::example::{assert_breaks, assert_passes, site_with};
    use super::*;

    #[test]
    fn other_hosts_are_named_and_vocabularies_are_not() {
        assert_passes("origins", problems);
        assert_breaks(
            "origins-broken",
            "start.js",
            "1",
            "fetch('https://example.org/x')",
            problems,
            "start.js names https://example.org/x",
        );
        let styled = site_with(
            "origins-css",
            "style-2.css",
            b"a{background:url(http://example.org/a.png)}",
        );
        assert_eq!(
            problems(&styled).unwrap(),
            ["style-2.css names http://example.org/a.png"]
        );
        let model = site_with(
            "origins-model",
            "models/m/README.txt",
            b"https://example.org",
        );
        assert_eq!(problems(&model).unwrap(), Problems::new());
    }
}
