//! The stories of the page, without a page.
#![allow(clippy::unwrap_used, reason = "tests")]

mod deaths;
mod saving;
mod soundness;
mod stories;
mod support;
