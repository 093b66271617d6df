//! `cargo xtask download-soak`, `throughput` and `full-size`: what downloads survive, how fast they are, and one of full size. The
//! scripts are in `tests/e2e/long`; they take minutes and are no part of `cargo xtask test`.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::synthetic::Model;
use crate::{dist, e2e, shell};

/// Options of all of these commands.
#[derive(Debug, Args)]
#[group(id = "downloads-build")]
pub(crate) struct Build {
    /// Run on dist/ as it is, without building
    #[arg(long)]
    no_build: bool,
}

/// Options of [`throughput`].
#[derive(Debug, Args)]
#[group(id = "downloads-runs")]
pub(crate) struct Runs {
    #[command(flatten)]
    build: Build,
    /// How many kills, or runs of each measurement, instead of the usual number
    #[arg(long)]
    count: Option<u32>,
}

/// Options of [`soak`].
#[derive(Debug, Args)]
#[group(id = "downloads-kills")]
pub(crate) struct Kills {
    #[command(flatten)]
    runs: Runs,
    /// Seed of the points at which the browser is killed [default: another one each time, which is printed]
    #[arg(long)]
    seed: Option<u32>,
}

/// Kills the browser again and again while a package comes.
pub(crate) fn soak(options: &Kills) -> Result<()> {
    let Kills { runs, seed } = options;
    let mut node = script("download_soak.mjs", &runs.build, Model::OF_300_MB)?;
    if let Some(seed) = seed {
        node.env("TERN_SEED", seed.to_string());
    }
    counted(node, runs)
}

/// Measures how much of a link a download of a package uses.
pub(crate) fn throughput(options: &Runs) -> Result<()> {
    counted(
        script("throughput.mjs", &options.build, Model::OF_300_MB)?,
        options,
    )
}

/// Streams, packs, loads and asks a model of full size.
pub(crate) fn full_size(options: &Build) -> Result<()> {
    let model = Model::FULL_SIZE;
    let mut node = script("full_size.mjs", options, model)?;
    shell::run(node.env("TERN_REPOSITORY", model.checkpoint()?))
}

fn script(name: &str, options: &Build, model: Model) -> Result<Command> {
    if !options.no_build {
        dist::run(&dist::Options::default())?;
    }
    let mut node = e2e::node()?;
    node.arg(shell::e2e_dir().join("long").join(name))
        .env("TERN_PACKAGE", model.package()?);
    Ok(node)
}

fn counted(mut node: Command, runs: &Runs) -> Result<()> {
    if let Some(count) = runs.count {
        node.env("TERN_RUNS", count.to_string());
    }
    shell::run(&mut node)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::Cli;

    #[test]
    fn only_what_has_an_effect_can_be_asked_for() {
        let is_taken = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        for line in [
            "xtask download-soak --no-build --count 3 --seed 5",
            "xtask throughput --no-build --count 3",
            "xtask full-size --no-build",
        ] {
            assert!(is_taken(line), "{line}");
        }
        for line in [
            "xtask throughput --seed 5",
            "xtask full-size --seed 5",
            "xtask full-size --count 3",
        ] {
            assert!(!is_taken(line), "{line}");
        }
    }
}
