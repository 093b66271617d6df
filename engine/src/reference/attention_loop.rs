//! Reference of `shaders/attention_loop.wgsl`: it computes what [`attention`](super::attention()) does.

pub use super::attention::attention as attention_loop;
