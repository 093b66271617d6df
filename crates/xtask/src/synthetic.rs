//! Models of published shapes with random weights, made once in `target/synthetic`: for memory and speed, not for answers.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{e2e, shell};

/// Which model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model {
    /// As `crates/model/examples/synthetic_checkpoint.rs` calls it.
    pub(crate) shape: &'static str,
    pub(crate) layers: u32,
}

impl Model {
    /// The whole of BitNet 2B-4T: 1.18 GB as it is published, 0.85 GB as a package.
    pub(crate) const FULL_SIZE: Model = Model {
        shape: "2b-4t",
        layers: 30,
    };
    /// A package of a little more than 300 MB.
    pub(crate) const OF_300_MB: Model = Model {
        shape: "falcon-e-3b",
        layers: 8,
    };

    fn name(self) -> String {
        format!("{}-{}", self.shape, self.layers)
    }

    fn folder(self, what: &str) -> PathBuf {
        let folder = shell::target_dir().join("synthetic").join(what);
        folder.join(self.name())
    }

    /// The folder of the package.
    pub(crate) fn package(self) -> Result<PathBuf> {
        let package = self.folder("packages");
        if package.join("manifest.json").is_file() {
            return Ok(package);
        }
        let checkpoint = self.checkpoint()?;
        let mut convert = Command::new(e2e::program("tern")?);
        convert.current_dir(shell::root()).arg("convert");
        convert.args([&checkpoint, &package]);
        // The name and the licence that the app finds where the repository is served.
        convert.args(["--name", &self.name(), "--license", "mit", "--replace"]);
        shell::run(&mut convert)?;
        Ok(package)
    }

    /// The folder of the checkpoint, as people publish it: a repository.
    pub(crate) fn checkpoint(self) -> Result<PathBuf> {
        let folder = self.folder("checkpoints");
        if folder.is_dir() {
            return Ok(folder);
        }
        // Whole or not at all: it takes a while, and may be stopped.
        let partial = folder.with_file_name(format!("{}.partial", self.name()));
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        let mut cargo = shell::cargo(&["run", "--quiet", "--locked", "-p", "model"]);
        cargo.args([
            "--example",
            "synthetic_checkpoint",
            "--",
            "write",
            self.shape,
        ]);
        cargo.arg(&partial).arg(self.layers.to_string());
        shell::run(&mut cargo)?;
        fs::rename(partial, &folder)?;
        Ok(folder)
    }
}
