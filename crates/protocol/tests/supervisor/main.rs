//! The supervisor: known stories as tables, and a scripted world under virtual time.
#![allow(clippy::unwrap_used, reason = "tests")]

mod stories;
mod world;
