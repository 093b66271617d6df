//! Conversations to prompts.

use minijinja::value::Value;
use minijinja::{Environment, Error as JinjaError, ErrorKind, context};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::jinja::{self, Bounded, Raised};
use crate::shield::Shield;
use crate::tokenizer::Tokenizer;

/// Name of the template inside its environment.
const NAME: &str = "chat";

/// Work that a template may do beyond what the messages' own length explains: instructions, and 64-byte pieces of
/// data. Real templates need some hundred per message.
const FUEL: u64 = 1_000_000;

/// Bytes that a template may write beyond twice the messages' own length.
const OUTPUT: usize = 1024 * 1024;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The name that chat templates know.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; special tokens in it are text, never tokens.
    pub content: String,
    /// Of an answer of the model: the ids that it made, whose text `content` is. See [`ChatTemplate::encode_chat`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u32>,
}

impl Message {
    /// A turn of `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Message {
        Message {
            role,
            content: content.into(),
            ids: Vec::new(),
        }
    }

    fn to_value(&self) -> Value {
        let fields = [
            ("role", self.role.name()),
            ("content", self.content.as_str()),
        ];
        Value::from_pairs(fields)
    }
}

/// A model's chat template (Jinja, as Hugging Face writes them), with limits on its work and on its output.
///
/// ```
/// # fn main() -> Result<(), text::Error> {
/// use text::{ChatTemplate, Message, Role};
/// let source = "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}{{ eos_token }}{% endfor %}";
/// let template = ChatTemplate::new(source, None, Some("</s>"))?;
/// assert_eq!(template.render(&[Message::new(Role::User, " Hi ")], true)?, "user: Hi</s>");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    bos: Option<String>,
    eos: Option<String>,
}

impl ChatTemplate {
    /// Reads a template. `bos` and `eos` are the texts that it may name as `bos_token` and `eos_token`.
    ///
    /// # Errors
    /// [`Error::TemplateSyntax`].
    pub fn new(source: &str, bos: Option<&str>, eos: Option<&str>) -> Result<ChatTemplate, Error> {
        let source = jinja::without_generation_tags(source);
        let mut environment = jinja::environment();
        environment
            .add_template_owned(NAME, source.clone())
            .map_err(|error| Error::TemplateSyntax {
                line: error.line().unwrap_or(0),
                detail: detail(&error),
            })?;
        Ok(ChatTemplate {
            environment,
            source,
            bos: bos.map(str::to_owned),
            eos: eos.map(str::to_owned),
        })
    }

    /// The prompt as text. Special tokens inside contents can't be told from the template's own any more: for token
    /// ids use [`ChatTemplate::encode_chat`].
    ///
    /// # Errors
    /// [`Error::TemplateRefused`], [`Error::TemplateFuel`], [`Error::TemplateOutput`], [`Error::TemplateRender`].
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        let content_bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        let fuel = FUEL.saturating_add(content_bytes as u64);
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(fuel));
        let mut output = Bounded {
            bytes: Vec::new(),
            limit: OUTPUT.saturating_add(content_bytes.saturating_mul(2)),
            exceeded: false,
        };
        let token = |text: &Option<String>| text.as_ref().map_or(Value::UNDEFINED, Value::from);
        let context = context! {
            messages => messages.iter().map(Message::to_value).collect::<Value>(),
            add_generation_prompt => add_generation_prompt,
            bos_token => token(&self.bos),
            eos_token => token(&self.eos),
            // Defined, as in Hugging Face's call, so that `tools is not none` says no.
            tools => (),
            documents => (),
        };
        let result = environment
            .get_template(NAME)
            .and_then(|template| template.render_captured_to(context, &mut output).map(drop));
        match result {
            Ok(()) => Ok(String::from_utf8_lossy(&output.bytes).into_owned()),
            Err(_) if output.exceeded => Err(Error::TemplateOutput {
                limit: output.limit,
            }),
            Err(error) => Err(render_error(&error, fuel)),
        }
    }

    /// Token ids of the prompt. Only the template's own special tokens become special ids; those that a person
    /// wrote into a message stay text. What the tokenizer puts in front of every text (BOS) is there exactly once,
    /// whether or not the template writes it too.
    ///
    /// The ids of a message that has some stand for its content, so that a conversation's prompt begins with the prompts
    /// and answers before it, token for token. Tokenising the text again need not give what the model made: it may have
    /// spelled a word in other pieces, or been stopped in the middle of one. The ids are not used when they are not the
    /// ids of the content, or when the template does more with contents than to trim them.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`], [`Error::Encode`], and [`Error::Placeholders`] when the contents hold tens of
    /// thousands of different private-use characters.
    pub fn encode_chat(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>, Error> {
        let tokens = self.bos.iter().chain(&self.eos).map(String::as_str);
        let texts = messages.iter().map(|message| message.content.as_str());
        let mut shield = Shield::new(
            tokenizer.special_texts(),
            texts.chain(tokens).chain([self.source.as_str()]),
        );
        let shielded: Vec<Message> = messages
            .iter()
            .map(|message| {
                Ok(Message {
                    role: message.role,
                    content: shield.shield(&message.content)?,
                    ids: Vec::new(),
                })
            })
            .collect::<Result<_, Error>>()?;
        let rendered = self.render(&shielded, add_generation_prompt)?;

        let mut ids = Vec::new();
        let mut start = 0;
        let whole = Rendered {
            messages: &shielded,
            text: &rendered,
            add_generation_prompt,
        };
        for answer in self.answers(tokenizer, messages, &whole, &mut shield) {
            let before = &rendered[start..answer.start];
            encode_part(tokenizer, &shield, before, start, &mut ids)?;
            ids.extend(&messages[answer.message].ids);
            start = answer.end;
        }
        encode_part(tokenizer, &shield, &rendered[start..], start, &mut ids)?;
        let prefix = tokenizer.prefix();
        if !ids.starts_with(prefix) {
            ids.splice(..0, prefix.iter().copied());
        }
        Ok(ids)
    }
}

/// An answer in a rendered prompt.
struct Placed {
    /// Index of its message.
    message: usize,
    /// Byte range of its content in the rendered prompt.
    start: usize,
    end: usize,
}

/// A prompt, and the messages that it was made of.
struct Rendered<'a> {
    messages: &'a [Message],
    text: &'a str,
    add_generation_prompt: bool,
}

/// Appends the ids of a part of a rendered prompt that starts at byte `at` of it.
fn encode_part(
    tokenizer: &Tokenizer,
    shield: &Shield<'_>,
    part: &str,
    at: usize,
    ids: &mut Vec<u32>,
) -> Result<(), Error> {
    for (piece, start) in tokenizer.split_at_added(part) {
        match piece {
            Ok(id) => ids.push(id),
            Err(text) => {
                let text = shield.restore(&text);
                ids.extend(tokenizer.encode_segment(&text, at + start > 0)?);
            }
        }
    }
    Ok(())
}

impl ChatTemplate {
    /// Where in the prompt the answers lie whose ids may be taken as they are; none if the template does anything to
    /// contents but write or trim them. A second rendering, with a character of its own in place of each answer, tells.
    fn answers(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
        whole: &Rendered<'_>,
        shield: &mut Shield<'_>,
    ) -> Vec<Placed> {
        let rendered = whole.text;
        let known = |message: &Message| {
            !message.ids.is_empty() && tokenizer.decode(&message.ids) == message.content
        };
        if !messages.iter().any(known) {
            return Vec::new();
        }
        let mut marked = whole.messages.to_vec();
        let mut marks = Vec::new();
        for (index, _) in messages.iter().enumerate().filter(|(_, m)| known(m)) {
            let Some(mark) = shield.mark() else {
                return Vec::new();
            };
            marked[index].content = mark.to_string();
            marks.push((mark, index));
        }
        let Ok(with_marks) = self.render(&marked, whole.add_generation_prompt) else {
            return Vec::new();
        };
        let (mut placed, mut at, mut rest) = (Vec::new(), 0, with_marks.as_str());
        for (mark, index) in marks {
            let Some((before, after)) = rest.split_once(mark) else {
                return Vec::new();
            };
            let content = &whole.messages[index].content;
            let start = at + before.len();
            let written = [content.as_str(), content.trim()].into_iter().find(|text| {
                rendered
                    .get(start..)
                    .is_some_and(|tail| tail.starts_with(text))
            });
            let (Some(written), Some(same)) = (written, rendered.get(at..start)) else {
                return Vec::new();
            };
            if same != before {
                return Vec::new();
            }
            at = start + written.len();
            rest = after;
            placed.push(Placed {
                message: index,
                start,
                end: at,
            });
        }
        if rendered.get(at..) == Some(rest) {
            placed
        } else {
            Vec::new()
        }
    }
}

fn render_error(error: &JinjaError, fuel: u64) -> Error {
    if error.kind() == ErrorKind::OutOfFuel {
        return Error::TemplateFuel { limit: fuel };
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(Raised(message)) = cause.downcast_ref() {
            return Error::TemplateRefused {
                message: message.clone(),
            };
        }
        if cause
            .downcast_ref()
            .is_some_and(|inner: &JinjaError| inner.kind() == ErrorKind::OutOfFuel)
        {
            return Error::TemplateFuel { limit: fuel };
        }
        source = cause.source();
    }
    Error::TemplateRender {
        line: error.line().unwrap_or(0),
        detail: detail(error),
    }
}

fn detail(error: &JinjaError) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
