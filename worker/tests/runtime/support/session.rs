//! A session of the scripted engine.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use protocol::{EqualityResult, Fault, FaultCode, SamplingSettings};
use worker::{EngineFault, Memory, Session};

use super::{Break, World};

/// Tokens that one chunk of prefill reads.
const CHUNK: usize = 4;
/// The answer ends when prompt and answer have this many tokens, as long as nobody says otherwise.
pub(crate) const STOP_AT: usize = 80;
/// The id that ends it.
pub(crate) const STOP_ID: u32 = 0;

pub(crate) struct FakeSession {
    pub(crate) world: Rc<World>,
    pub(crate) cache: Vec<u32>,
    pub(crate) seed: u32,
    pub(crate) breaks: Cell<Option<(u32, Break)>>,
    pub(crate) context: u32,
    pub(crate) stop_at: usize,
    pub(crate) idle_loss: Option<u32>,
    /// Milliseconds of a token, where that is not the world's business.
    pub(crate) step_millis: Option<u32>,
}

pub(crate) fn lost() -> EngineFault {
    EngineFault::Lost("scripted".into())
}

impl FakeSession {
    /// One operation on the device.
    async fn operate(&self, millis: u32) -> Result<(), EngineFault> {
        self.world.wait(millis).await;
        match self.breaks.get() {
            None => Ok(()),
            Some((0, Break::Lost)) => Err(lost()),
            Some((0, Break::Hang)) => std::future::pending().await,
            Some((0, Break::Error)) => {
                Err(EngineFault::Fault(Fault::new(FaultCode::Gpu, "scripted")))
            }
            Some((left, kind)) => {
                self.breaks.set(Some((left - 1, kind)));
                Ok(())
            }
        }
    }

    fn sample(&self) -> u32 {
        if self.cache.len() >= self.stop_at {
            return STOP_ID;
        }
        let mix = |hash: u64, value: u32| (hash ^ u64::from(value)).wrapping_mul(0x0100_0000_01b3);
        let hash = self
            .cache
            .iter()
            .fold(mix(0xcbf2_9ce4_8422_2325, self.seed), |hash, &token| {
                mix(hash, token)
            });
        1 + ((hash >> 24) % 255) as u32
    }
}

impl Session for FakeSession {
    fn context(&self) -> u32 {
        self.context
    }

    async fn lost(&self) -> String {
        let Some(millis) = self.idle_loss else {
            return std::future::pending().await;
        };
        self.world.wait(millis).await;
        "scripted, while idle".into()
    }

    fn set_sampling(&mut self, sampling: &SamplingSettings) {
        // Kernels that are tried keep what is wrong with them.
        if self.step_millis.is_none() {
            self.seed = sampling.seed;
        }
    }

    async fn prefill(
        &mut self,
        tokens: &[u32],
        mut pace: impl FnMut(u32, u32) -> ControlFlow<(), u32>,
    ) -> Result<bool, EngineFault> {
        assert!(
            tokens.len() <= self.context as usize,
            "more tokens than the context holds"
        );
        let shared = self
            .cache
            .iter()
            .zip(tokens)
            .take_while(|(a, b)| a == b)
            .count()
            .min(tokens.len() - 1);
        self.cache.truncate(shared);
        let total = tokens.len() - shared;
        while self.cache.len() < tokens.len() {
            let done = self.cache.len() - shared;
            let ControlFlow::Continue(most) = pace(done as u32, total as u32) else {
                return Ok(false);
            };
            let end = (self.cache.len() + CHUNK.min(most as usize)).min(tokens.len());
            self.operate(30).await?;
            self.cache.extend(&tokens[self.cache.len()..end]);
        }
        Ok(pace(total as u32, total as u32).is_continue())
    }

    fn set_run_ahead(&mut self, steps: u32, together: u32) {
        self.world.together.set(together);
        let mut ahead = self.world.ahead.borrow_mut();
        if ahead.last() != Some(&steps) {
            ahead.push(steps);
        }
    }

    async fn next_token(&mut self) -> Result<u32, EngineFault> {
        assert!(
            self.cache.len() < self.context as usize,
            "more tokens than the context holds"
        );
        let millis = self.step_millis;
        self.operate(millis.unwrap_or(self.world.step_millis.get()))
            .await?;
        let token = self.sample();
        self.cache.push(token);
        Ok(token)
    }

    async fn settle(&mut self) -> Result<(), EngineFault> {
        Ok(())
    }

    fn memory(&self) -> Memory {
        Memory {
            weight_bytes: 10,
            kv_bytes: 20,
            activation_bytes: 30,
        }
    }

    async fn prefill_equals_decode(
        &mut self,
        lengths: &[u32],
        truncate: u32,
    ) -> Result<Vec<EqualityResult>, EngineFault> {
        let mut results = Vec::new();
        for &n_tokens in lengths {
            self.operate(50).await?;
            self.cache.clear();
            for truncated in [false, true] {
                if !truncated || (truncate > 0 && truncate < n_tokens) {
                    results.push(EqualityResult {
                        n_tokens,
                        truncated,
                        difference: None,
                    });
                }
            }
        }
        Ok(results)
    }
}
