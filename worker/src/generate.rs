//! Answering: prompt, prefill, steps.

use std::cell::Cell;
use std::ops::ControlFlow;

use protocol::{Event, Fault, FaultCode, FinishReason, Generate, Outcome, RequestId};

use crate::answer::Answer;
use crate::cap::Cap;
use crate::context;
use crate::race::first;
use crate::runtime::{Runtime, no_device, no_model};
use crate::watch::Watch;
use crate::{Decoder, Engine, EngineFault, Host, Session, TextLoader, TextModel};

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
        let (prompt, decoder) = self.prompt(id, &job)?;
        let mut answer = Answer::new(id, &job, decoder, started_at);
        match self.attempt(id, &job, &prompt, &mut answer).await {
            Ok(reason) => {
                answer.finish(&self.host);
                Ok(Outcome::Answered {
                    reason,
                    usage: answer.usage(prompt.len()),
                })
            }
            Err(EngineFault::Lost(detail)) => {
                // The answer goes on behind what the page has, so nothing that was made is kept back.
                answer.send_all(&self.host);
                Err(self.device_lost(detail))
            }
            Err(EngineFault::Absent(fault) | EngineFault::Fault(fault)) => {
                answer.finish(&self.host);
                Err(fault)
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
            .ok_or_else(no_device)?;
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
            .ok_or_else(|| EngineFault::Fault(no_device()))?;
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
        // What a session does for the first time, browsers may still have to compile.
        let mut watch = Watch {
            host: &self.host,
            silence_seconds: if loaded.has_answered {
                self.policy.silence_seconds
            } else {
                self.policy.slow_silence_seconds
            },
        };
        let tokens = [prompt, answer.accepted()].concat();
        let idle = Cell::new(0);
        let (pace, trend) = (&mut self.pace, &mut self.trend);
        pace.begin();
        trend.begin(session.memory(), context);
        let mut cap = Cap::default();
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
            let rate = self.inbox.tokens_per_second();
            let rest_millis = cap.wait(self.host.now(), rate);
            if rest_millis > 0 {
                // What is there need not wait.
                answer.send_all(&self.host);
                pace.rest();
                tell(&self.host, id, trend.rest().then_some(false), 100);
                first(self.host.sleep(rest_millis), self.inbox.cancelled()).await;
                if self.inbox.is_cancelled() {
                    continue;
                }
            }
            // A device that is to rest in between gets nothing beforehand.
            match rate {
                0 => session.set_run_ahead(pace.ahead(), pace.together()),
                _ => session.set_run_ahead(0, 1),
            }
            let batch_millis = self.policy.batch_millis;
            let step = session.next_token();
            let token = watch
                .over(step, &Cell::new(0), || {
                    answer.send_due(&self.host, batch_millis)
                })
                .await?;
            loaded.has_answered = true;
            watch.silence_seconds = self.policy.silence_seconds;
            if stop_ids.contains(&token) {
                return Ok(FinishReason::Stop);
            }
            let now = self.host.now();
            pace.token(now);
            answer.push(token, now);
            answer.send_due(&self.host, batch_millis);
            if let Some(window) = trend.token(now, tokens.len() + answer.n_made()) {
                pace.follow(&window, trend.is_slow());
                tell(&self.host, id, window.change, window.percent);
            }
            self.host.yield_now().await;
        }
    }
}

/// Tells the page whether the device is slow from now on, if that has changed.
fn tell(host: &impl Host, id: RequestId, change: Option<bool>, percent: u32) {
    if let Some(is_slow) = change {
        host.post(Event::Slowdown {
            id,
            is_slow,
            percent,
        });
    }
}
