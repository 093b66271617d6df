//! The stories of the page, without a page.
#![allow(clippy::unwrap_used, reason = "tests")]

mod chats;
mod clocks;
mod continuity;
mod deaths;
mod diagnosis;
mod exports;
mod first_run;
mod hiding;
mod saving;
mod sentinel;
mod setbacks;
mod soundness;
mod stories;
mod support;
mod transfer;
