//! A static file server for `dist/`, as `cargo xtask serve` runs it: what a good static host does, on this machine or, with a
//! certificate of its own, on the local network.
//!
//! It never builds anything and never writes below the site. A crate of its own, so that `cargo xtask` itself stays quick to
//! compile.

mod certificate;
mod headers;
mod network;
mod site;

pub use certificate::{Authority, ServerCertificate};
pub use network::{Help, Names, address};
pub use site::{normal_base, router};
