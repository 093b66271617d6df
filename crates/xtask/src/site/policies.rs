//! The policies: index.html, `_headers` and the service worker say the same, and they are the ones of `policy.rs`.

use anyhow::Result;

use super::{Problems, Site, page};
use crate::dist::shell_list;
use crate::policy;

const HEADERS: &str = "_headers";
const NAME: &str = "Content-Security-Policy";

pub(super) fn problems(site: &Site) -> Result<Problems> {
    let mut problems = Problems::new();
    let mut want = |place: &str, expected: &str, found: Option<&str>| {
        if found != Some(expected) {
            let found = found.unwrap_or("nothing");
            problems.push(format!("{place}: expected {expected:?}, got {found:?}"));
        }
    };
    let tags = page::tags(site)?;
    let meta = tags
        .iter()
        .position(|tag| tag.get("http-equiv") == Some(NAME));
    want(
        "index.html",
        policy::PAGE,
        meta.and_then(|index| tags[index].get("content")),
    );

    let page_header = policy::page_header();
    let headers = site.text(HEADERS)?;
    for (path, expected) in [
        ("/", page_header.as_str()),
        ("/index.html", &page_header),
        ("/worker_loader.js", policy::WORKER),
        ("/reader.js", policy::READER),
    ] {
        want(
            &format!("{HEADERS}: {path}"),
            expected,
            header(&headers, path),
        );
    }
    let list = shell_list::read(&site.text("sw.js")?)?;
    for (path, expected) in [
        (shell_list::PAGE, page_header.as_str()),
        ("worker_loader.js", policy::WORKER),
        ("reader.js", policy::READER),
    ] {
        want(
            &format!("sw.js: {path}"),
            expected,
            list.policies.get(path).map(String::as_str),
        );
    }

    // A policy counts from its element on: what stands before it is loaded without one.
    let first = tags
        .iter()
        .position(|tag| matches!(tag.name.as_str(), "link" | "script"));
    if meta.zip(first).is_some_and(|(meta, first)| first < meta) {
        problems.push("index.html: something is loaded before the policy is set".to_owned());
    }
    Ok(problems)
}

/// The policy below the line `path` of a `_headers` file.
fn header<'a>(text: &'a str, path: &str) -> Option<&'a str> {
    let start = format!("{NAME}: ");
    text.lines()
        .skip_while(|line| *line != path)
        .skip(1)
        .take_while(|line| line.starts_with([' ', '\t']))
        .find_map(|line| line.trim().strip_prefix(&start))
}

#[cfg(test)]
mod tests {
    use super::super::example::{assert_breaks, assert_passes};
    use super::*;

    #[test]
    fn every_place_says_the_same() {
        assert_passes("policies", problems);
        for (file, from, to, words) in [
            (
                "index.html",
                "img-src 'self'",
                "img-src *",
                "index.html: expected",
            ),
            ("index.html", NAME, "other", "got \"nothing\""),
            (
                "index.html",
                "<meta http-equiv",
                "<link href=\"icon.svg\" /><meta http-equiv",
                "before the policy",
            ),
            (
                HEADERS,
                "/index.html\n",
                "/other\n",
                "_headers: /index.html",
            ),
            (
                HEADERS,
                "https://*.hf.co",
                "https:",
                "_headers: /worker_loader.js",
            ),
            (
                "sw.js",
                "frame-ancestors 'none'",
                "frame-ancestors *",
                "sw.js: ./",
            ),
        ] {
            assert_breaks("policies-broken", file, from, to, problems, words);
        }
    }
}
