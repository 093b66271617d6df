//! `cargo xtask site`: whether `dist/` can be installed, works offline, and keeps to its policies. What browsers judge only by
//! behaving differently is checked here by name.

mod caching;
mod icons;
mod manifest;
mod origins;
mod page;
mod policies;
mod precache;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::{dist, shell};

/// A built site.
#[derive(Debug)]
struct Site {
    folder: PathBuf,
    /// Paths of all files, relative to the folder.
    files: Vec<String>,
}

/// What is wrong, one line each.
type Problems = Vec<String>;

/// A check by its name.
type Check = (&'static str, fn(&Site) -> Result<Problems>);

const CHECKS: [Check; 7] = [
    ("manifest", manifest::problems),
    ("icons", icons::problems),
    ("page", page::problems),
    ("policies", policies::problems),
    ("caching", caching::problems),
    ("precache", precache::problems),
    ("origins", origins::problems),
];

/// Checks `dist/`, prints a line for each check, and fails when something is wrong.
pub(crate) fn run() -> Result<()> {
    let folder = shell::root().join("dist");
    anyhow::ensure!(
        folder.join("index.html").is_file(),
        "dist/index.html is missing; run `cargo xtask dist` first"
    );
    let site = Site::open(folder)?;
    let mut count = 0;
    for (name, check) in CHECKS {
        let problems =
            check(&site).with_context(|| format!("the check of {name} could not be made"))?;
        println!(
            "site: {name:9} {}",
            if problems.is_empty() { "ok" } else { "WRONG" }
        );
        for problem in &problems {
            println!("  {problem}");
        }
        count += problems.len();
    }
    if count > 0 {
        bail!("{count} problems of the site in dist/");
    }
    Ok(())
}

impl Site {
    fn open(folder: PathBuf) -> Result<Self> {
        let files = dist::files_below(&folder)?;
        Ok(Self { folder, files })
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        fs::read(self.folder.join(path)).with_context(|| format!("cannot read dist/{path}"))
    }

    fn text(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.folder.join(path))
            .with_context(|| format!("cannot read dist/{path}"))
    }

    fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file == path)
    }

    /// Paths of the shell's files: all but models and what only hosts read.
    fn shell(&self) -> impl Iterator<Item = &str> {
        self.files
            .iter()
            .map(String::as_str)
            .filter(|path| dist::shell_list::is_shell(path))
    }
}

/// A small site that passes, and ways to break it, for the tests of the checks.
#[cfg(test)]
mod example;
