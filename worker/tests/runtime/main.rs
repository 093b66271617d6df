//! The runtime under virtual time, with a scripted engine and a network in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

mod answers;
mod requests;
mod storage;
mod support;
