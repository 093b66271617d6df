//! How long browsers keep files: for ever where the name changes with the content, and never unasked where it does not.

use anyhow::Result;

use super::{Problems, Site};

const HEADERS: &str = "_headers";
/// Fewest digits of a hash in a name. Trunk writes 16 and leaves out leading zeros.
const MIN_DIGITS: usize = 10;

pub(super) fn problems(site: &Site) -> Result<Problems> {
    let headers = site.text(HEADERS)?;
    let lasting = patterns(&headers);
    let mut problems = Problems::new();
    for path in site.shell() {
        let kept = lasting.iter().any(|pattern| covers(pattern, path));
        match (is_hashed(path), kept) {
            (true, false) => problems.push(format!(
                "{path} has its hash in its name and no immutable rule in {HEADERS}"
            )),
            (false, true) => problems.push(format!(
                "{path} has no hash in its name, but {HEADERS} lets browsers keep it for ever"
            )),
            _ => {}
        }
    }
    Ok(problems)
}

/// The paths of a `_headers` file below which a rule says `immutable`.
fn patterns(text: &str) -> Vec<&str> {
    let mut path = "";
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with('/') {
            path = line;
        } else if line.contains("immutable") {
            found.push(path);
        }
    }
    found
}

fn covers(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_start_matches('/');
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    }
}

/// Whether a name is `name-HASH.end` or `name-HASH_bg.end`.
fn is_hashed(path: &str) -> bool {
    let stem = path.split('.').next().unwrap_or_default();
    stem.rsplit_once('-').is_some_and(|(_, hash)| {
        let hash = hash.trim_end_matches("_bg");
        hash.len() >= MIN_DIGITS && hash.chars().all(|c| c.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::super::example::{assert_breaks, assert_passes, site_with};
    use super::*;

    #[test]
    fn names_with_a_hash_and_no_others_are_kept() {
        assert_passes("caching", problems);
        for (path, complaint) in [
            ("part-0123456789abcdef.css", true),
            ("app-123456789abcdef.js", false),
            ("app-0123456789abcdef_bg.wasm", false),
            ("icon-maskable-512.png", false),
            ("app-loader.js", true),
        ] {
            let site = site_with("caching-more", path, b"");
            assert_eq!(
                problems(&site).unwrap().len(),
                usize::from(complaint),
                "{path}"
            );
        }
        assert_breaks(
            "caching-broken",
            HEADERS,
            "/app-*",
            "/*",
            problems,
            "start.js has no hash",
        );
    }
}
