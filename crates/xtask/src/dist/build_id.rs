//! The name of a build, which page and worker tell each other (`protocol::BUILD`): a hash over the files it is made from.
//!
//! It is a content hash and not a commit, so that a change of a document neither rebuilds anything nor offers an update to
//! anybody, and a change that is not committed counts.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// The variable that crate `protocol` reads at compile time.
pub(super) const VARIABLE: &str = "TERN_BUILD";

/// What goes into the page and the worker: files, and folders with everything below them.
const INPUTS: [&str; 11] = [
    "Cargo.lock",
    "Cargo.toml",
    "Trunk.toml",
    "app",
    "crates/model",
    "crates/protocol",
    "crates/text",
    "engine",
    "rust-toolchain.toml",
    "shaders",
    "worker",
];
/// Folders below these that go into no build.
const NO_INPUT: [&str; 4] = ["tests", "benches", "target", "node_modules"];

/// The name of the build that the files below `root` make, as 16 hexadecimal digits.
pub(super) fn of(root: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for input in INPUTS {
        add(root, input, &mut hash)?;
    }
    Ok(super::hex(&hash.finalize())[..16].to_owned())
}

/// Adds a file's path, length and bytes, or those of all files of a folder in the order of their names.
fn add(root: &Path, relative: &str, hash: &mut Sha256) -> Result<()> {
    let path = root.join(relative);
    if !path.is_dir() {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        hash.update(format!("{relative}\n{}\n", bytes.len()));
        hash.update(&bytes);
        return Ok(());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for name in names.iter().filter(|name| is_input(name)) {
        add(root, &format!("{relative}/{name}"), hash)?;
    }
    Ok(())
}

/// Tests, documents, and what editors leave behind change nothing that is built.
fn is_input(name: &str) -> bool {
    !NO_INPUT.contains(&name)
        && !name.starts_with('.')
        && !name.ends_with('~')
        && !name.ends_with(".md")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree in which every input exists.
    fn tree(name: &str) -> std::path::PathBuf {
        let root = crate::shell::target_dir().join("tmp").join(name);
        fs::remove_dir_all(&root).ok();
        for input in INPUTS {
            let file = if Path::new(input).extension().is_some() {
                root.join(input)
            } else {
                root.join(input).join("src/lib.rs")
            };
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, input).unwrap();
        }
        root
    }

    #[test]
    fn the_same_files_have_the_same_name_and_documents_do_not_matter() {
        let root = tree("build-id-same");
        let name = of(&root).unwrap();
        assert_eq!(name.len(), 16);
        for other in [
            "README.md",
            "docs/A.md",
            "engine/NOTES.md",
            "engine/tests/a.rs",
            "app/.a.swp",
        ] {
            fs::create_dir_all(root.join(other).parent().unwrap()).unwrap();
            fs::write(root.join(other), "text").unwrap();
            assert_eq!(of(&root).unwrap(), name, "{other}");
        }
    }

    #[test]
    fn every_change_of_an_input_changes_the_name() {
        let root = tree("build-id-change");
        let mut seen = std::collections::BTreeSet::from([of(&root).unwrap()]);
        for (path, text) in [
            ("Cargo.lock", "other"),
            ("worker/src/lib.rs", "other"),
            ("shaders/new.wgsl", ""),
            ("app/style.css", "a"),
            ("app/style.css", "b"),
        ] {
            fs::write(root.join(path), text).unwrap();
            assert!(seen.insert(of(&root).unwrap()), "{path}");
        }
        fs::rename(root.join("app/style.css"), root.join("app/boot.css")).unwrap();
        assert!(seen.insert(of(&root).unwrap()), "a renamed file");
    }

    #[test]
    fn all_inputs_are_there() {
        of(&crate::shell::root()).unwrap();
    }
}
