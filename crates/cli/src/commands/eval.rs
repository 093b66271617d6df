//! `tern eval`: how well a model predicts given tokens.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::args::ModelArgs;
use crate::failure::bad_input;
use crate::loaded::Loaded;
use crate::output;
use crate::progress::Bar;

/// Largest file of tokens that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Options of `tern eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// JSON file with an array of arrays of token ids
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Whatever keeps the model from loading, or the tokens from fitting it.
pub(crate) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    pollster::block_on(run_async(args))
}

async fn run_async(args: &EvalArgs) -> anyhow::Result<()> {
    let arrays = read_arrays(&args.tokens)?;
    let longest = arrays.iter().map(Vec::len).max().unwrap_or(0);
    let longest = u32::try_from(longest).map_err(|_| bad_input("an array has too many tokens"))?;
    let mut loaded = Loaded::open(&args.model, Some(args.model.context.unwrap_or(longest))).await?;
    let vocab = loaded.manifest.architecture.vocab as usize;

    let n_predictions: usize = arrays.iter().map(|array| array.len() - 1).sum();
    let progress_bar = Bar::steps("eval", arrays.len() as u64);
    let mut per_array = Vec::with_capacity(arrays.len());
    let mut total = 0.0;
    for (done, array) in arrays.iter().enumerate() {
        let logits = loaded.session.logits(array).await?;
        let loss = summed_loss(array, &logits, vocab)
            .with_context(|| format!("array {done}: the model gives no finite prediction"))?;
        total += loss;
        per_array.push(loss / (array.len() - 1) as f64);
        progress_bar.set(done as u64 + 1, "");
    }
    drop(progress_bar);
    output::print_json(&json!({
        "tokens": n_predictions,
        "cross_entropy": total / n_predictions as f64,
        "per_array": per_array,
    }))
}

fn read_arrays(path: &Path) -> anyhow::Result<Vec<Vec<u32>>> {
    let shown = path.display();
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
            return Err(bad_input(format!(
                "{shown} has {} bytes, at most {MAX_FILE_BYTES} are read",
                metadata.len()
            )));
        }
        Ok(_) => std::fs::read(path)
            .map_err(|error| bad_input(format!("cannot read {shown}: {error}")))?,
        Err(error) => return Err(bad_input(format!("cannot read {shown}: {error}"))),
    };
    let arrays: Vec<Vec<u32>> = serde_json::from_slice(&bytes).map_err(|error| {
        bad_input(format!(
            "{shown} must be a JSON array of arrays of token ids: {error}"
        ))
    })?;
    if arrays.is_empty() {
        return Err(bad_input(format!("{shown} holds no array of tokens")));
    }
    if let Some(index) = arrays.iter().position(|array| array.len() < 2) {
        let got = arrays[index].len();
        return Err(bad_input(format!(
            "{shown}: array {index} must have at least 2 tokens, got {got}"
        )));
    }
    Ok(arrays)
}

/// Sum over the array's predictions of `-ln softmax(logits)[next]` in f64; `None` when a logit is not finite.
fn summed_loss(tokens: &[u32], logits: &[f32], vocab: usize) -> Option<f64> {
    let rows = logits.chunks_exact(vocab);
    let mut total = 0.0;
    for (row, next) in rows.zip(&tokens[1..]) {
        let max = row
            .iter()
            .copied()
            .map(f64::from)
            .fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row
            .iter()
            .map(|&logit| (f64::from(logit) - max).exp())
            .sum();
        total += sum.ln() + (max - f64::from(*row.get(*next as usize)?));
    }
    total.is_finite().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_minus_the_log_of_the_softmax() {
        // Softmax of (ln 1, ln 2, ln 5) is (1/8, 2/8, 5/8); of equal logits 1/3 each.
        let row = [0.0, 2f32.ln(), 5f32.ln()];
        let logits = [row, [7.0; 3], row].concat();
        let loss = summed_loss(&[0, 1, 2], &logits, 3);
        let expected = 4f64.ln() + 3f64.ln();
        assert!(
            loss.is_some_and(|loss| (loss - expected).abs() < 1e-6),
            "{loss:?}"
        );
    }

    #[test]
    fn large_logits_do_not_overflow_and_bad_ones_are_no_loss() {
        let loss = summed_loss(&[0, 1], &[3e38, 3e38, 0.0, 0.0], 2);
        assert!(
            loss.is_some_and(|loss| (loss - 2f64.ln()).abs() < 1e-6),
            "{loss:?}"
        );
        assert_eq!(summed_loss(&[0, 1], &[f32::NAN, 0.0, 0.0, 0.0], 2), None);
        assert_eq!(
            summed_loss(&[0, 1], &[f32::INFINITY, 0.0, 0.0, 0.0], 2),
            None
        );
        assert_eq!(summed_loss(&[0, 2], &[0.0; 4], 2), None);
    }
}
