//! `cargo xtask tidy`: rules about the repository that no compiler checks.
//!
//! Each rule returns what breaks it; all are reported at once.

mod budget;
mod commands;
mod layering;
mod named_tests;
mod text;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// One tracked file.
#[derive(Debug)]
pub(crate) struct Tracked {
    /// Path relative to the workspace root, with forward slashes.
    pub(crate) path: String,
    /// Length in bytes.
    pub(crate) bytes: u64,
    /// Content, if it is text that people write (data and model files are not read).
    pub(crate) text: Option<String>,
}

/// Checks everything and prints what breaks a rule.
pub(crate) fn run() -> Result<()> {
    let problems = problems()?;
    for problem in &problems {
        println!("tidy: {problem}");
    }
    if !problems.is_empty() {
        bail!(
            "{} broken {}",
            problems.len(),
            if problems.len() == 1 { "rule" } else { "rules" }
        );
    }
    Ok(())
}

fn problems() -> Result<Vec<String>> {
    let files = tracked()?;
    let mut problems = layering::problems()?;
    problems.extend(text::problems(&files));
    problems.extend(budget::problems(&files));
    problems.extend(commands::problems(&files));
    problems.extend(named_tests::problems(&files));
    Ok(problems)
}

/// Every tracked file that exists in the work tree.
fn tracked() -> Result<Vec<Tracked>> {
    let list = shell::output(shell::command("git").args(["ls-files", "-z"]))
        .context("tidy needs a git checkout")?;
    let root = shell::root();
    list.split('\0')
        .filter(|path| !path.is_empty())
        .filter(|path| root.join(path).is_file())
        .map(|path| read(&root, path))
        .collect()
}

fn read(root: &Path, path: &str) -> Result<Tracked> {
    let full: PathBuf = root.join(path);
    let bytes = full.metadata()?.len();
    let text = if is_data(path) {
        None
    } else {
        String::from_utf8(std::fs::read(&full)?).ok()
    };
    Ok(Tracked {
        path: path.to_owned(),
        bytes,
        text,
    })
}

/// Files that are content rather than something people write here.
fn is_data(path: &str) -> bool {
    let generated = path.starts_with("public/models/") || path.starts_with("tests/data/");
    (generated && !path.ends_with(".md")) || path == "Cargo.lock"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_told_from_text() {
        assert!(is_data("public/models/tern-135m/tokenizer.json"));
        assert!(!is_data("public/models/tern-135m/README.md"));
        assert!(!is_data("crates/model/src/lib.rs"));
    }

    #[test]
    fn the_repository_is_readable() {
        let files = tracked().unwrap();
        let own = files
            .iter()
            .find(|file| file.path == "crates/xtask/src/main.rs")
            .unwrap();
        assert!(own.text.as_deref().unwrap().contains("fn main"));
    }
}
