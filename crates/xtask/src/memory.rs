//! `cargo xtask memory`: what loading a large model takes, in Chromium. The measurement is `tests/e2e/memory.mjs`.

use anyhow::Result;
use clap::Args;

use crate::synthetic::Model;
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
    let model = Model {
        layers: options.layers,
        ..Model::FULL_SIZE
    };
    let mut node = shell::command("node");
    node.arg(shell::e2e_dir().join("memory.mjs"));
    e2e::environment(&mut node, &browser);
    node.env("TERN_DIST", shell::root().join("dist"))
        .env("TERN_FAULTS", e2e::program("faults")?)
        .env("TERN_PACKAGE", model.package()?);
    shell::run(&mut node)
}
