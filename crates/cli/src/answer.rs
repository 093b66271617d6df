//! One answer: prefill a prompt, then tokens until a reason to stop.

use std::ops::ControlFlow;
use std::time::Instant;

use engine::{Error, Session};
use serde::Serialize;
use text::Tokenizer;

use crate::progress::Bar;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// The model ended it.
    StopToken,
    /// It is as long as was asked for.
    MaxTokens,
    /// The cache has no position left.
    ContextFull,
    /// A person stopped it.
    Interrupted,
}

/// What to answer, and for how long.
pub(crate) struct Question<'a> {
    /// Prompt tokens.
    pub(crate) prompt: &'a [u32],
    /// Tokens that end the answer.
    pub(crate) stop_ids: &'a [u32],
    /// Longest answer in tokens.
    pub(crate) max_tokens: u32,
}

/// An answer and what it cost.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Tokens, the stop token included.
    pub(crate) ids: Vec<u32>,
    /// Text, without special tokens.
    pub(crate) text: String,
    /// Why it ended.
    pub(crate) stop: Ending,
    /// Prompt tokens that had to be computed; the rest was in the cache.
    pub(crate) n_prefilled: u32,
    /// Seconds until the first token.
    pub(crate) prefill_seconds: f64,
    /// Seconds from the first token to the last.
    pub(crate) decode_seconds: f64,
}

impl Answer {
    /// Prompt and answer speed for people.
    pub(crate) fn speed(&self) -> String {
        // The first token comes from the prefill; the others are what decoding took its time for.
        let decoded = self.ids.len().saturating_sub(1);
        let rate = |n: f64, seconds: f64| if seconds > 0.0 { n / seconds } else { 0.0 };
        format!(
            "prompt {} tokens in {:.2} s ({:.1} tokens/s), answer {} tokens, {:.1} tokens/s",
            self.n_prefilled,
            self.prefill_seconds,
            rate(f64::from(self.n_prefilled), self.prefill_seconds),
            self.ids.len(),
            rate(decoded as f64, self.decode_seconds),
        )
    }
}

/// Answers `question`, handing each new piece of text to `emit`. `is_stopped` is asked after each chunk and token.
///
/// # Errors
/// The engine's, and those of `emit`.
pub(crate) async fn answer(
    session: &mut Session,
    tokenizer: &Tokenizer,
    question: &Question<'_>,
    is_stopped: &dyn Fn() -> bool,
    emit: &mut dyn FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Answer> {
    let mut answer = Answer {
        ids: Vec::new(),
        text: String::new(),
        stop: Ending::Interrupted,
        n_prefilled: 0,
        prefill_seconds: 0.0,
        decode_seconds: 0.0,
    };
    let start = Instant::now();
    let n_prefilled = &mut answer.n_prefilled;
    let mut progress_bar = None;
    let finished = session
        .prefill(question.prompt, |done, total| {
            *n_prefilled = total;
            // Only prompts of several chunks take long enough for a bar to be of use.
            if done < total {
                progress_bar
                    .get_or_insert_with(|| Bar::steps("reading", u64::from(total)))
                    .set(u64::from(done), "");
            }
            if is_stopped() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .await?;
    drop(progress_bar);
    if !finished {
        return Ok(answer);
    }
    let mut detokenizer = tokenizer.detokenizer();
    let mut first_token = None;
    answer.stop = loop {
        if answer.ids.len() >= question.max_tokens as usize {
            break Ending::MaxTokens;
        }
        if is_stopped() {
            break Ending::Interrupted;
        }
        let id = match session.next_token().await {
            Ok(id) => id,
            Err(Error::ContextFull { .. }) => break Ending::ContextFull,
            Err(error) => return Err(error.into()),
        };
        if first_token.is_none() {
            answer.prefill_seconds = start.elapsed().as_secs_f64();
            first_token = Some(Instant::now());
        }
        answer.ids.push(id);
        if question.stop_ids.contains(&id) {
            break Ending::StopToken;
        }
        put(&mut answer.text, &detokenizer.push(id), emit)?;
    };
    put(&mut answer.text, &detokenizer.flush(), emit)?;
    answer.decode_seconds = first_token.map_or(0.0, |first| first.elapsed().as_secs_f64());
    Ok(answer)
}

fn put(
    text: &mut String,
    piece: &str,
    emit: &mut dyn FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !piece.is_empty() {
        text.push_str(piece);
        emit(piece)?;
    }
    Ok(())
}
