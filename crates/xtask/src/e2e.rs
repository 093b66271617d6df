//! `cargo xtask e2e`: the built page in a real browser. The specs are in tests/e2e.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::tools::{self, Browser};
use crate::{dist, shell};

/// The fixture that the small model of some specs is converted from, and its folder below `target/e2e/models`.
const SMALL_MODEL: (&str, &str) = ("g256/packed", "g256");
/// The default model, below `public/`.
const DEFAULT_MODEL: &str = "public/models/tern-135m";

/// Options of `cargo xtask e2e`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Test dist/ as it is, without building
    #[arg(long)]
    no_build: bool,
    /// Specs to run, by name without the ending; all if none is given
    specs: Vec<String>,
}

/// Options of `cargo xtask screenshots`.
#[derive(Debug, Args)]
#[group(id = "screenshots")]
pub(crate) struct Screenshots {
    /// Take pictures of dist/ as it is, without building
    #[arg(long)]
    no_build: bool,
    /// States to show, by the names in tests/e2e/states.mjs; all if none is given
    states: Vec<String>,
}

/// Builds and tests.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        dist::run(&dist::Options::default())?;
    }
    test(&options.specs)
}

/// Tests `dist/` as it is.
pub(crate) fn test(specs: &[String]) -> Result<()> {
    let files = spec_files(specs)?;
    let mut node = node()?;
    node.args(["--test", "--test-concurrency=1", "--test-reporter=spec"])
        .args(files);
    shell::run(&mut node)
}

/// Takes pictures of every screen into `target/screenshots`.
pub(crate) fn screenshots(options: &Screenshots) -> Result<()> {
    if !options.no_build {
        dist::run(&dist::Options::default())?;
    }
    let mut node = node()?;
    node.env("TERN_SCREENSHOTS", shell::target_dir().join("screenshots"))
        .arg(shell::e2e_dir().join("screenshots.mjs"))
        .args(&options.states);
    shell::run(&mut node)
}

/// Node with what the specs need: a browser, the built site, the models and the native program.
pub(crate) fn node() -> Result<Command> {
    let browser = tools::browser()?;
    let work = shell::target_dir().join("e2e");
    fs::create_dir_all(&work)?;
    small_model(&work.join("models"))?;
    repositories(&work.join("repositories"))?;
    let mut node = shell::command("node");
    environment(&mut node, &browser);
    node.env("TERN_DIST", shell::root().join("dist"))
        .env("TERN_WORK", &work)
        .env("TERN_CLI", program("tern")?)
        .env("TERN_FAULTS", program("faults")?)
        .env("TERN_DEFAULT_MODEL", shell::root().join(DEFAULT_MODEL));
    Ok(node)
}

/// How the specs learn which browser to start.
pub(crate) fn environment(node: &mut Command, browser: &Browser) {
    let variables = browser
        .env
        .iter()
        .filter(|(name, _)| *name != "TERN_CHROMIUM");
    let mut json: serde_json::Map<String, serde_json::Value> = variables
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    // Lavapipe compiles our kernels for half a minute. As in a person's browser, what was compiled once is kept; each
    // browser of a spec has a home of its own and would begin anew, and so would each GPU process after a crash.
    let cache = shell::target_dir().join("e2e").join("shader-cache");
    // Without its folder Mesa goes without, which is only slow.
    let _made = fs::create_dir_all(&cache);
    json.insert(
        "MESA_SHADER_CACHE_DIR".to_owned(),
        cache.to_string_lossy().into(),
    );
    node.env("TERN_BROWSER", &browser.program)
        .env("TERN_BROWSER_PLAIN", &browser.plain)
        .env("TERN_BROWSER_GPU", browser.gpu.name())
        .env(
            "TERN_BROWSER_ENV",
            serde_json::Value::Object(json).to_string(),
        );
}

/// The spec files that `names` mean.
fn spec_files(names: &[String]) -> Result<Vec<PathBuf>> {
    let folder = shell::e2e_dir().join("specs");
    if !names.is_empty() {
        let files: Vec<PathBuf> = names
            .iter()
            .map(|name| folder.join(format!("{name}.spec.mjs")))
            .collect();
        if let Some(missing) = files.iter().find(|file| !file.is_file()) {
            anyhow::bail!("no spec {}", missing.display());
        }
        return Ok(files);
    }
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with(".spec.mjs"))
        .collect();
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{} holds no spec", folder.display());
    Ok(files)
}

/// A native program of this checkout: `tern`, or `faults`, the test server.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    shell::run(&mut shell::cargo(&[
        "build",
        "--quiet",
        "--locked",
        // The whole workspace's features, so that the dependencies that `check` built are used again.
        "--workspace",
        "--bin",
        name,
    ]))?;
    Ok(shell::target_dir().join("debug").join(name))
}

/// Converts the small fixture into a package that the test server offers beside the default model.
fn small_model(models: &std::path::Path) -> Result<()> {
    let (fixture, name) = SMALL_MODEL;
    let package = models.join(name);
    if package.exists() {
        // Made by another build perhaps: conversion takes a moment, a stale package costs an afternoon.
        fs::remove_dir_all(&package)?;
    }
    fs::create_dir_all(models)?;
    let tern = program("tern")?;
    shell::run(
        Command::new(tern)
            .current_dir(shell::root())
            .arg("convert")
            .arg(fixtures::path(fixture))
            .arg(&package),
    )
}

/// Writes the repositories that the test server offers as the hub does.
fn repositories(folder: &std::path::Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fixtures::write_repositories(folder);
    Ok(())
}
