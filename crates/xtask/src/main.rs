//! The project's own commands: everything that builds, serves and tests it, one module each.
//!
//! Entry point: `cargo xtask --help`. This crate is never part of the product and never edits sources.
#![allow(clippy::print_stdout, reason = "a command line tool talks to its user")]

mod bench;
mod check;
mod dist;
mod downloads;
mod e2e;
mod figures;
mod fuzz;
mod html;
mod memory;
mod policy;
mod recovery;
mod serve;
mod shell;
mod site;
mod sizes;
mod suite;
mod synthetic;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, serves and tests Tern.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the app and serve it on this machine: the one command to try Tern
    Serve(serve::Options),
    /// Run every test: tools, check, dist, sizes, site, e2e, with a summary of times
    Test,
    /// The same as `test`, as continuous integration calls it
    Ci,
    /// Format, lints (native and wasm32), unit and GPU tests, doc tests, docs, tidy
    Check,
    /// Build the page and the worker into dist/
    Dist(dist::Options),
    /// Drive the built page in Chromium (extra arguments name specs, e.g. `recovery`)
    E2e(e2e::Options),
    /// Measure how soon the page is drawn and how long it is blocked, in Chromium on a slowed down CPU
    ShellFigures(figures::Options),
    /// Load a model of the shape of BitNet 2B-4T in Chromium and hold memory to its limits
    Memory(memory::Options),
    /// Feed broken files to the readers of checkpoints and packages
    Fuzz(fuzz::Options),
    /// Ask 200 short questions, crash the GPU process at every tenth, and compare answers, memory and GPU buffers
    Soak(recovery::Options),
    /// Crash the GPU process with Chromium's own limit in force, and wait for the adapter that it withholds
    CrashLimit(recovery::Options),
    /// Measure the time from a crash to the next token, and its parts
    RecoveryFigures(recovery::Options),
    /// Kill the browser at 20 random points of a download of 300 MB, let it finish, and count what the server sent
    DownloadSoak(downloads::Kills),
    /// Measure how much of a slow link a download uses, and how fast it is on an unlimited one
    Throughput(downloads::Runs),
    /// Stream, convert, load and ask a repository of the size of BitNet 2B-4T in Chromium, and hold memory to its limits
    FullSize(downloads::Build),
    /// Take pictures of every screen at the iPad's sizes, light and dark, into target/screenshots
    Screenshots(e2e::Screenshots),
    /// Measure the speed of tern, and with --compare its ratios to another commit's in the same run
    Bench(bench::Options),
    /// Check the sizes of the built wasm files against their limits
    Sizes,
    /// Check that the built site can be installed, works offline and keeps to its policies
    Site,
    /// Check the rules that compilers do not: layering, file lengths, names, sizes
    Tidy,
    /// Install what building and testing need and this machine lacks
    Tools,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(options) => serve::run(&options),
        Command::Test | Command::Ci => suite::run(),
        Command::Check => check::run(),
        Command::Dist(options) => dist::run(&options),
        Command::E2e(options) => e2e::run(&options),
        Command::ShellFigures(options) => figures::run(&options),
        Command::Memory(options) => memory::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Soak(options) => recovery::run("soak.mjs", &options),
        Command::CrashLimit(options) => recovery::run("crash_limit.mjs", &options),
        Command::RecoveryFigures(options) => recovery::run("recovery_figures.mjs", &options),
        Command::DownloadSoak(options) => downloads::soak(&options),
        Command::Throughput(options) => downloads::throughput(&options),
        Command::FullSize(options) => downloads::full_size(&options),
        Command::Screenshots(options) => e2e::screenshots(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Sizes => sizes::run(),
        Command::Site => site::run(),
        Command::Tidy => tidy::run(),
        Command::Tools => tools::run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn command_line_definition_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
