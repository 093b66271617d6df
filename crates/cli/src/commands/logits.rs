//! `tern logits`: the logits of given tokens, for comparison with other implementations.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::args::ModelArgs;
use crate::failure::bad_input;
use crate::loaded::Loaded;

/// Options of `tern logits`.
#[derive(Debug, Args)]
pub(crate) struct LogitsArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Token ids, separated by commas
    #[arg(
        long,
        value_name = "IDS",
        value_delimiter = ',',
        required = true,
        num_args = 1
    )]
    tokens: Vec<u32>,
    /// File to write: little-endian f32, [tokens, vocabulary], row-major
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Whatever keeps the model from loading, or the tokens from fitting it.
pub(crate) fn run(args: &LogitsArgs) -> anyhow::Result<()> {
    pollster::block_on(run_async(args))
}

async fn run_async(args: &LogitsArgs) -> anyhow::Result<()> {
    let n_tokens = u32::try_from(args.tokens.len()).map_err(|_| bad_input("too many tokens"))?;
    let mut loaded =
        Loaded::open(&args.model, Some(args.model.context.unwrap_or(n_tokens))).await?;
    let logits = loaded.session.logits(&args.tokens).await?;
    write(args, &logits).with_context(|| format!("cannot write {}", args.out.display()))
}

fn write(args: &LogitsArgs, logits: &[f32]) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(&args.out)?);
    for value in logits {
        file.write_all(&value.to_le_bytes())?;
    }
    file.flush()
}
