//! The runtime under virtual time, with a scripted engine and a network in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

mod answers;
mod conversations;
mod details;
mod diagnosis;
mod disk;
mod downloads;
mod fetching;
mod files;
mod foreign;
mod hosts;
mod judging;
mod losses;
mod precision;
mod rates;
mod reading;
mod requests;
mod storage;
mod storage_failures;
mod support;
mod trials;
mod verifying;
