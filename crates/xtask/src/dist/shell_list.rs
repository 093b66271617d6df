//! The service worker's list: every file of the shell with its SHA-256, written into `dist/sw.js`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::hex;
use crate::policy;

/// Start of the line of `public/sw.js` that the build replaces.
const MARK: &str = "const SHELL = ";
/// The name of index.html in the list: hosts redirect the long name to the short one, and a redirect can't be kept.
pub(crate) const PAGE: &str = "./";

/// What `sw.js` calls SHELL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShellList {
    /// Name of this version: a hash over everything below and over the service worker's own text.
    pub(crate) version: String,
    /// Path to SHA-256, in hexadecimal.
    pub(crate) files: BTreeMap<String, String>,
    /// Path to Content-Security-Policy, for the files that are pages or workers.
    pub(crate) policies: BTreeMap<String, String>,
}

/// Writes the list of the files in `dist` into `dist/sw.js`, which must still be the one from `public/`.
pub(crate) fn write(dist: &Path) -> Result<ShellList> {
    let path = dist.join("sw.js");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let list = list(dist, &text)?;
    fs::write(&path, replace(&text, &list)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(list)
}

/// Reads the list out of a built `sw.js`.
pub(crate) fn read(text: &str) -> Result<ShellList> {
    let line = marked_line(text)?;
    let json = line.trim_start_matches(MARK).trim_end_matches(';');
    serde_json::from_str(json)
        .context("sw.js: the list is no JSON; it was not built by `cargo xtask dist`")
}

fn list(dist: &Path, worker_text: &str) -> Result<ShellList> {
    let mut files = BTreeMap::new();
    for path in super::files_below(dist)? {
        if !is_shell(&path) {
            continue;
        }
        let bytes = fs::read(dist.join(&path)).with_context(|| format!("cannot read {path}"))?;
        let name = if path == "index.html" {
            PAGE.to_owned()
        } else {
            path
        };
        files.insert(name, hex(&Sha256::digest(&bytes)));
    }
    let policies: BTreeMap<String, String> = [
        (PAGE, policy::page_header()),
        ("worker_loader.js", policy::WORKER.to_owned()),
        ("reader.js", policy::READER.to_owned()),
    ]
    .map(|(path, policy)| (path.to_owned(), policy))
    .into();
    let mut hash = Sha256::new();
    hash.update(worker_text);
    hash.update(serde_json::to_string(&(&files, &policies))?);
    let version = hex(&hash.finalize())[..16].to_owned();
    Ok(ShellList {
        version,
        files,
        policies,
    })
}

/// Whether a file of `dist/` is kept for offline use: not the models, not the service worker itself, not what only hosts read.
pub(crate) fn is_shell(path: &str) -> bool {
    !path.starts_with("models/") && path != "sw.js" && !path.starts_with(['_', '.'])
}

fn replace(text: &str, list: &ShellList) -> Result<String> {
    let new = format!("{MARK}{};", serde_json::to_string(list)?);
    Ok(text.replacen(marked_line(text)?, &new, 1))
}

/// The one line with the mark.
fn marked_line(text: &str) -> Result<&str> {
    let mut lines = text.lines().filter(|line| line.starts_with(MARK));
    let line = lines
        .next()
        .with_context(|| format!("sw.js has no line that starts with `{MARK}`"))?;
    anyhow::ensure!(
        lines.next().is_none(),
        "sw.js has two lines that start with `{MARK}`"
    );
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
        let dist = crate::shell::target_dir().join("tmp").join(name);
        fs::remove_dir_all(&dist).ok();
        for (path, text) in files {
            fs::create_dir_all(dist.join(path).parent().unwrap()).unwrap();
            fs::write(dist.join(path), text).unwrap();
        }
        dist
    }

    #[test]
    fn everything_but_models_and_host_files_is_listed_with_its_hash() {
        let worker = fs::read_to_string(crate::shell::root().join("public/sw.js")).unwrap();
        let dist = site(
            "shell-list",
            &[
                ("index.html", "<!doctype html>"),
                ("app-1.js", ""),
                ("models/m/weights.bin", "w"),
                ("_headers", "h"),
                (".nojekyll", ""),
                ("sw.js", &worker),
            ],
        );
        let list = write(&dist).unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(list.files.keys().collect::<Vec<_>>(), [PAGE, "app-1.js"]);
        assert_eq!(list.files["app-1.js"], empty);
        let built = fs::read_to_string(dist.join("sw.js")).unwrap();
        assert_eq!(read(&built).unwrap(), list);
        assert_eq!(built.lines().count(), worker.lines().count());
    }

    #[test]
    fn the_version_changes_with_a_file_and_with_the_worker() {
        let version = |page: &str, worker: &str| {
            let text = format!("{MARK}{{}};\n{worker}");
            let dist = site("shell-version", &[("index.html", page), ("sw.js", &text)]);
            write(&dist).unwrap().version
        };
        let first = version("a", "1");
        assert_eq!(first, version("a", "1"));
        assert_ne!(first, version("b", "1"));
        assert_ne!(first, version("a", "2"));
    }

    #[test]
    fn a_worker_without_the_line_or_with_two_is_refused() {
        for text in ["", "const SHELL = {};\nconst SHELL = {};\n"] {
            let dist = site("shell-mark", &[("sw.js", text)]);
            assert!(write(&dist).is_err(), "{text:?}");
        }
    }
}
