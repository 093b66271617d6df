//! Programs from crates.io at pinned versions.

use std::process::Command;

use anyhow::Result;

use crate::shell;

/// One program that `cargo install` builds.
#[derive(Debug)]
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
    version: &'static str,
    /// Whether exactly this version is needed, or any will do.
    exact: bool,
    /// Whether the lock file the package ships can be used.
    locked: bool,
    /// How long building it takes on two cores, so that nobody thinks it hangs.
    minutes: u32,
}

/// For building the app.
pub(crate) const BUILD: [Tool; 2] = [
    // 0.21.14 is the last trunk that our compiler builds.
    Tool {
        program: "trunk",
        package: "trunk",
        version: "0.21.14",
        exact: true,
        locked: true,
        minutes: 10,
    },
    // Must equal the library's version. Its own lock file names a version that is no longer to be had.
    Tool {
        program: "wasm-bindgen",
        package: "wasm-bindgen-cli",
        version: "0.2.130",
        exact: true,
        locked: false,
        minutes: 5,
    },
];

/// For running the tests.
pub(crate) const CHECK: [Tool; 1] = [Tool {
    program: "cargo-nextest",
    package: "cargo-nextest",
    version: "0.9.143",
    exact: false,
    locked: true,
    minutes: 10,
}];

/// Builds the tools that are missing or have another version.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    for tool in tools {
        let found = installed_version(tool);
        let fits = found
            .as_deref()
            .is_some_and(|version| !tool.exact || version == tool.version);
        if fits {
            continue;
        }
        println!(
            "tools: building {} {} ({}; about {} minutes on two cores)",
            tool.package,
            tool.version,
            found.as_deref().map_or_else(
                || "not installed".to_owned(),
                |version| format!("found {version}")
            ),
            tool.minutes
        );
        let spec = format!("{}@{}", tool.package, tool.version);
        let mut install = shell::cargo(&["install", &spec]);
        if tool.locked {
            install.arg("--locked");
        }
        if found.is_some() {
            // Somebody's own version stays as it is: ours goes beside it, inside the target folder.
            install.arg("--root").arg(shell::tools_dir());
        }
        shell::run(&mut install)?;
    }
    Ok(())
}

/// The version a program reports: the first word of `--version` that starts with a digit.
fn installed_version(tool: &Tool) -> Option<String> {
    let path = shell::find(tool.program)?;
    let mut command = Command::new(path);
    if tool.program.starts_with("cargo-") {
        command.arg(tool.program.trim_start_matches("cargo-"));
    }
    let text = shell::output(command.arg("--version")).ok()?;
    version_in(&text).map(str::to_owned)
}

fn version_in(text: &str) -> Option<&str> {
    text.split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_what_programs_print() {
        assert_eq!(version_in("trunk 0.21.14\n"), Some("0.21.14"));
        assert_eq!(
            version_in("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143"),
            Some("0.9.143")
        );
        assert_eq!(version_in("unknown"), None);
    }

    #[test]
    fn pinned_versions_agree_with_the_files_that_repeat_them() {
        let trunk = std::fs::read_to_string(shell::root().join("Trunk.toml")).unwrap();
        let lock = std::fs::read_to_string(shell::root().join("Cargo.lock")).unwrap();
        assert!(trunk.contains(&format!("trunk-version = \"{}\"", BUILD[0].version)));
        assert!(trunk.contains(&format!("wasm_bindgen = \"{}\"", BUILD[1].version)));
        let locked = format!(
            "name = \"wasm-bindgen\"\nversion = \"{}\"",
            BUILD[1].version
        );
        assert!(
            !lock.contains("name = \"wasm-bindgen\"\n") || lock.contains(&locked),
            "Cargo.lock has another wasm-bindgen"
        );
    }
}
