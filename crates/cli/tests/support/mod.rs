//! Runs the built `tern` and makes packages for it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fixtures::TempDir;

/// A command of the built binary, with no logging.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tern"));
    command.args(args).env_remove("RUST_LOG");
    // Mesa's device selection layer looks for a Wayland display and complains on stderr when there is no session.
    command.env("NODEVICE_SELECT", "1");
    command
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// Runs `tern`.
pub(crate) fn tern(args: &[&str]) -> Ran {
    command(args).output().unwrap().into()
}

/// Runs `tern`, which must succeed, and returns its standard output.
pub(crate) fn tern_ok(args: &[&str]) -> String {
    let ran = tern(args);
    assert_eq!(ran.code, Some(0), "tern {args:?}: {}", ran.stderr);
    ran.stdout
}

/// Runs `tern`, which must refuse its input with exit code 2 and one line, and returns that line.
pub(crate) fn tern_refuses(args: &[&str]) -> String {
    let ran = tern(args);
    assert_eq!(
        ran.code,
        Some(2),
        "tern {args:?}: {} {}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(ran.stdout, "", "tern {args:?}");
    let line = ran.stderr.strip_suffix('\n').unwrap_or(&ran.stderr);
    assert!(
        line.starts_with("error: ") && !line.contains('\n'),
        "tern {args:?}: {:?}",
        ran.stderr
    );
    line.to_owned()
}

/// Converts a fixture into `folder/package` and returns its path.
pub(crate) fn package(folder: &TempDir, checkpoint: &str, options: &[&str]) -> PathBuf {
    let package = folder.path().join("package");
    let input = fixtures::path(checkpoint);
    tern_ok(&[&["convert", str(&input), str(&package)], options].concat());
    package
}

/// Names of the files in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A path as text.
pub(crate) fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}
