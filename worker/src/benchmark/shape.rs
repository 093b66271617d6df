//! Made-up models of published shapes, measured at given lengths: what `window.__ternBench` asks for.

use std::cell::Cell;
use std::ops::ControlFlow;

use protocol::{
    BenchmarkStep, ByteCount, Event, Fault, FaultCode, Outcome, RequestId, SamplingSettings,
    Settings, ShapeJob, ShapeReport, ShapeTime,
};

use super::{Bench, WARM_UP, tokens};
use crate::pace::{MOST_TOGETHER, Pace};
use crate::race::{First, first};
use crate::runtime::{Runtime, plain_fault};
use crate::watch::Watch;
use crate::{Engine, EngineFault, Host, Session, TextLoader};

/// Milliseconds between two events about progress, as between two batches of an answer.
const TOLD_MILLIS: f64 = 16.0;
/// Most lengths, and most repetitions of each.
const MAX_LENGTHS: usize = 16;
const MAX_REPETITIONS: u32 = 32;

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Measures a made-up model, beside the one that may be loaded.
    pub(crate) async fn measure_shape(
        &mut self,
        id: RequestId,
        settings: &Settings,
        job: &ShapeJob,
    ) -> Result<Outcome, Fault> {
        check(job)?;
        self.shape_measured(id, settings, job)
            .await
            .map_err(plain_fault)
    }

    async fn shape_measured(
        &mut self,
        id: RequestId,
        settings: &Settings,
        job: &ShapeJob,
    ) -> Result<Outcome, EngineFault> {
        let silence_seconds = self.policy.slow_silence_seconds;
        let watch = Watch {
            host: &self.host,
            silence_seconds,
        };
        let began = self.host.now();
        let opened = watch.once(self.engine.made_up(settings, Some(&job.shape)));
        let mut made_up = match first(opened, self.inbox.cancelled()).await {
            First::Left(opened) => opened?,
            First::Right(()) => return Ok(Outcome::Cancelled),
        };
        let load_millis = self.host.now() - began;
        let mut bench = Bench {
            host: &self.host,
            inbox: &self.inbox,
            pace: &mut Pace::new(self.policy.chunk_millis),
            silence_seconds,
            id,
            vocab: made_up.vocab,
        };
        let times = bench.times(&mut made_up.session, job).await?;
        let Some((prefill, decode)) = times else {
            return Ok(Outcome::Cancelled);
        };
        let memory = made_up.session.memory();
        Ok(Outcome::ShapeMeasured(ShapeReport {
            shape: made_up.name,
            weight_bytes: ByteCount::saturating(memory.weight_bytes),
            kv_bytes: ByteCount::saturating(memory.kv_bytes),
            activation_bytes: ByteCount::saturating(memory.activation_bytes),
            load_millis,
            prefill,
            decode,
        }))
    }
}

/// Refuses what would measure nothing, and what nobody means.
fn check(job: &ShapeJob) -> Result<(), Fault> {
    let n_lengths = job.prompts.len() + job.contexts.len();
    let is_sound = (1..=MAX_LENGTHS).contains(&n_lengths)
        && (1..=MAX_REPETITIONS).contains(&job.repetitions)
        && !job.prompts.contains(&0)
        && !job.contexts.contains(&0)
        && (job.tokens > 0 || job.contexts.is_empty());
    if is_sound {
        return Ok(());
    }
    let detail = format!(
        "expected 1 to {MAX_LENGTHS} lengths above 0, 1 to {MAX_REPETITIONS} repetitions and at least 1 token, got {job:?}"
    );
    Err(Fault::new(FaultCode::BadRequest, detail))
}

impl<H: Host> Bench<'_, H> {
    /// All times of `job`; `None` = cancelled.
    async fn times<S: Session>(
        &mut self,
        session: &mut S,
        job: &ShapeJob,
    ) -> Result<Option<(Vec<ShapeTime>, Vec<ShapeTime>)>, EngineFault> {
        let context = session.context();
        let longest_prompt = job
            .prompts
            .iter()
            .max()
            .map_or(0, |prompt| prompt.saturating_add(1));
        let longest = job.contexts.iter().max().map_or(0, |made| {
            let behind = job.tokens.saturating_add(MOST_TOGETHER);
            made.saturating_add(behind)
        });
        let wanted = longest_prompt.max(longest);
        if wanted > context {
            let detail = format!("the context has {context} tokens, {wanted} are needed");
            return Err(EngineFault::Fault(Fault::new(
                FaultCode::BadRequest,
                detail,
            )));
        }
        session.set_sampling(&SamplingSettings::default());
        if self
            .read(session, BenchmarkStep::WarmUp, 1, WARM_UP)
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let mut salt = 1;
        let (mut prefill, mut decode) = (Vec::new(), Vec::new());
        for &n_tokens in &job.prompts {
            let mut millis = Vec::new();
            for _ in 0..job.repetitions {
                salt += 1;
                // Tokens that were queued ahead of their reading are none of this prompt.
                self.watch().once(session.settle()).await?;
                let began = self.host.now();
                if !self.fill(session, n_tokens, salt).await? {
                    return Ok(None);
                }
                millis.push(self.host.now() - began);
            }
            prefill.push(ShapeTime {
                context: 0,
                tokens: n_tokens,
                millis,
            });
        }
        for &context in &job.contexts {
            let mut millis = Vec::new();
            for _ in 0..job.repetitions {
                salt += 1;
                if !self.fill(session, context, salt).await? {
                    return Ok(None);
                }
                self.fill_group(session, context).await?;
                let Some(took) = self.answer(session, job.tokens).await? else {
                    return Ok(None);
                };
                millis.push(took);
            }
            decode.push(ShapeTime {
                context,
                tokens: job.tokens,
                millis,
            });
        }
        Ok(Some((prefill, decode)))
    }

    /// Reads a prompt and makes the first token behind it; `false` = cancelled.
    async fn fill<S: Session>(
        &mut self,
        session: &mut S,
        n_tokens: u32,
        salt: u32,
    ) -> Result<bool, EngineFault> {
        let prompt = tokens(n_tokens, salt, self.vocab);
        let idle = Cell::new(0);
        let (host, inbox) = (self.host, self.inbox);
        let watch = Watch {
            host,
            silence_seconds: self.silence_seconds,
        };
        let pace = &mut *self.pace;
        pace.begin();
        session.set_run_ahead(pace.ahead(), pace.together());
        let read = session.prefill(&prompt, |done, _| {
            idle.set(0);
            if inbox.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(pace.next(host.now(), done))
            }
        });
        if !watch.over(read, &idle, || None).await? {
            return Ok(false);
        }
        self.token(session).await?;
        Ok(true)
    }

    /// Makes `total` tokens as an answer does, and tells the milliseconds.
    async fn answer<S: Session>(
        &mut self,
        session: &mut S,
        total: u32,
    ) -> Result<Option<f64>, EngineFault> {
        let began = self.host.now();
        let mut told_at = began;
        for done in 1..=total {
            if self.inbox.is_cancelled() {
                return Ok(None);
            }
            let now = self.token(session).await?;
            if now - told_at >= TOLD_MILLIS {
                told_at = now;
                self.host.post(Event::Measuring {
                    id: self.id,
                    step: BenchmarkStep::Decode,
                    done,
                    total,
                });
            }
            self.host.yield_now().await;
        }
        Ok(Some(self.host.now() - began))
    }
}
