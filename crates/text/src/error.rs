//! The error of this crate.

/// What can go wrong between text and tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `tokenizer.json` is not a tokenizer description.
    #[error("the tokenizer could not be read: expected a complete tokenizer.json, got: {detail}")]
    TokenizerJson {
        /// What the parser found.
        detail: String,
    },
    /// The tokenizer can produce ids that the embedding has no row for.
    #[error(
        "the tokenizer does not fit the model: it needs {tokens} rows of the vocabulary, the model has {vocab}"
    )]
    TooManyTokens {
        /// Largest id of the tokenizer plus one.
        tokens: u64,
        /// Rows of the embedding.
        vocab: u32,
    },
    /// The tokenizer joins tokens to text in a way that this crate does not know.
    #[error(
        "the tokenizer's decoder is not supported: expected ByteLevel, Metaspace or a byte-fallback sequence, got {got}"
    )]
    UnsupportedDecoder {
        /// The decoder, as written in `tokenizer.json`.
        got: String,
    },
    /// The tokenizer failed on a text.
    #[error("the text could not be tokenized: {detail}")]
    Encode {
        /// What the tokenizer reported.
        detail: String,
    },
    /// The chat template is not a Jinja template.
    #[error("the chat template could not be read: line {line}: {detail}")]
    TemplateSyntax {
        /// Line of the template, from 1; 0 when unknown.
        line: usize,
        /// What the parser found.
        detail: String,
    },
    /// The chat template failed on these messages.
    #[error("the chat template failed: line {line}: {detail}")]
    TemplateRender {
        /// Line of the template, from 1; 0 when unknown.
        line: usize,
        /// What the renderer found.
        detail: String,
    },
    /// The chat template called `raise_exception`.
    #[error("the chat template refuses this conversation: {message}")]
    TemplateRefused {
        /// The template's own words.
        message: String,
    },
    /// The chat template used up its budget of work.
    #[error("the chat template does not come to an end: stopped after {limit} steps")]
    TemplateFuel {
        /// The budget, in instructions or 64-byte pieces of data.
        limit: u64,
    },
    /// The chat template wrote more than it may.
    #[error("the chat template writes too much: stopped after {limit} bytes")]
    TemplateOutput {
        /// The limit in bytes.
        limit: usize,
    },
    /// The messages use up the private-use characters that stand for special tokens while the template runs.
    #[error(
        "the messages hold too many private-use characters: no placeholder is left for a special token's text"
    )]
    Placeholders,
}
