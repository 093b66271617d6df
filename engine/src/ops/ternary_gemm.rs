//! Ternary matrix times several int8 rows (`shaders/ternary_gemm.wgsl`).

use super::ternary_gemv::TernaryGemv;
use super::{Access, BufferId, Op, Step, Tuning};
use crate::Error;
use crate::exec::CpuMemory;
use crate::shader::Kernel;

/// Tokens of one invocation, `TOKENS` in the shader. With four rows it is the fastest tile of those tried (2 to 8 of each).
pub const GEMM_TOKENS: u32 = 4;

/// Rows of one invocation, `ROWS` in the shader.
pub const GEMM_ROWS: u32 = 4;

/// The same product as [`TernaryGemv`] for each token of a run, and bit-identical to it. Buffers: `w`, `gamma`, `q`,
/// `rows`, `y`.
#[derive(Debug, Clone)]
pub struct TernaryGemm {
    /// The product for one token.
    pub product: TernaryGemv,
    /// Largest number of tokens in a run.
    pub max_tokens: u32,
}

impl Op for TernaryGemm {
    fn kernel(&self) -> Kernel {
        Kernel::TernaryGemm
    }

    fn access(&self) -> &'static [Access] {
        self.product.access()
    }

    fn params(&self) -> Vec<u8> {
        self.product.params_bytes()
    }

    fn constants(&self, tuning: &Tuning) -> Vec<(&'static str, f64)> {
        vec![
            ("WG", f64::from(tuning.gemm_workgroup)),
            ("R", f64::from(self.product.rows_per_tile)),
            ("EPILOGUE", f64::from(self.product.epilogue.code())),
        ]
    }

    fn sizes(&self, _tuning: &Tuning) -> Vec<(&'static str, u32)> {
        vec![("ROWS", GEMM_ROWS), ("TOKENS", GEMM_TOKENS)]
    }

    fn grid(&self, step: &Step, tuning: &Tuning) -> [u32; 3] {
        [
            self.product
                .n_rows
                .div_ceil(tuning.gemm_workgroup * GEMM_ROWS),
            step.n_tokens.div_ceil(GEMM_TOKENS),
            1,
        ]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        self.product
            .check_for("ternary_gemm", u64::from(self.max_tokens), sizes)
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        self.product
            .run_rows(memory, buffers, step.n_tokens as usize);
    }

    fn bytes(&self, step: &Step) -> u64 {
        let per_token = u64::from(self.product.k_padded) + u64::from(self.product.n_rows) * 4;
        self.product.weight_bytes() + u64::from(step.n_tokens) * per_token
    }
}
