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
        let template = self.template.as_ref().ok_or_else(|| {
            Fault::new(
                FaultCode::NoChat,
                "expected a chat template, got a base model without one",
            )
        })?;
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
            .map_err(|error| Fault::new(FaultCode::Text, error.to_string()))
    }

    fn decoder(&self) -> Detokenizer {
        self.tokenizer.detokenizer()
    }
}

impl Decoder for Detokenizer {
    fn push(&mut self, id: u32) -> String {
        Self::push(self, id)
    }

    fn finish(&mut self) -> String {
        self.flush()
    }
}
