//! The stories of the page, without a page.
#![allow(clippy::unwrap_used, reason = "tests")]

mod chats;
mod deaths;
mod first_run;
mod hiding;
mod saving;
mod soundness;
mod stories;
mod support;
mod transfer;
