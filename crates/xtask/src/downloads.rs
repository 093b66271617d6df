//! `cargo xtask download-soak`, `throughput` and `full-size`: what downloads survive, how fast they are, and one of full size. The
//! scripts are in `tests/e2e/long`; they take minutes and are no part of `cargo xtask test`.

use anyhow::Result;
use clap::Args;

use crate::synthetic::Model;
use crate::{dist, e2e, shell};

/// Options of these commands.
#[derive(Debug, Args)]
#[group(id = "downloads")]
pub(crate) struct Options {
    /// Run on dist/ as it is, without building
    #[arg(long)]
    no_build: bool,
    /// How many kills, or runs of each measurement, instead of the usual number
    #[arg(long)]
    count: Option<u32>,
    /// Seed of the points at which the browser is killed [default: another one each time, which is printed]
    #[arg(long)]
    seed: Option<u32>,
}

/// Kills the browser again and again while a package comes.
pub(crate) fn soak(options: &Options) -> Result<()> {
    run("download_soak.mjs", options, Model::OF_300_MB, false)
}

/// Measures how much of a link a download of a package uses.
pub(crate) fn throughput(options: &Options) -> Result<()> {
    run("throughput.mjs", options, Model::OF_300_MB, false)
}

/// Streams, packs, loads and asks a model of full size.
pub(crate) fn full_size(options: &Options) -> Result<()> {
    run("full_size.mjs", options, Model::FULL_SIZE, true)
}

fn run(script: &str, options: &Options, model: Model, with_repository: bool) -> Result<()> {
    if !options.no_build {
        dist::run(&dist::Options::default())?;
    }
    let mut node = e2e::node()?;
    node.arg(shell::e2e_dir().join("long").join(script))
        .env("TERN_PACKAGE", model.package()?);
    if with_repository {
        node.env("TERN_REPOSITORY", model.checkpoint()?);
    }
    if let Some(count) = options.count {
        node.env("TERN_RUNS", count.to_string());
    }
    if let Some(seed) = options.seed {
        node.env("TERN_SEED", seed.to_string());
    }
    shell::run(&mut node)
}
