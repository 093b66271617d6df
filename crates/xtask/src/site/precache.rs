//! The service worker's list: complete, with the right hashes, and free of models.

use anyhow::Result;
use sha2::{Digest as _, Sha256};

use super::{Problems, Site};
use crate::dist::{hex, shell_list};

pub(super) fn problems(site: &Site) -> Result<Problems> {
    let list = shell_list::read(&site.text("sw.js")?)?;
    let mut problems = Problems::new();
    for path in site.shell() {
        let name = if path == "index.html" {
            shell_list::PAGE
        } else {
            path
        };
        match list.files.get(name) {
            None => problems.push(format!("sw.js does not list {path}")),
            Some(listed) if *listed != hex(&Sha256::digest(site.bytes(path)?)) => {
                problems.push(format!("sw.js has another SHA-256 for {path}"));
            }
            Some(_) => {}
        }
    }
    for name in list.files.keys() {
        let path = if name == shell_list::PAGE {
            "index.html"
        } else {
            name
        };
        if !site.shell().any(|known| known == path) {
            problems.push(format!("sw.js lists {name}, which is no file of the shell"));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::super::example::{assert_breaks, assert_passes, site_with};
    use super::*;

    #[test]
    fn what_is_missing_changed_or_too_much_is_named() {
        assert_passes("precache", problems);
        assert_breaks(
            "precache-broken",
            "start.js",
            "1",
            "2",
            problems,
            "another SHA-256 for start.js",
        );
        assert_breaks(
            "precache-broken",
            "sw.js",
            "\"start.js\":",
            "\"start.mjs\":",
            problems,
            "does not list start.js",
        );
        assert_breaks(
            "precache-broken",
            "sw.js",
            "\"start.js\":",
            "\"models/w.bin\":\"\",\"start.js\":",
            problems,
            "no file of the shell",
        );
        let more = site_with("precache-more", "late.js", b"x");
        assert_eq!(problems(&more).unwrap(), ["sw.js does not list late.js"]);
    }
}
