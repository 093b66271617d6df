//! Tokenizer and chat template of a package, from crate `text`.

use model::manifest::TextInfo;
use protocol::{Fault, FaultCode, Message, Role};
use text::{ChatTemplate, Detokenizer, Tokenizer};

use crate::{Decoder, TextLoader, TextModel};

/// Reads tokenizers and templates with crate `text`.
#[derive(Debug, Default)]
pub struct PackageTexts;

/// A package's tokenizer and, unless it is a base model, its chat template.
pub struct PackageText {
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
}

impl TextLoader for PackageTexts {
    type Model = PackageText;

    fn load(&self, info: &TextInfo, tokenizer: Vec<u8>, vocab: u32) -> Result<PackageText, Fault> {
        let unusable = |error: text::Error| Fault::new(FaultCode::BadModel, error.to_string());
        let tokenizer = Tokenizer::from_owned_json(tokenizer, vocab).map_err(unusable)?;
        let bos = info.bos.as_ref().map(|token| token.text.as_str());
        let eos = info.eos.as_ref().map(|token| token.text.as_str());
        let template = info
            .chat_template
            .as_ref()
            .map(|source| ChatTemplate::new(source, bos, eos))
            .transpose()
            .map_err(unusable)?;
        Ok(PackageText {
            tokenizer,
            template,
        })
    }
}

impl TextModel for PackageText {
    type Decoder = Detokenizer;

    fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, Fault> {
        let text_fault = |error: text::Error| Fault::new(FaultCode::Text, error.to_string());
        let Some(template) = &self.template else {
            let text = continued_text(messages);
            return self.tokenizer.encode(&text).map_err(text_fault);
        };
        let messages: Vec<text::Message> = messages
            .iter()
            .map(|message| {
                let role = match message.role {
                    Role::System => text::Role::System,
                    Role::User => text::Role::User,
                    Role::Assistant => text::Role::Assistant,
                };
                text::Message {
                    ids: message.ids.clone(),
                    ..text::Message::new(role, message.content.clone())
                }
            })
            .collect();
        template
            .encode_chat(&self.tokenizer, &messages, true)
            .map_err(text_fault)
    }

    fn decoder(&self) -> Detokenizer {
        self.tokenizer.detokenizer()
    }
}

/// The text of a conversation with a base model: what was written, one after the other, and no invented words between. Where
/// one part would run into the next, a space keeps them apart. Instructions have no place in it.
fn continued_text(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages
        .iter()
        .filter(|message| message.role != Role::System)
    {
        let joins = text.ends_with(|c: char| !c.is_whitespace())
            && message.content.starts_with(|c: char| !c.is_whitespace());
        if joins {
            text.push(' ');
        }
        text.push_str(&message.content);
    }
    text
}

impl Decoder for Detokenizer {
    fn push(&mut self, id: u32) -> String {
        Self::push(self, id)
    }

    fn finish(&mut self) -> String {
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::continued_text;
    use protocol::{Message, Role};

    #[test]
    fn a_base_model_gets_the_text_that_both_have_written() {
        let texts = |parts: &[(Role, &str)]| {
            let message = |&(role, text): &(Role, &str)| Message::new(role, text);
            continued_text(&parts.iter().map(message).collect::<Vec<_>>())
        };
        let (system, user, model) = (Role::System, Role::User, Role::Assistant);
        assert_eq!(texts(&[]), "");
        assert_eq!(texts(&[(system, "Be brief."), (user, "Once")]), "Once");
        assert_eq!(
            texts(&[(user, "Once"), (model, " upon a time"), (user, "there was")]),
            "Once upon a time there was"
        );
        assert_eq!(
            texts(&[(user, "a\n"), (model, "b"), (user, "\nc")]),
            "a\nb\nc"
        );
    }
}
