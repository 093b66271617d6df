//! Text in and out of a language model: tokenizer, chat template and streaming detokenizer.
//!
//! The crate is pure: bytes and strings in, token ids and strings out. It never reads a file, and it never
//! panics on a hostile `tokenizer.json` or chat template: both are data of unknown origin.
//!
//! Entry points: [`Tokenizer::from_json`], [`ChatTemplate::encode_chat`], [`Tokenizer::detokenizer`].

mod bpe;
mod chat;
mod decoding;
mod detokenizer;
mod error;
mod framing;
mod jinja;
mod python_json;
mod shield;
mod table;
mod tokenizer;

pub use chat::{ChatTemplate, Message, Role};
pub use detokenizer::Detokenizer;
pub use error::Error;
pub use tokenizer::Tokenizer;
