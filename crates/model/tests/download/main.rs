//! The download machine in a scripted world with virtual time.

mod content;
mod random;
mod server;
mod stories;
mod world;
