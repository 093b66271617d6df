//! `tern chat`: a conversation in the terminal; with a base model, a text that is written in turn.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Context as _;
use clap::Args;
use engine::Session;
use text::{Message, Role};

use super::complete;
use crate::answer::{Answer, Ending, Question, answer};
use crate::args::{ModelArgs, SamplingArgs};
use crate::interrupt::{self, Mode};
use crate::loaded::{Loaded, LoadedText};
use crate::output;

/// Positions that are kept free for an answer when old turns have to go.
const ANSWER_ROOM: u32 = 256;

const HELP: &str = "Type a message and press Enter. Ctrl-C stops an answer.
/new    forget the conversation
/help   this text
/quit   leave (also Ctrl-D, or Ctrl-C twice)";

/// Options of `tern chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Instructions for the model, ahead of the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Longest answer in tokens [default: until the model stops or the context is full]
    #[arg(long, value_name = "N")]
    pub(super) max_tokens: Option<u32>,
    #[command(flatten)]
    sampling: SamplingArgs,
}

/// Runs the command.
///
/// # Errors
/// Whatever keeps the model from loading or answering.
pub(crate) fn run(args: &ChatArgs) -> anyhow::Result<()> {
    pollster::block_on(run_async(args))
}

async fn run_async(args: &ChatArgs) -> anyhow::Result<()> {
    let Loaded {
        mut session,
        text,
        manifest,
    } = Loaded::open(&args.model, args.model.context).await?;
    let text = text.ok_or_else(Loaded::no_tokenizer)?;
    if !text.has_template() && args.system.is_some() {
        return Err(Loaded::no_roles());
    }
    session.set_sampling(args.sampling.resolve(text.sampling.as_ref()));
    eprintln!(
        "{} on {}. /help for help.",
        manifest.name,
        session.executor().describe()
    );
    if !text.has_template() {
        return complete::run(args, &mut session, &text).await;
    }
    let system = args
        .system
        .iter()
        .map(|system| Message::new(Role::System, system))
        .collect();
    let mut history = History::new(system);
    while let Some(line) = read_line()? {
        match line.trim() {
            "" => {}
            "/quit" | "/exit" => break,
            "/help" => eprintln!("{HELP}"),
            "/new" => {
                history.clear();
                eprintln!("(new conversation)");
            }
            command if command.starts_with('/') && !command.contains(char::is_whitespace) => {
                eprintln!("(unknown command {command}; /help lists them)");
            }
            message => turn(args, &mut session, &text, &mut history, message).await?,
        }
    }
    Ok(())
}

/// Reads one line from the person; `None` at the end of the input.
pub(super) fn read_line() -> anyhow::Result<Option<String>> {
    interrupt::set_mode(Mode::Prompt);
    if std::io::stdin().is_terminal() {
        eprint!("> ");
    }
    let mut line = Vec::new();
    let n_bytes = std::io::stdin()
        .lock()
        .read_until(b'\n', &mut line)
        .context("cannot read a message")?;
    Ok((n_bytes > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
}

/// One message and its answer. What the model says stays in the history even if it was stopped.
async fn turn(
    args: &ChatArgs,
    session: &mut Session,
    text: &LoadedText,
    history: &mut History,
    message: &str,
) -> anyhow::Result<()> {
    interrupt::set_mode(Mode::Stop);
    history.push(Role::User, message);
    let encode = |messages: &[Message]| {
        Ok(text
            .template()?
            .encode_chat(&text.tokenizer, messages, true)?)
    };
    let Some(prompt) = history.fit(session.context(), encode)? else {
        eprintln!(
            "(the message is longer than the context of {} tokens; it was not sent)",
            session.context()
        );
        history.pop();
        return Ok(());
    };
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
    if answer.text.is_empty() {
        history.pop();
    } else {
        history.push(Role::Assistant, &answer.text);
    }
    Ok(())
}

pub(super) fn report(answer: &Answer) {
    let why = match answer.stop {
        Ending::StopToken | Ending::MaxTokens => "",
        Ending::ContextFull => "; the context is full",
        Ending::Interrupted => "; stopped",
    };
    eprintln!("({}{why})", answer.speed());
}

/// The conversation so far.
struct History {
    /// What `clear` keeps: the instructions.
    n_fixed: usize,
    messages: Vec<Message>,
}

impl History {
    fn new(fixed: Vec<Message>) -> History {
        History {
            n_fixed: fixed.len(),
            messages: fixed,
        }
    }

    fn push(&mut self, role: Role, content: &str) {
        self.messages.push(Message::new(role, content));
    }

    fn pop(&mut self) {
        if self.messages.len() > self.n_fixed {
            self.messages.pop();
        }
    }

    fn clear(&mut self) {
        self.messages.truncate(self.n_fixed);
    }

    /// The prompt of this conversation. When it leaves no room for an answer, the oldest question and answer are
    /// forgotten, as often as it takes; `None` when the last message alone is too long.
    fn fit(
        &mut self,
        context: u32,
        encode: impl Fn(&[Message]) -> anyhow::Result<Vec<u32>>,
    ) -> anyhow::Result<Option<Vec<u32>>> {
        let room = ANSWER_ROOM.min(context / 4);
        loop {
            let prompt = encode(&self.messages)?;
            if prompt.len() as u64 + u64::from(room) <= u64::from(context) {
                return Ok(Some(prompt));
            }
            let turns = &self.messages[self.n_fixed..];
            // Whole turns go, so that the conversation still begins with a question.
            let Some(next) = turns
                .iter()
                .skip(1)
                .position(|message| message.role == Role::User)
            else {
                return Ok((prompt.len() < context as usize).then_some(prompt));
            };
            self.messages.drain(self.n_fixed..=self.n_fixed + next);
            eprintln!(
                "(the conversation is longer than the context; its oldest turn was forgotten)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Eight tokens a message.
    fn encode(messages: &[Message]) -> anyhow::Result<Vec<u32>> {
        Ok(vec![0; messages.len() * 8])
    }

    fn roles(history: &History) -> Vec<Role> {
        history
            .messages
            .iter()
            .map(|message| message.role)
            .collect()
    }

    #[test]
    fn the_oldest_turns_go_when_the_context_is_full() {
        use Role::{Assistant, System, User};
        let mut history = History::new(vec![Message::new(System, "s")]);
        for (role, text) in [
            (User, "1"),
            (Assistant, "1"),
            (User, "2"),
            (Assistant, "2"),
            (User, "3"),
        ] {
            history.push(role, text);
        }
        // 48 tokens and a quarter of room: 64 fit, 62 do not.
        assert_eq!(history.fit(64, encode).unwrap().unwrap().len(), 48);
        assert_eq!(history.fit(62, encode).unwrap().unwrap().len(), 32);
        assert_eq!(roles(&history), [System, User, Assistant, User]);
        assert_eq!(history.messages[1].content, "2");
        // The last message is never dropped: it fits without the usual room, or not at all.
        assert_eq!(history.fit(17, encode).unwrap().unwrap().len(), 16);
        assert_eq!(roles(&history), [System, User]);
        assert_eq!(history.fit(16, encode).unwrap(), None);
        history.pop();
        history.pop();
        assert_eq!(roles(&history), [System]);
    }
}
