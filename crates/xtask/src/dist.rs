//! `cargo xtask dist`: the page, the worker and the public files in `dist/`, ready for any static host.

mod build_id;
pub(crate) mod shell_list;

use std::env;
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

/// Brings the tools, builds with trunk, copies `public/`, and tells the service worker what there is.
pub(crate) fn run(options: &Options) -> Result<()> {
    tools::build()?;
    fetch()?;
    let mut trunk = shell::command("trunk");
    trunk.arg("build");
    if options.dev {
        trunk.args(["--release=false", "--cargo-profile=dev"]);
    } else if env::var_os(build_id::VARIABLE).is_none() {
        // A quick build keeps the name `dev`: a new name for every change would have the worker linked again each time.
        trunk.env(build_id::VARIABLE, build_id::of(&shell::root())?);
    }
    // Trunk reads NO_COLOR as a boolean and refuses the value 1 that everybody sets.
    trunk.env_remove("NO_COLOR");
    shell::run(&mut trunk)?;
    let dist = shell::root().join("dist");
    copy_folder(&shell::root().join("public"), &dist)?;
    // GitHub Pages would otherwise leave out files whose names start with an underscore.
    fs::write(dist.join(".nojekyll"), "").context("cannot write dist/.nojekyll")?;
    let list = shell_list::write(&dist)?;
    let (shell_bytes, bytes) = measure(&dist)?;
    println!(
        "dist: {:.1} MiB; the shell, version {}, is {} files of {:.1} MiB",
        mib(bytes),
        list.version,
        list.files.len(),
        mib(shell_bytes)
    );
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Bytes in lower case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

/// Length of the shell's files, and of all files below `dist`.
fn measure(dist: &Path) -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for path in files_below(dist)? {
        let bytes = fs::metadata(dist.join(&path))?.len();
        sum.1 += bytes;
        if shell_list::is_shell(&path) {
            sum.0 += bytes;
        }
    }
    Ok(sum)
}

/// Paths of all files below `folder`, relative to it and with `/` between the names, sorted.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(below) = folders.pop() {
        let path = folder.join(&below);
        for entry in
            fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?
        {
            let entry = entry?;
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push(name + "/");
            } else {
                files.push(name);
            }
        }
    }
    files.sort();
    Ok(files)
}
