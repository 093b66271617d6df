//! `cargo xtask soak`, `crash-limit` and `recovery-figures`: what recovery from crashes takes and leaves, in Chromium. The
//! scripts are in `tests/e2e/long`; they take minutes and are no part of `cargo xtask test`.

use anyhow::Result;
use clap::Args;

use crate::{dist, e2e, shell};

/// Options of these commands.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run on dist/ as it is, without building
    #[arg(long)]
    no_build: bool,
    /// How many requests or measurements, instead of the usual number
    #[arg(long)]
    count: Option<u32>,
}

/// Builds and runs one of the scripts.
pub(crate) fn run(script: &str, options: &Options) -> Result<()> {
    if !options.no_build {
        dist::run(&dist::Options::default())?;
    }
    let mut node = e2e::node()?;
    node.arg(shell::e2e_dir().join("long").join(script));
    if let Some(count) = options.count {
        let count = count.to_string();
        node.env("TERN_REQUESTS", &count).env("TERN_RUNS", &count);
    }
    shell::run(&mut node)
}
