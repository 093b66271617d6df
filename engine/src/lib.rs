//! Inference of ternary (1.58-bit) decoder-only transformers on wgpu.
//!
//! A [`model::Manifest`] and its shards go into a [`ModelLoader`]; out comes a [`Session`] with a key-value cache that
//! prefills prompts and samples tokens. All arithmetic is in WGSL kernels (`shaders/`), each with a CPU reference in
//! [`mod@reference`] that is its specification; an [`Executor`] runs the same program on either.
//!
//! The engine awaits nothing but the GPU, reads no clock, and allocates no GPU buffer while decoding.

pub mod bench;
pub mod device;
pub mod diagnostics;
mod error;
pub mod exec;
mod loader;
pub mod ops;
mod plan;
pub mod reference;
pub mod selftest;
mod session;
pub mod shader;
mod tuning;
mod variant;
mod weights;

pub use device::{Device, DeviceOptions};
pub use error::Error;
pub use exec::Executor;
pub use loader::ModelLoader;
pub use plan::memory_need;
pub use session::{MemoryReport, Sampling, Session, SessionConfig};
pub use variant::{Dot, KvType, Reduce, Rows, Variant};
