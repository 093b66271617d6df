//! `tern`: convert, inspect, verify and run ternary language models in a terminal.

mod answer;
mod args;
mod bench;
mod checkpoint_args;
mod commands;
mod failure;
mod interrupt;
mod loaded;
mod output;
mod progress;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Run ternary (1.58-bit) language models on this machine.
#[derive(Debug, Parser)]
#[command(name = "tern", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  tern convert CHECKPOINT PACKAGE --coding t5     make a package from a Hugging Face folder
  tern chat --model PACKAGE                       talk to it
  tern run --model PACKAGE --prompt \"Hello\"       one answer on standard output

Exit codes: 0 done, 1 failed, 2 bad input, 130 stopped by Ctrl-C.
Set RUST_LOG=info (or debug) to see what the engine does.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a package from an original checkpoint
    Convert(commands::convert::ConvertArgs),
    /// Say what a checkpoint or package is, with its memory needs
    Inspect(commands::inspect::InspectArgs),
    /// Check every hash, shape and code of a package
    Verify(commands::verify::VerifyArgs),
    /// Talk to a model
    Chat(commands::chat::ChatArgs),
    /// Give one answer on standard output
    Run(commands::run::RunArgs),
    /// Write the logits of given tokens to a file
    Logits(commands::logits::LogitsArgs),
    /// Measure how well a model predicts given tokens
    Eval(commands::eval::EvalArgs),
    /// Measure speed
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    // Errors of the GPU layer come back as errors of the command; its log is for those who ask.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    match Cli::try_parse() {
        Ok(cli) => end(run(cli.command)),
        Err(error) => refuse(&error),
    }
}

fn run(command: Option<Command>) -> anyhow::Result<()> {
    interrupt::install()?;
    match command {
        None => output::print(&Cli::command().render_help().to_string()),
        Some(Command::Convert(args)) => commands::convert::run(&args),
        Some(Command::Inspect(args)) => commands::inspect::run(&args),
        Some(Command::Verify(args)) => commands::verify::run(&args),
        Some(Command::Chat(args)) => commands::chat::run(&args),
        Some(Command::Run(args)) => commands::run::run(&args),
        Some(Command::Logits(args)) => commands::logits::run(&args),
        Some(Command::Eval(args)) => commands::eval::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
    }
}

fn end(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let (code, line) = failure::explain(&error);
    if let Some(line) = line {
        eprintln!("{line}");
    }
    ExitCode::from(code)
}

/// Help and version on standard output; anything else is one line on stderr.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    if !error.use_stderr() {
        return end(output::print(&text));
    }
    // The first paragraph says what is wrong; the rest repeats the usage.
    let first = text.split("\n\n").next().unwrap_or(&text);
    let line = first.split_whitespace().collect::<Vec<_>>().join(" ");
    eprintln!("{line} (see tern --help)");
    ExitCode::from(failure::BAD_INPUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
