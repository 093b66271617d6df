//! A model with its key-value cache: prefill, decode, cancel, truncate.

mod config;
mod logits;

pub use config::{MemoryReport, Sampling, SessionConfig};

use crate::Error;
use crate::exec::{Executor, PendingRead};
use crate::ops::{BufferId, RESULT_SLOTS, Step};
use crate::plan::Plan;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Steps of one submit at most: what a reader would wait for in vain after a stop token, and a divisor of [`RESULT_SLOTS`].
const MAX_STEPS_PER_SUBMIT: u32 = 8;

/// A loaded model with one key-value cache.
#[derive(Debug)]
pub struct Session {
    pub(crate) executor: Executor,
    pub(crate) plan: Plan,
    weight_bytes: u64,
    sampling: Sampling,
    /// Accepted tokens: everything given to `prefill`, then every token that `next_token` returned.
    tokens: Vec<u32>,
    /// Positions whose keys and values are (or will be, once the queue has run) in the cache.
    submitted: u32,
    /// Reads of queued steps' results, oldest first: the token at `tokens.len()`, then the ones after it.
    queued: VecDeque<Results>,
    /// Results that were read and not returned yet: (token, status).
    read: VecDeque<[u32; 2]>,
    /// Steps of one submit, whose results are read together.
    per_submit: u32,
    /// Decode steps kept in flight behind those that are waited for.
    run_ahead: u32,
}

/// Results of consecutive steps on their way from the GPU.
#[derive(Debug)]
struct Results {
    read: PendingRead,
    n_steps: u32,
}

impl Session {
    pub(crate) fn new(executor: Executor, plan: Plan, weight_bytes: u64) -> Self {
        // The CPU runs a step when it is queued, so there is nothing to overlap.
        let run_ahead = if executor.device().is_some() { 2 } else { 0 };
        let is_fast = executor
            .device()
            .is_some_and(|device| !device.is_software());
        Self {
            executor,
            plan,
            weight_bytes,
            sampling: Sampling::default(),
            tokens: Vec::new(),
            submitted: 0,
            queued: VecDeque::new(),
            read: VecDeque::new(),
            per_submit: if is_fast { 2 } else { 1 },
            run_ahead,
        }
    }

    /// Positions that the cache holds.
    #[must_use]
    pub fn context(&self) -> u32 {
        self.plan.context
    }

    /// Rows of the vocabulary.
    #[must_use]
    pub fn vocab(&self) -> u32 {
        self.plan.arch.vocab
    }

    /// Accepted tokens: what was prefilled, then what was sampled.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Where it runs.
    #[must_use]
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Gives the executor back, with the buffers of this session.
    #[must_use]
    pub fn into_executor(self) -> Executor {
        self.executor
    }

    /// How tokens are chosen from the next prefill on.
    pub fn set_sampling(&mut self, sampling: Sampling) {
        self.sampling = sampling;
    }

    /// Decode steps kept in flight behind those that are waited for (0 to 8), which are as many as a submit has. More hides the
    /// latency of reading tokens back; each one may be computed in vain after a stop token.
    pub fn set_run_ahead(&mut self, steps: u32) {
        self.run_ahead = steps.min(8);
    }

    /// Steps of one submit, whose results come back together: 1, 2, 4 or 8 (others count as the next lower). Between submits a
    /// device idles for as long as some dispatches take; the price is that tokens come in groups.
    pub fn set_steps_per_submit(&mut self, steps: u32) {
        self.per_submit = 1 << steps.clamp(1, MAX_STEPS_PER_SUBMIT).ilog2();
    }

    /// Steps of one submit.
    #[must_use]
    pub fn steps_per_submit(&self) -> u32 {
        self.per_submit
    }

    /// GPU bytes in use.
    #[must_use]
    pub fn memory(&self) -> MemoryReport {
        let all = self.executor.allocated_bytes();
        MemoryReport {
            weight_bytes: self.weight_bytes,
            kv_bytes: self.plan.kv_bytes,
            activation_bytes: all - self.weight_bytes - self.plan.kv_bytes,
        }
    }

    /// Makes the cache hold exactly `tokens` and samples the token after them: their longest common prefix with what the
    /// cache holds is kept, the rest is computed in chunks. `progress` gets (done, total) tokens after each chunk; when it
    /// breaks, the work stops there and `Ok(false)` comes back (the chunks done stay in the cache).
    ///
    /// # Errors
    /// [`Error::ContextFull`], [`Error::TokenOutOfRange`], [`Error::Order`] without tokens, [`Error::DeviceLost`].
    pub async fn prefill(
        &mut self,
        tokens: &[u32],
        mut progress: impl FnMut(u32, u32) -> ControlFlow<()>,
    ) -> Result<bool, Error> {
        let pace = |done, total| match done {
            0 => ControlFlow::Continue(u32::MAX),
            _ => progress(done, total).map_continue(|()| u32::MAX),
        };
        self.prefill_paced(tokens, pace).await
    }

    /// Like [`Session::prefill`], but `pace` decides how large the chunks are: it gets (done, total) tokens before each
    /// chunk and after the last one, and says how many tokens the next chunk may have (at least one is computed, and at
    /// most the session's chunk). That is how a caller, who has a clock, keeps the work on the device short. The state
    /// that is left does not depend on it: the same tokens give the same bits in chunks of any size.
    ///
    /// # Errors
    /// As [`Session::prefill`].
    pub async fn prefill_paced(
        &mut self,
        tokens: &[u32],
        mut pace: impl FnMut(u32, u32) -> ControlFlow<(), u32>,
    ) -> Result<bool, Error> {
        let start = self.begin(tokens)?;
        let total = tokens.len() - start;
        let mut done = 0;
        while done < total {
            let ControlFlow::Continue(most) = pace(to_u32(done), to_u32(total)) else {
                return Ok(false);
            };
            let n_tokens = most.clamp(1, self.plan.chunk) as usize;
            let end = total.min(done + n_tokens);
            self.run_chunk(&tokens[start + done..start + end], end == total)?;
            done = end;
            if done < total {
                self.executor.flush().await?;
            }
        }
        let stop = pace(to_u32(total), to_u32(total)).is_break();
        if stop {
            self.forget_queue();
        }
        Ok(!stop)
    }

    /// Like [`Session::prefill`] but one token at a time through the decode kernels: the way to resume on a device where
    /// the two do not give the same bits.
    ///
    /// # Errors
    /// As [`Session::prefill`].
    pub async fn replay(&mut self, tokens: &[u32]) -> Result<(), Error> {
        let start = self.begin(tokens)?;
        for (i, token) in tokens[start..].iter().enumerate() {
            let last = start + i + 1 == tokens.len();
            self.run_chunk(std::slice::from_ref(token), last)?;
            if i % 16 == 15 {
                self.executor.flush().await?;
            }
        }
        Ok(())
    }

    /// Checks the tokens, drops what is queued, keeps the common prefix and returns its length. At least one token is left
    /// to compute, since its logits are wanted.
    fn begin(&mut self, tokens: &[u32]) -> Result<usize, Error> {
        self.check_tokens(tokens)?;
        if tokens.is_empty() {
            return Err(Error::Order {
                what: "a prefill needs at least one token",
            });
        }
        let common = self
            .tokens
            .iter()
            .zip(tokens)
            .take_while(|(a, b)| a == b)
            .count();
        let valid = self.cached().min(common).min(tokens.len() - 1);
        self.truncate(to_u32(valid));
        self.executor.write(
            self.plan.io.sampling,
            0,
            bytemuck::bytes_of(&self.sampling.params()),
        )?;
        self.executor
            .write(self.plan.io.history, 0, bytemuck::cast_slice(tokens))?;
        Ok(valid)
    }

    fn check_tokens(&self, tokens: &[u32]) -> Result<(), Error> {
        let vocab = self.plan.arch.vocab;
        if let Some(&id) = tokens.iter().find(|&&id| id >= vocab) {
            return Err(Error::TokenOutOfRange { id, vocab });
        }
        if tokens.len() > self.plan.context as usize {
            return Err(Error::ContextFull {
                needed: tokens.len() as u64,
                context: self.plan.context,
            });
        }
        Ok(())
    }

    /// Queues the layers for a chunk at the end of the cache, and for the last chunk the head and the sampler.
    fn run_chunk(&mut self, chunk: &[u32], last: bool) -> Result<(), Error> {
        let n_tokens = to_u32(chunk.len());
        let step = Step {
            pos: self.submitted,
            n_tokens,
            logit_row: n_tokens - 1,
            n_logits: 1,
        };
        self.executor
            .write(self.plan.io.tokens, 0, bytemuck::cast_slice(chunk))?;
        self.executor
            .write(self.plan.io.step, 0, bytemuck::bytes_of(&step))?;
        let body = if n_tokens == 1 {
            &self.plan.decode
        } else {
            &self.plan.prefill
        };
        if last {
            // The first token is wanted as soon as it is there.
            let read = self.executor.run_and_read(
                &[body, &self.plan.head, &self.plan.sample],
                &[step],
                results(&self.plan, self.submitted + n_tokens, 1),
            )?;
            self.queued.push_back(Results { read, n_steps: 1 });
        } else {
            self.executor.run(&[body], &step)?;
        }
        self.tokens.extend_from_slice(chunk);
        self.submitted += n_tokens;
        Ok(())
    }

    /// Queues decode steps and the read of their results, in one submit.
    fn queue_steps(&mut self) -> Result<(), Error> {
        // Groups end at fixed entries of the ring, so that none wraps around.
        let n_steps = (self.per_submit - (self.submitted + 1) % self.per_submit)
            .min(self.plan.context - self.submitted);
        let mut steps = [Step::default(); MAX_STEPS_PER_SUBMIT as usize];
        let steps = &mut steps[..n_steps as usize];
        for (step, pos) in steps.iter_mut().zip(self.submitted..) {
            *step = Step {
                pos,
                n_tokens: 1,
                logit_row: 0,
                n_logits: 1,
            };
        }
        self.submitted += n_steps;
        let programs = [&self.plan.decode, &self.plan.head, &self.plan.sample];
        let range = results(&self.plan, self.submitted, n_steps);
        let read = self.executor.run_and_read(&programs, steps, range)?;
        self.queued.push_back(Results { read, n_steps });
        Ok(())
    }

    /// Steps whose results were not read yet.
    fn in_flight(&self) -> u32 {
        self.queued.iter().map(|results| results.n_steps).sum()
    }

    /// Forgets the results of everything that is queued.
    fn forget_queue(&mut self) {
        self.queued.clear();
        self.read.clear();
    }

    /// The next token. Queues further steps behind it first, so that the GPU never waits for the answer.
    ///
    /// # Errors
    /// [`Error::Order`] before a prefill, [`Error::ContextFull`] when the last position is taken, [`Error::NonFinite`],
    /// [`Error::DeviceLost`].
    pub async fn next_token(&mut self) -> Result<u32, Error> {
        if !self.holds_next_token() {
            return Err(Error::Order {
                what: "next_token needs a prefill first",
            });
        }
        if self.read.is_empty() {
            // Those that are waited for, and behind them as many as the device needs to be busy until more are queued.
            while self.submitted < self.plan.context && self.is_idle_soon() {
                self.queue_steps()?;
            }
            let Some(results) = self.queued.pop_front() else {
                let context = self.plan.context;
                return Err(Error::ContextFull {
                    needed: u64::from(context) + 1,
                    context,
                });
            };
            let bytes = self.executor.finish_read(results.read).await?;
            self.read.extend(
                bytes
                    .chunks_exact(8)
                    .map(bytemuck::pod_read_unaligned::<[u32; 2]>),
            );
        }
        let [id, status] = self.read.pop_front().expect("a read brings a result");
        if status != 0 {
            return Err(Error::NonFinite {
                position: to_u32(self.tokens.len()) - 1,
            });
        }
        self.tokens.push(id);
        Ok(id)
    }

    /// Whether fewer steps than wanted are queued behind the results that are waited for next.
    fn is_idle_soon(&self) -> bool {
        let next = self.queued.front().map(|results| results.n_steps);
        next.is_none_or(|n_steps| self.in_flight() < n_steps + self.run_ahead)
    }

    /// Whether the executor holds the token of the position that the next decode step processes: sampled by the last queued
    /// step, or, with an empty queue, the last accepted token, which no step has processed yet.
    fn holds_next_token(&self) -> bool {
        self.in_flight() > 0
            || !self.read.is_empty()
            || self.submitted as usize + 1 == self.tokens.len()
    }

    /// Positions of `tokens` whose keys and values are in the cache.
    pub(crate) fn cached(&self) -> usize {
        self.tokens.len().min(self.submitted as usize)
    }

    /// Waits until the device has done all that was queued: for measurements that begin from rest.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub async fn settle(&mut self) -> Result<(), Error> {
        self.executor.flush().await
    }

    /// Forgets every token from `n_tokens` on, and everything that is queued. A last accepted token that was not computed
    /// yet is forgotten too: the next prefill brings it again.
    pub fn truncate(&mut self, n_tokens: u32) {
        self.forget_queue();
        self.tokens.truncate(n_tokens as usize);
        self.submitted = self.submitted.min(to_u32(self.tokens.len()));
        self.tokens.truncate(self.submitted as usize);
    }
}

/// Where the results of the last `n_steps` of `submitted` positions are.
fn results(plan: &Plan, submitted: u32, n_steps: u32) -> (BufferId, u64, u64) {
    let first = u64::from((submitted + 1 - n_steps) % RESULT_SLOTS);
    (plan.io.results, first * 8, u64::from(n_steps) * 8)
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).expect("bounded by the context, which is u32")
}
