//! `tern chat` with a base model: a text that the person and the model write in turn.

use engine::Session;

use super::chat::{ChatArgs, read_line, report};
use crate::answer::{Question, answer};
use crate::interrupt::{self, Mode};
use crate::loaded::LoadedText;
use crate::output;

const HELP: &str = "Type the beginning of a text and press Enter: the model continues it, and the next line you type goes on from there.
An empty line lets it write more. Ctrl-C stops it.
/new    begin another text
/help   this text
/quit   leave (also Ctrl-D, or Ctrl-C twice)";

/// Says what kind of model it is, and continues texts until the person leaves.
///
/// # Errors
/// Whatever keeps the model from writing.
pub(super) async fn run(
    args: &ChatArgs,
    session: &mut Session,
    text: &LoadedText,
) -> anyhow::Result<()> {
    eprintln!(
        "This is a base model without a chat template: it does not answer, it continues your text."
    );
    let mut written = String::new();
    while let Some(line) = read_line()? {
        let line = line.trim_end_matches(['\n', '\r']);
        match line.trim() {
            "/quit" | "/exit" => break,
            "/help" => eprintln!("{HELP}"),
            "/new" => {
                written.clear();
                eprintln!("(new text)");
            }
            "" if written.is_empty() => {}
            _ => go_on(args, session, text, &mut written, line).await?,
        }
    }
    Ok(())
}

/// Adds a line and what the model writes behind it.
async fn go_on(
    args: &ChatArgs,
    session: &mut Session,
    text: &LoadedText,
    written: &mut String,
    line: &str,
) -> anyhow::Result<()> {
    interrupt::set_mode(Mode::Stop);
    let whole = format!("{written}{line}");
    let prompt = text.tokenizer.encode(&whole)?;
    let context = session.context();
    if prompt.len() as u64 >= u64::from(context) {
        eprintln!("(the text has reached the context of {context} tokens; /new begins another)");
        return Ok(());
    }
    let question = Question {
        prompt: &prompt,
        stop_ids: &text.stop_ids,
        max_tokens: args.max_tokens.unwrap_or(u32::MAX),
    };
    let answer = answer(
        session,
        &text.tokenizer,
        &question,
        &interrupt::pressed,
        &mut output::print,
    )
    .await?;
    output::print("\n")?;
    report(&answer);
    *written = whole;
    written.push_str(&answer.text);
    Ok(())
}
