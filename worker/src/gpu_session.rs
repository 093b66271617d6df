//! A session of the real engine behind the runtime's trait.

use std::ops::ControlFlow;

use engine::Session as EngineSession;
use engine::diagnostics;
use protocol::{EqualityResult, SamplingSettings};

use crate::engine_port::free;
use crate::engine_terms::{engine_sampling, fault};
use crate::{EngineFault, Memory, Session};

/// A loaded model.
pub struct GpuSession {
    session: EngineSession,
    /// Whether prefill and decode leave the same bits.
    is_exact: bool,
}

impl GpuSession {
    /// A session; `is_exact` says whether prefill and decode leave the same bits.
    pub(crate) const fn new(session: EngineSession, is_exact: bool) -> Self {
        Self { session, is_exact }
    }
}

impl Drop for GpuSession {
    fn drop(&mut self) {
        free(self.session.executor());
    }
}

impl Session for GpuSession {
    fn context(&self) -> u32 {
        self.session.context()
    }

    async fn lost(&self) -> String {
        match self.session.executor().device() {
            Some(device) => device.lost().await,
            None => std::future::pending().await,
        }
    }

    fn set_sampling(&mut self, sampling: &SamplingSettings) {
        self.session.set_sampling(engine_sampling(sampling));
    }

    async fn prefill(
        &mut self,
        tokens: &[u32],
        mut pace: impl FnMut(u32, u32) -> ControlFlow<(), u32>,
    ) -> Result<bool, EngineFault> {
        // A chunk of one token takes the kernels of decode.
        let most = if self.is_exact { u32::MAX } else { 1 };
        let pace = |done, total| match pace(done, total) {
            ControlFlow::Continue(n_tokens) => ControlFlow::Continue(n_tokens.min(most)),
            stop => stop,
        };
        self.session
            .prefill_paced(tokens, pace)
            .await
            .map_err(fault)
    }

    fn set_run_ahead(&mut self, steps: u32, together: u32) {
        let device = self.session.executor().device();
        let is_fast = device.is_some_and(|device| !device.is_software());
        self.session.set_run_ahead(steps);
        self.session
            .set_steps_per_submit(if is_fast { together } else { 1 });
    }

    async fn next_token(&mut self) -> Result<u32, EngineFault> {
        self.session.next_token().await.map_err(fault)
    }

    async fn settle(&mut self) -> Result<(), EngineFault> {
        self.session.settle().await.map_err(fault)
    }

    fn memory(&self) -> Memory {
        let memory = self.session.memory();
        Memory {
            weight_bytes: memory.weight_bytes,
            kv_bytes: memory.kv_bytes,
            activation_bytes: memory.activation_bytes,
        }
    }

    async fn prefill_equals_decode(
        &mut self,
        lengths: &[u32],
        truncate: u32,
    ) -> Result<Vec<EqualityResult>, EngineFault> {
        let results = diagnostics::prefill_equals_decode(&mut self.session, lengths, truncate)
            .await
            .map_err(fault)?;
        Ok(results
            .into_iter()
            .map(|result| EqualityResult {
                n_tokens: result.tokens,
                truncated: result.truncated,
                difference: result.difference,
            })
            .collect())
    }
}
