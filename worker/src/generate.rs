//! Answering: prompt, prefill, steps, and going on after a lost device.

use std::cell::Cell;
use std::ops::ControlFlow;

use protocol::{Event, Fault, FaultCode, FinishReason, Generate, Outcome, RequestId, Usage};

use crate::answer::Answer;
use crate::context;
use crate::race::minding;
use crate::runtime::{Runtime, no_model};
use crate::{Decoder, Engine, EngineFault, Host, Session, TextLoader, TextModel};

/// Milliseconds between two looks at a device that is silent.
const TICK_MILLIS: u32 = 1000;

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    pub(crate) async fn generate(
        &mut self,
        id: RequestId,
        job: Generate,
    ) -> Result<Outcome, Fault> {
        let started_at = self.host.now();
        job.sampling
            .check()
            .map_err(|error| Fault::new(FaultCode::BadRequest, error.to_string()))?;
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        if loaded.text.is_none() {
            return Err(Fault::new(
                FaultCode::NoChat,
                "the package has no tokenizer",
            ));
        }
        // A device that was lost before is replaced first: only it knows how much context there is.
        if loaded.session.is_none() && !self.open_session(id, 0).await? {
            return Ok(Outcome::Answered {
                reason: FinishReason::Cancelled,
                usage: Usage::default(),
            });
        }
        let (prompt, decoder) = self.prompt(id, &job)?;
        let mut answer = Answer::new(id, &job, decoder, started_at);
        let mut n_losses = 0;
        loop {
            let n_before = answer.accepted().len();
            let lost = match self.attempt(id, &job, &prompt, &mut answer).await {
                Ok(reason) => return Ok(self.finish(&mut answer, reason, prompt.len())),
                Err(EngineFault::Lost(detail)) => detail,
                Err(EngineFault::Absent(fault) | EngineFault::Fault(fault)) => {
                    answer.finish(&self.host);
                    return Err(fault);
                }
            };
            n_losses = if answer.accepted().len() > n_before {
                1
            } else {
                n_losses + 1
            };
            if n_losses > self.policy.max_losses_without_progress {
                answer.finish(&self.host);
                return Err(Fault::new(FaultCode::DeviceLost, lost));
            }
            answer.recoveries += 1;
            match self.recover(id, lost).await {
                Ok(true) => {}
                Ok(false) => {
                    return Ok(self.finish(&mut answer, FinishReason::Cancelled, prompt.len()));
                }
                Err(fault) => {
                    answer.finish(&self.host);
                    return Err(fault);
                }
            }
        }
    }

    /// The prompt, as much of it as fits the context, and a decoder for the answer.
    fn prompt(
        &self,
        id: RequestId,
        job: &Generate,
    ) -> Result<(Vec<u32>, <T::Model as TextModel>::Decoder), Fault> {
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        let (text, session) = loaded
            .text
            .as_ref()
            .zip(loaded.session.as_ref())
            .ok_or_else(no_model)?;
        let fitted = context::fit(
            &job.messages,
            session.context(),
            job.max_tokens,
            |messages| text.prompt(messages),
        )?;
        if fitted.left_out > 0 {
            self.host.post(Event::Trimmed {
                id,
                messages: u32::try_from(fitted.left_out).unwrap_or(u32::MAX),
            });
        }
        Ok((fitted.prompt, text.decoder()))
    }

    fn finish<D: Decoder>(
        &self,
        answer: &mut Answer<D>,
        reason: FinishReason,
        n_prompt: usize,
    ) -> Outcome {
        answer.finish(&self.host);
        Outcome::Answered {
            reason,
            usage: answer.usage(n_prompt),
        }
    }

    /// Reads the prompt and the accepted tokens, then makes tokens until the answer ends or the device is lost.
    async fn attempt<D: Decoder>(
        &mut self,
        id: RequestId,
        job: &Generate,
        prompt: &[u32],
        answer: &mut Answer<D>,
    ) -> Result<FinishReason, EngineFault> {
        let loaded = self
            .model
            .as_mut()
            .ok_or_else(|| EngineFault::Fault(no_model()))?;
        let session = loaded
            .session
            .as_mut()
            .ok_or_else(|| EngineFault::Fault(no_model()))?;
        let stop_ids = loaded
            .package
            .manifest
            .text
            .as_ref()
            .map_or(&[][..], |text| &text.stop_ids);
        let context = session.context();
        if let Some(reason) = answer.limit(prompt.len(), context) {
            return Ok(reason);
        }
        session.set_sampling(&job.sampling);
        let watch = Watch {
            host: &self.host,
            silence_seconds: self.policy.silence_seconds,
        };
        let tokens = [prompt, answer.accepted()].concat();
        let idle = Cell::new(0);
        let pace = &mut self.pace;
        pace.begin();
        let read = session.prefill(&tokens, |done, total| {
            idle.set(0);
            self.host.post(Event::Prefill { id, done, total });
            if self.inbox.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(pace.next(self.host.now(), done))
            }
        });
        if !watch.over(read, &idle, || None).await? {
            return Ok(FinishReason::Cancelled);
        }
        loop {
            if self.inbox.is_cancelled() {
                return Ok(FinishReason::Cancelled);
            }
            if let Some(reason) = answer.limit(prompt.len(), context) {
                return Ok(reason);
            }
            let batch_millis = self.policy.batch_millis;
            let step = session.next_token();
            let token = watch
                .over(step, &Cell::new(0), || {
                    answer.send_due(&self.host, batch_millis)
                })
                .await?;
            if stop_ids.contains(&token) {
                return Ok(FinishReason::Stop);
            }
            answer.push(token, self.host.now());
            answer.send_due(&self.host, batch_millis);
            self.host.yield_now().await;
        }
    }
}

/// Looks after work on the device.
struct Watch<'a, H> {
    host: &'a H,
    silence_seconds: u32,
}

impl<H: Host> Watch<'_, H> {
    /// Waits for `work`. A device that gives no sign of life for too long (whoever sees one sets `idle` to 0) is lost.
    /// `flush` is called now and then, and says after how many milliseconds it wants to be called again.
    async fn over<T>(
        &self,
        work: impl Future<Output = Result<T, EngineFault>>,
        idle: &Cell<u32>,
        mut flush: impl FnMut() -> Option<u32>,
    ) -> Result<T, EngineFault> {
        let tick = || {
            // A tick of a running event loop, shortened when something waits to be sent: that happens at most once a
            // batch, so it hardly hastens the verdict.
            idle.set(idle.get() + 1);
            let wait = flush().unwrap_or(TICK_MILLIS).clamp(1, TICK_MILLIS);
            (idle.get() <= self.silence_seconds + 1).then_some(wait)
        };
        match minding(self.host, work, tick).await {
            Some(result) => result,
            None => {
                let detail = format!(
                    "no sign of life from the GPU for {} seconds",
                    self.silence_seconds
                );
                Err(EngineFault::Lost(detail))
            }
        }
    }
}
