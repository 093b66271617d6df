//! How fast a model runs, in a few seconds: a prompt is read and tokens are made as in an answer, with a clock beside it.

mod shape;

use std::cell::Cell;
use std::ops::ControlFlow;

use protocol::{
    BenchmarkReport, BenchmarkStep, ByteCount, Event, Fault, Outcome, RequestId, SamplingSettings,
    Settings,
};

use crate::pace::Pace;
use crate::race::{First, first};
use crate::runtime::{Runtime, no_model, plain_fault};
use crate::watch::Watch;
use crate::{Engine, EngineFault, Host, Inbox, Session, TextLoader};

/// Most tokens of a step, and the milliseconds after which it ends on a device that is slower.
#[derive(Clone, Copy)]
struct Budget {
    tokens: u32,
    millis: f64,
}

/// Everything is done once, and the size of a chunk is found.
const WARM_UP: Budget = Budget {
    tokens: 128,
    millis: 1000.0,
};
const PREFILL: Budget = Budget {
    tokens: 512,
    millis: 2000.0,
};
const DECODE: Budget = Budget {
    tokens: 128,
    millis: 3000.0,
};
/// Tokens in front of those that are made.
const PROMPT: u32 = 16;

/// Tokens and the time that they took.
#[derive(Clone, Copy, Default)]
struct Speed {
    tokens: u32,
    millis: f64,
}

/// Measures one session.
struct Bench<'a, H> {
    host: &'a H,
    inbox: &'a Inbox,
    pace: &'a mut Pace,
    silence_seconds: u32,
    id: RequestId,
    vocab: u32,
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Measures the loaded model, or one that is made up for the purpose.
    pub(crate) async fn benchmark(
        &mut self,
        id: RequestId,
        settings: &Settings,
    ) -> Result<Outcome, Fault> {
        self.host.post(Event::Measuring {
            id,
            step: BenchmarkStep::WarmUp,
            done: 0,
            total: WARM_UP.tokens,
        });
        if self.has_session() {
            match self.measure_loaded(id).await {
                Err(EngineFault::Lost(detail)) => Err(self.device_lost(detail)),
                measured => measured.map_err(plain_fault),
            }
        } else {
            self.measure_made_up(id, settings)
                .await
                .map_err(plain_fault)
        }
    }

    async fn measure_loaded(&mut self, id: RequestId) -> Result<Outcome, EngineFault> {
        let no_model = || EngineFault::Fault(no_model());
        let loaded = self.model.as_mut().ok_or_else(no_model)?;
        let manifest = &loaded.package.manifest;
        let session = loaded.session.as_mut().ok_or_else(no_model)?;
        let mut bench = Bench {
            host: &self.host,
            inbox: &self.inbox,
            pace: &mut self.pace,
            silence_seconds: self.policy.slow_silence_seconds,
            id,
            vocab: manifest.architecture.vocab,
        };
        let measured = bench.run(session).await?;
        loaded.has_answered |= measured.is_some();
        let weight_bytes = session.memory().weight_bytes;
        Ok(outcome(
            measured,
            manifest.name.clone(),
            false,
            weight_bytes,
        ))
    }

    async fn measure_made_up(
        &mut self,
        id: RequestId,
        settings: &Settings,
    ) -> Result<Outcome, EngineFault> {
        let silence_seconds = self.policy.slow_silence_seconds;
        let watch = Watch {
            host: &self.host,
            silence_seconds,
        };
        let opened = watch.once(self.engine.made_up(settings, None));
        let mut made_up = match first(opened, self.inbox.cancelled()).await {
            First::Left(opened) => opened?,
            First::Right(()) => return Ok(Outcome::Cancelled),
        };
        let mut bench = Bench {
            host: &self.host,
            inbox: &self.inbox,
            // Another model says nothing of this one's chunks.
            pace: &mut Pace::new(self.policy.chunk_millis),
            silence_seconds,
            id,
            vocab: made_up.vocab,
        };
        let measured = bench.run(&mut made_up.session).await?;
        let weight_bytes = made_up.session.memory().weight_bytes;
        Ok(outcome(measured, made_up.name, true, weight_bytes))
    }
}

fn outcome(
    measured: Option<(Speed, Speed)>,
    model: String,
    is_made_up: bool,
    weight_bytes: u64,
) -> Outcome {
    let Some((prefill, decode)) = measured else {
        return Outcome::Cancelled;
    };
    Outcome::Measured(BenchmarkReport {
        model,
        is_made_up,
        weight_bytes: ByteCount::saturating(weight_bytes),
        prefill_tokens: prefill.tokens,
        prefill_millis: prefill.millis,
        decode_tokens: decode.tokens,
        decode_millis: decode.millis,
    })
}

impl<H: Host> Bench<'_, H> {
    /// Speed of reading and of making tokens; `None` = cancelled.
    async fn run<S: Session>(
        &mut self,
        session: &mut S,
    ) -> Result<Option<(Speed, Speed)>, EngineFault> {
        session.set_sampling(&SamplingSettings::default());
        let steps = [
            (BenchmarkStep::WarmUp, 1, WARM_UP),
            (BenchmarkStep::Prefill, 2, PREFILL),
        ];
        let mut prefill = Speed::default();
        for (step, salt, budget) in steps {
            let Some(speed) = self.read(session, step, salt, budget).await? else {
                return Ok(None);
            };
            prefill = speed;
        }
        let decode = self.make(session).await?;
        Ok(decode.map(|decode| (prefill, decode)))
    }

    /// Reads a prompt of its own (`salt`), so that nothing of it is in the cache, in the chunks that an answer would have.
    async fn read<S: Session>(
        &mut self,
        session: &mut S,
        step: BenchmarkStep,
        salt: u32,
        budget: Budget,
    ) -> Result<Option<Speed>, EngineFault> {
        let total = budget.tokens.min(session.context() / 2).max(2);
        let tokens = tokens(total, salt, self.vocab);
        let idle = Cell::new(0);
        let (mut began, mut speed) = (None, Speed::default());
        let (host, inbox, id) = (self.host, self.inbox, self.id);
        let pace = &mut *self.pace;
        pace.begin();
        let read = session.prefill(&tokens, |done, total| {
            idle.set(0);
            host.post(Event::Measuring {
                id,
                step,
                done,
                total,
            });
            let now = host.now();
            let began = *began.get_or_insert(now);
            // The device may still be at the last chunk when the end is told.
            if done < total || speed.tokens == 0 {
                speed = Speed {
                    tokens: done,
                    millis: now - began,
                };
            }
            let is_enough = done > 0 && now - began >= budget.millis;
            if is_enough || inbox.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(pace.next(now, done))
            }
        });
        let watch = Watch {
            host,
            silence_seconds: self.silence_seconds,
        };
        watch.over(read, &idle, || None).await?;
        Ok((!inbox.is_cancelled()).then_some(speed))
    }

    /// Makes tokens behind a short prompt, one after the other. The first ones, which wait for the prompt, don't count.
    async fn make<S: Session>(&mut self, session: &mut S) -> Result<Option<Speed>, EngineFault> {
        let context = session.context();
        let prompt = tokens(PROMPT.min(context / 2).max(1), 3, self.vocab);
        let go_on = |_, _| ControlFlow::Continue(u32::MAX);
        self.pace.begin();
        self.prepare(session);
        self.watch().once(session.prefill(&prompt, go_on)).await?;
        self.token(session).await?;
        let n_tokens = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
        let first = 1 + self.fill_group(session, n_tokens).await?;
        let room = context.saturating_sub(n_tokens + first);
        let total = DECODE.tokens.min(room).max(1);
        let began = self.host.now();
        let mut speed = Speed::default();
        while speed.tokens < total && speed.millis < DECODE.millis {
            if self.inbox.is_cancelled() {
                return Ok(None);
            }
            speed = Speed {
                millis: self.token(session).await? - began,
                tokens: speed.tokens + 1,
            };
            self.host.post(Event::Measuring {
                id: self.id,
                step: BenchmarkStep::Decode,
                done: speed.tokens,
                total,
            });
            self.host.yield_now().await;
        }
        Ok(Some(speed))
    }

    /// As much may wait on the device as for an answer.
    fn prepare<S: Session>(&self, session: &mut S) {
        session.set_run_ahead(self.pace.ahead(), self.pace.together());
    }

    /// Makes what is missing to whole groups of steps behind a prompt of `n_tokens` and the token that came with it, so that a clock
    /// that is started then, and stopped behind whole groups, has timed what was made and nothing else. Returns how many that were.
    async fn fill_group<S: Session>(
        &mut self,
        session: &mut S,
        n_tokens: u32,
    ) -> Result<u32, EngineFault> {
        let group = 1 << self.pace.together().ilog2();
        let missing = (group - (n_tokens + 1) % group) % group;
        for _ in 0..missing {
            self.token(session).await?;
        }
        Ok(missing)
    }

    /// Makes a token, and tells when it came.
    async fn token<S: Session>(&mut self, session: &mut S) -> Result<f64, EngineFault> {
        self.prepare(session);
        self.watch().once(session.next_token()).await?;
        let now = self.host.now();
        self.pace.token(now);
        Ok(now)
    }

    fn watch(&self) -> Watch<'_, H> {
        Watch {
            host: self.host,
            silence_seconds: self.silence_seconds,
        }
    }
}

/// A walk over the vocabulary that begins elsewhere with every `salt`.
fn tokens(n_tokens: u32, salt: u32, vocab: u32) -> Vec<u32> {
    (0..n_tokens)
        .map(|i| (salt * 17 + i * 31) % vocab.max(1))
        .collect()
}
