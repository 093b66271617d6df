//! One command a file.

pub(crate) mod chat;
mod complete;
pub(crate) mod convert;
pub(crate) mod eval;
pub(crate) mod inspect;
pub(crate) mod logits;
pub(crate) mod run;
pub(crate) mod verify;
