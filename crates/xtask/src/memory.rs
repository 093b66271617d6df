//! `cargo xtask memory`: what loading a large model takes, in Chromium. The measurement is `tests/e2e/memory.mjs`.

use std::fs;
use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::{dist, e2e, shell, tools};

/// Options of `cargo xtask memory`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measure dist/ as it is, without building
    #[arg(long)]
    no_build: bool,
    /// Layers of the synthetic model; fewer than the real model's 30 are for trying the measurement itself
    #[arg(long, default_value_t = 30)]
    layers: u32,
}

/// Makes the package (once), builds, measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        dist::run(&dist::Options::default())?;
    }
    let browser = tools::browser()?;
    let package = shell::target_dir()
        .join("memory")
        .join(format!("synthetic-{}", options.layers));
    if !package.join("manifest.json").is_file() {
        make(&package, options.layers)?;
    }
    let mut node = shell::command("node");
    node.arg(shell::e2e_dir().join("memory.mjs"));
    e2e::environment(&mut node, &browser);
    node.env("TERN_DIST", shell::root().join("dist"))
        .env("TERN_FAULTS", e2e::program("faults")?)
        .env("TERN_PACKAGE", package);
    shell::run(&mut node)
}

/// Writes a checkpoint of the model's shape with random weights and converts it.
fn make(package: &Path, layers: u32) -> Result<()> {
    let checkpoint = package.with_extension("checkpoint");
    for folder in [package, checkpoint.as_path()] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    fs::create_dir_all(&checkpoint)?;
    let example = |words: &[&str], folders: &[&Path], more: &[String]| {
        let mut cargo = shell::cargo(&["run", "--quiet", "--locked", "-p", "model"]);
        cargo.args(["--example", "synthetic_checkpoint", "--"]);
        cargo.args(words).args(folders).args(more);
        shell::run(&mut cargo)
    };
    example(&["write", "2b-4t"], &[&checkpoint], &[layers.to_string()])?;
    example(&["convert"], &[&checkpoint, package], &[])?;
    fs::remove_dir_all(checkpoint)?;
    Ok(())
}
