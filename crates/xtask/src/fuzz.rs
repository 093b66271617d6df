//! `cargo xtask fuzz`: broken inputs for the readers of files.

use anyhow::Context as _;
use clap::Args;

use crate::shell;

/// The readers.
const TARGETS: [&str; 11] = [
    "safetensors",
    "pickle",
    "gguf",
    "package",
    "hub",
    "stream-safetensors",
    "stream-pickle",
    "stream-gguf",
    "network-safetensors",
    "network-pickle",
    "network-gguf",
];
/// Seconds for each reader unless minutes are given.
const SECONDS: u64 = 20;

/// Options of `fuzz`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Minutes for each reader [default: 20 seconds]
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// Seed of the random changes; the same seed gives the same inputs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Readers: safetensors, pickle, gguf, package, hub, and the first three with stream- or network- in front [default: all]
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
}

/// Runs each reader for a while.
///
/// # Errors
/// If one of them panics, hangs, takes too much memory or cannot be built.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let seconds = options
        .minutes
        .map_or(SECONDS, |minutes| minutes.saturating_mul(60));
    let targets: Vec<&str> = match options.targets[..] {
        [] => TARGETS.to_vec(),
        _ => options.targets.iter().map(String::as_str).collect(),
    };
    for target in targets {
        let mut cargo = shell::cargo(&["run", "--quiet", "--locked", "-p", "model"]);
        cargo.args(["--example", "fuzz", "--", target]);
        cargo.args([seconds.to_string(), options.seed.to_string()]);
        shell::run(&mut cargo)
            .with_context(|| format!("the reader {target} has a finding, see above"))?;
    }
    Ok(())
}
