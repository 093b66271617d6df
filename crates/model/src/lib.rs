//! Model files as data: the package format (manifest, tensor index, shards), the readers of original
//! checkpoints, the converter between them, and the state machine that fetches them.
//!
//! This crate never touches a GPU, a network or a browser. Reading a package is pure: bytes in, typed values out.
//! The format is specified in `docs/FORMAT.md`; the rounding and packing rules come from there.

pub mod architecture;
pub mod archive;
pub mod checkpoint;
pub mod convert;
pub mod download;
mod error;
pub mod hash;
pub mod hub;
pub mod inspect;
pub mod layout;
pub mod manifest;
pub mod package;
pub mod source;
mod validate;

pub use error::{ArchiveError, ContainerError, Error, HubError};
pub use manifest::{
    Activation, Architecture, Coding, Encoding, Manifest, Piece, Scale, Shard, Tensor,
    TernaryLayout,
};
