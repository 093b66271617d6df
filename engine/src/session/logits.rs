//! Logits of every position, for evaluation and for comparisons with references.

use super::{Session, to_u32};
use crate::Error;
use crate::ops::Step;
use crate::plan::MAX_LOGIT_ROWS;

impl Session {
    /// Logits `[tokens.len(), vocab]` of every position. Clears the cache first and leaves it holding `tokens`.
    ///
    /// # Errors
    /// [`Error::ContextFull`], [`Error::TokenOutOfRange`], [`Error::DeviceLost`].
    pub async fn logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        self.check_tokens(tokens)?;
        self.truncate(0);
        let mut all = Vec::with_capacity(tokens.len() * self.plan.arch.vocab as usize);
        for chunk in tokens.chunks(self.plan.chunk as usize) {
            self.run_chunk(chunk, false)?;
            let n_tokens = to_u32(chunk.len());
            for row in (0..n_tokens).step_by(MAX_LOGIT_ROWS as usize) {
                all.extend(
                    self.head_rows(n_tokens, row, MAX_LOGIT_ROWS.min(n_tokens - row))
                        .await?,
                );
            }
        }
        Ok(all)
    }

    /// Logits of some rows of the chunk that ran last.
    async fn head_rows(
        &mut self,
        n_tokens: u32,
        logit_row: u32,
        n_logits: u32,
    ) -> Result<Vec<f32>, Error> {
        let step = Step {
            pos: self.submitted - n_tokens,
            n_tokens,
            logit_row,
            n_logits,
        };
        self.executor
            .write(self.plan.io.step, 0, bytemuck::bytes_of(&step))?;
        self.executor.run(&[&self.plan.head], &step)?;
        let bytes = u64::from(n_logits) * u64::from(self.plan.arch.vocab) * 4;
        let logits = self.executor.read(self.plan.io.logits, 0, bytes).await?;
        Ok(bytemuck::pod_collect_to_vec(&logits))
    }
}
