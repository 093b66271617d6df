//! The stories of the page, without a page.
#![allow(clippy::unwrap_used, reason = "tests")]

mod budget;
mod chats;
mod checks;
mod choosing;
mod clocks;
mod continuity;
mod deaths;
mod diagnosis;
mod downloads;
mod exports;
mod files;
mod first_run;
mod hiding;
mod hosts;
mod manager;
mod rates;
mod saving;
mod sentinel;
mod setbacks;
mod soundness;
mod stories;
mod support;
mod transfer;
