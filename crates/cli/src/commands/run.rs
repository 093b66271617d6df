//! `tern run`: one answer.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use text::{Message, Role};

use crate::answer::{Answer, Question, answer};
use crate::args::{ModelArgs, SamplingArgs};
use crate::failure::bad_input;
use crate::loaded::Loaded;
use crate::output;

/// Options of `tern run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// What to answer
    #[arg(long, value_name = "TEXT")]
    prompt: String,
    /// Continue the prompt as it is, without the chat template; base models have none and always do this
    #[arg(long, conflicts_with = "system")]
    raw: bool,
    /// Instructions for the model, ahead of the prompt
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Longest answer in tokens [default: until the model stops or the context is full]
    #[arg(long, value_name = "N")]
    max_tokens: Option<u32>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Also write the token ids as one line of JSON, to FILE or else to stderr
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    ids: Option<Option<PathBuf>>,
    /// Also write the speed to stderr
    #[arg(long)]
    speed: bool,
}

/// Runs the command.
///
/// # Errors
/// Whatever keeps the model from loading or answering.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    pollster::block_on(run_async(args))
}

async fn run_async(args: &RunArgs) -> anyhow::Result<()> {
    let mut loaded = Loaded::open(&args.model, args.model.context).await?;
    let text = loaded.text.as_ref().ok_or_else(Loaded::no_tokenizer)?;
    let prompt = if args.raw || !text.has_template() {
        if args.system.is_some() {
            return Err(Loaded::no_roles());
        }
        if !args.raw {
            eprintln!(
                "note: a base model without a chat template: it continues the prompt as a text"
            );
        }
        text.tokenizer.encode(&args.prompt)?
    } else {
        let system = args
            .system
            .iter()
            .map(|system| Message::new(Role::System, system));
        let messages: Vec<Message> = system
            .chain([Message::new(Role::User, &args.prompt)])
            .collect();
        text.template()?
            .encode_chat(&text.tokenizer, &messages, true)?
    };
    if prompt.is_empty() {
        return Err(bad_input(
            "the prompt has no tokens; write something to answer",
        ));
    }
    loaded
        .session
        .set_sampling(args.sampling.resolve(text.sampling.as_ref()));
    let question = Question {
        prompt: &prompt,
        stop_ids: &text.stop_ids,
        max_tokens: args.max_tokens.unwrap_or(u32::MAX),
    };
    let answer = answer(
        &mut loaded.session,
        &text.tokenizer,
        &question,
        &|| false,
        &mut output::print,
    )
    .await?;
    output::print("\n")?;
    if args.speed {
        eprintln!("{}", answer.speed());
    }
    write_ids(args, &prompt, &answer)
}

fn write_ids(args: &RunArgs, prompt: &[u32], answer: &Answer) -> anyhow::Result<()> {
    let Some(target) = &args.ids else {
        return Ok(());
    };
    let line =
        json!({"prompt_ids": prompt, "ids": answer.ids, "text": answer.text, "stop": answer.stop});
    match target {
        None => eprintln!("{line}"),
        Some(file) => {
            std::fs::write(file, format!("{line}\n"))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(())
}
