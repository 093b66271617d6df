//! CPU references: the specification of every kernel, on plain slices, with exact integers and f32 floats.
//! Written to be read, not to be fast; the GPU is tested against them.

mod attention;
mod attention_combine;
mod attention_loop;
mod embed;
mod lm_head;
mod logit_scan;
mod norm_gemv;
mod norm_quantize;
mod rms_norm;
mod rope_attention;
mod rope_kv;
mod sample;
mod ternary_gemm;
mod ternary_gemv;

pub use attention::{Partial, attention, attention_chunk};
pub use attention_combine::attention_combine;
pub use attention_loop::attention_loop;
pub use embed::{RowTable, embed};
pub use lm_head::lm_head;
pub use logit_scan::{Found, NOT_FINITE, logit_scan};
pub use norm_gemv::norm_gemv;
pub use norm_quantize::{RowScale, norm_quantize};
pub use rms_norm::rms_norm;
pub use rope_attention::rope_attention;
pub use rope_kv::{KvRows, quantize_kv, rope};
pub use sample::{
    GREEDY_BELOW, STATUS_NON_FINITE, STATUS_OK, Sampled, argmax, choose, order_key, penalize,
    philox, sample, weight_threshold, weights,
};
pub use ternary_gemm::ternary_gemm;
pub use ternary_gemv::{TernaryMatrix, ternary_gemv};
