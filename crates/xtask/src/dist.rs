//! `cargo xtask dist`: the page, the worker and the public files in `dist/`, ready for any static host.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{shell, tools};

/// Options of `cargo xtask dist`.
#[derive(Debug, Default, Args)]
#[group(id = "dist")]
pub(crate) struct Options {
    /// Build quickly and large, without optimising the wasm files (the default is the release build)
    #[arg(long)]
    dev: bool,
}

/// Brings the tools, builds with trunk and copies `public/`.
pub(crate) fn run(options: &Options) -> Result<()> {
    tools::build()?;
    fetch()?;
    let mut trunk = shell::command("trunk");
    trunk.arg("build");
    if options.dev {
        trunk.args(["--release=false", "--cargo-profile=dev"]);
    }
    // Trunk reads NO_COLOR as a boolean and refuses the value 1 that everybody sets.
    trunk.env_remove("NO_COLOR");
    shell::run(&mut trunk)?;
    let dist = shell::root().join("dist");
    copy_folder(&shell::root().join("public"), &dist)?;
    let (files, bytes) = measure(&dist)?;
    println!(
        "dist: {files} files, {:.1} MiB",
        bytes as f64 / f64::from(1 << 20)
    );
    Ok(())
}

/// Downloads what the wasm build needs, since trunk itself builds offline.
fn fetch() -> Result<()> {
    let version = shell::output(shell::command("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc -vV names no host")?;
    shell::run(&mut shell::cargo(&[
        "fetch",
        "--quiet",
        "--locked",
        "--target",
        "wasm32-unknown-unknown",
        "--target",
        host,
    ]))
}

/// Copies the files below `from` to the same places below `to`.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot write {}", target.display()))?;
        }
    }
    Ok(())
}

/// Number and total length of the files below `folder`.
fn measure(folder: &Path) -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (files, bytes) = if entry.file_type()?.is_dir() {
            measure(&entry.path())?
        } else {
            (1, entry.metadata()?.len())
        };
        sum = (sum.0 + files, sum.1 + bytes);
    }
    Ok(sum)
}
