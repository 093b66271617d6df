//! A static file server that does wrong what it is told to: the other side of every test about downloads.
//!
//! It speaks HTTP/1.1 by hand, one thread a connection, because a proper server would not let anybody cut a body in the
//! middle, reset a connection or state a wrong length. Before each answer it asks whoever started it ([`Director`]) how to
//! treat the request, and says afterwards what it sent. The program of the same name does the same over its standard input
//! and output, one JSON text a line, which is how the browser tests use it. It is for tests only: it listens on this machine
//! and knows no limits but theirs.

mod answer;
mod hub;
mod plan;
mod request;
mod send;
mod server;
mod throttle;

pub use hub::Repository;
pub use plan::{Asked, Fault, Sent};
pub use server::{Director, Server, Site};
