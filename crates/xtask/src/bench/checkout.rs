//! The two sides of a comparison: the working tree, and another commit in a git worktree of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::shell;

/// Digits of a commit's hash that name its folder.
const SHORT: usize = 12;

/// What is built and measured.
#[derive(Debug)]
pub(super) struct Side {
    /// What people call it: `working tree`, or the short hash.
    pub(super) title: String,
    /// Full hash of the commit that is checked out.
    pub(super) commit: String,
    /// Whether files differ from that commit.
    pub(super) is_dirty: bool,
    /// The program, after [`Side::build`].
    pub(super) program: PathBuf,
    /// Root of its workspace.
    folder: PathBuf,
    /// Cargo's target folder for it.
    target: PathBuf,
}

/// Which commit to compare with, and why that one.
#[derive(Debug, PartialEq, Eq)]
struct Choice<'a> {
    revision: &'a str,
    reason: &'static str,
}

impl Side {
    /// The commit and what was done to it since.
    pub(super) fn describe(&self) -> String {
        let changes = if self.is_dirty {
            " with uncommitted changes"
        } else {
            ""
        };
        format!("{}{changes}", short(&self.commit))
    }

    /// Builds `tern` as it is released.
    pub(super) fn build(&mut self) -> Result<()> {
        println!("bench: building tern of {}", self.title);
        // The same compiler on both sides, whatever the other commit's rust-toolchain.toml says: `CARGO` is a toolchain's own.
        let mut cargo = shell::cargo(&["build", "--quiet", "--locked", "--release", "--bin"]);
        cargo
            .arg("tern")
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target);
        shell::run(&mut cargo).with_context(|| format!("cannot build tern of {}", self.title))?;
        let built = self.target.join("release/tern");
        // A copy, since somebody may go on working, and building, while it is measured.
        self.program = folder().join(format!("tern-{}", self.title.replace(' ', "-")));
        fs::create_dir_all(folder())?;
        if self.program.exists() {
            fs::remove_file(&self.program)?;
        }
        fs::copy(&built, &self.program)
            .with_context(|| format!("cannot copy {}", built.display()))?;
        Ok(())
    }
}

/// Where all that this command keeps lies.
pub(super) fn folder() -> PathBuf {
    shell::target_dir().join("bench")
}

/// The working tree as it is now.
pub(super) fn working_tree() -> Result<Side> {
    let root = shell::root();
    Ok(Side {
        title: "working tree".to_owned(),
        commit: git(&root, &["rev-parse", "HEAD"]).context("bench needs a git checkout")?,
        is_dirty: has_changes(&root)?,
        program: PathBuf::new(),
        folder: root,
        target: shell::target_dir(),
    })
}

/// The commit to compare with, checked out below `target/bench`.
pub(super) fn other(given: Option<&str>, tree: &Side) -> Result<Side> {
    let Choice { revision, reason } = choose(given, tree.is_dirty);
    let commit = git(
        &shell::root(),
        &[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("{revision}^{{commit}}"),
        ],
    )
    .with_context(|| format!("there is no commit `{revision}`; name one with --compare REV"))?;
    let title = short(&commit).to_owned();
    println!("bench: compared with {title} ({revision}: {reason})");
    let folder = folder().join(&title);
    check_out(&commit, &folder)?;
    Ok(Side {
        title,
        commit,
        is_dirty: false,
        program: PathBuf::new(),
        target: folder.join("target"),
        folder,
    })
}

/// What was asked for; else the commit that the newest change is a change of.
fn choose(given: Option<&str>, is_dirty: bool) -> Choice<'_> {
    let (revision, reason) = match (given, is_dirty) {
        (Some(revision), _) => (revision, "as asked"),
        (None, true) => (
            "HEAD",
            "the last commit, since there are uncommitted changes",
        ),
        (None, false) => (
            "HEAD~1",
            "the commit before the last, since nothing is uncommitted",
        ),
    };
    Choice { revision, reason }
}

/// Makes the worktree, or sees that the one of an earlier run is still what it was.
fn check_out(commit: &str, folder: &Path) -> Result<()> {
    // Without this file git would find the repository around the folder.
    if !folder.join(".git").exists() {
        // Forced, since `cargo clean` removes worktrees that git still knows.
        let mut add = shell::command("git");
        add.args(["worktree", "add", "--quiet", "--detach", "--force"]);
        return shell::run(add.arg(folder).arg(commit))
            .with_context(|| format!("cannot check out {commit}"));
    }
    let remedy = || {
        format!(
            "remove it with `git worktree remove --force {}`",
            folder.display()
        )
    };
    let found = git(folder, &["rev-parse", "HEAD"]).with_context(remedy)?;
    ensure!(
        found == commit && !has_changes(folder)?,
        "the checkout of {commit} was changed; {}",
        remedy()
    );
    Ok(())
}

/// Whether tracked files differ from the commit. A new file alone is in no build.
fn has_changes(folder: &Path) -> Result<bool> {
    Ok(!git(folder, &["status", "--porcelain", "--untracked-files=no"])?.is_empty())
}

fn git(folder: &Path, args: &[&str]) -> Result<String> {
    let output = shell::output(shell::command("git").current_dir(folder).args(args))?;
    Ok(output.trim().to_owned())
}

fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_commit_is_the_one_before_the_newest_change() {
        for (given, is_dirty, expected) in [
            (None, false, "HEAD~1"),
            (None, true, "HEAD"),
            (Some("v1"), false, "v1"),
            (Some("v1"), true, "v1"),
        ] {
            let choice = choose(given, is_dirty);
            assert_eq!(choice.revision, expected, "{given:?}, {is_dirty}");
        }
        assert_ne!(choose(None, false).reason, choose(None, true).reason);
    }

    #[test]
    fn a_revision_that_is_not_there_is_named() {
        let tree = working_tree().unwrap();
        let error = other(Some("no-such-revision"), &tree).unwrap_err();
        assert!(
            format!("{error:#}").contains("`no-such-revision`"),
            "{error:#}"
        );
    }

    #[test]
    fn changes_are_told_with_the_commit() {
        let mut tree = working_tree().unwrap();
        assert_eq!(tree.commit.len(), 40);
        tree.is_dirty = true;
        assert_eq!(
            tree.describe(),
            format!("{} with uncommitted changes", &tree.commit[..SHORT])
        );
        tree.is_dirty = false;
        assert_eq!(tree.describe(), tree.commit[..SHORT]);
        assert_eq!(short("abc"), "abc");
    }
}
