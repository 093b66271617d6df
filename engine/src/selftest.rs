//! A numeric self-test: a model of a few thousand weights runs on the device in the variant that the real one will use, and
//! must say what the CPU references say. Right after a device was opened, it tells a driver that computes
//! nonsense from one that can be trusted, before anybody reads the nonsense.
//!
//! It also looks whether prefill and decode leave the same bits (a rule that the kernels keep and a compiler may
//! break). Where they do not, prompts have to be read token by token for an answer to be continued exactly.

use crate::bench::synthetic::Synthetic;
use crate::ops::Tuning;
use crate::{Error, Executor, KvType, ModelLoader, Session, SessionConfig};
use model::architecture::Role;
use model::{Architecture, Encoding, Manifest};
use std::ops::ControlFlow;

/// Tokens that the test reads: more than a pair of attention's chunks, so that pairs are merged, and no multiple of anything.
const N_TOKENS: u32 = 131;
/// The last of them are read one by one, by the kernels of decode.
const N_DECODED: u32 = 9;
/// Positions of its cache. A test must not need more memory than a small model.
const CONTEXT: u32 = 144;
/// Largest difference to the references, relative to the largest logit. Sums in another order and fused multiplications
/// differ in the last bits of f32, and one of them may flip the rounding of an int8 activation, which moves a logit by about a
/// part in 127 of one of 256 terms; a wrong lane, scale or index moves logits by their own size.
const TOLERANCE: f32 = 0.02;

/// What a device must compute.
#[derive(Debug, Clone)]
pub struct SelfTest {
    /// What it was made for.
    like: Architecture,
    rows: Encoding,
    synthetic: Synthetic,
    kv: KvType,
    logits: Vec<f32>,
    next: u32,
}

/// What a device computed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// What is wrong with the numbers, if anything. Such a device must not be used in this variant.
    pub problem: Option<String>,
    /// Where prefill and decode differ, if they do.
    pub inexact: Option<String>,
}

impl SelfTest {
    /// A test for models like `manifest` with this type of cache. Runs the CPU references.
    ///
    /// # Errors
    /// [`Error::Package`] or [`Error::Model`] when there is no small model like it.
    pub async fn new(manifest: &Manifest, kv: KvType) -> Result<Self, Error> {
        let architecture = Architecture {
            hidden: 256,
            ffn: 320,
            layers: 1,
            heads: 4,
            kv_heads: 2,
            head_dim: 64,
            vocab: 300,
            context: CONTEXT,
            ..manifest.architecture.clone()
        };
        let rows = rows_encoding(manifest);
        let tile = manifest.ternary.rows_per_tile;
        let synthetic = Synthetic::new("self-test", architecture, rows, tile, 1)?;
        let mut test = Self {
            like: manifest.architecture.clone(),
            rows,
            synthetic,
            kv,
            logits: Vec::new(),
            next: 0,
        };
        let mut session = test.session(Executor::cpu()).await?;
        session.replay(&tokens()).await?;
        test.logits = logits(&mut session).await?;
        test.next = session.next_token().await?;
        Ok(test)
    }

    /// Whether this is the test for such models.
    #[must_use]
    pub fn is_for(&self, manifest: &Manifest, kv: KvType) -> bool {
        self.kv == kv && self.like == manifest.architecture && self.rows == rows_encoding(manifest)
    }

    /// Runs the test on an executor without buffers, and gives the executor back as it was, its kernels compiled.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], and [`Error::Validation`] when a kernel does not compile; wrong numbers are a verdict.
    pub async fn run(&self, executor: Executor) -> Result<(Executor, Verdict), Error> {
        let mut session = self.session(executor).await?;
        session.set_run_ahead(0);
        let verdict = self.judge(&mut session).await;
        let mut executor = session.into_executor();
        executor.free_buffers();
        verdict.map(|verdict| (executor, verdict))
    }

    async fn session(&self, executor: Executor) -> Result<Session, Error> {
        let config = SessionConfig {
            kv: self.kv,
            context: CONTEXT,
            ..SessionConfig::default()
        };
        let manifest = self.synthetic.manifest();
        let mut loader = ModelLoader::new(executor, manifest, &config)?;
        for index in (0..).take(manifest.shards.len()) {
            loader
                .push_shard(index, &self.synthetic.shard(index))
                .await?;
        }
        loader.finish().await
    }

    async fn judge(&self, session: &mut Session) -> Result<Verdict, Error> {
        let tokens = tokens();
        let (prompt, _) = tokens.split_at(tokens.len() - N_DECODED as usize);
        session
            .prefill(prompt, |_, _| ControlFlow::Continue(()))
            .await?;
        session.replay(&tokens).await?;
        let decoded = logits(session).await?;
        let of_long = self.at_long_contexts(session).await?;
        session.truncate(0);
        session
            .prefill(&tokens, |_, _| ControlFlow::Continue(()))
            .await?;
        let prefilled = logits(session).await?;
        let next = match session.next_token().await {
            Err(Error::NonFinite { position }) => {
                let problem = Some(format!("no finite logit at position {position}"));
                return Ok(Verdict {
                    problem,
                    inexact: None,
                });
            }
            next => next?,
        };
        let mut problem = difference(&self.logits, &decoded)
            .map(|what| format!("decode: {what}"))
            .or_else(|| {
                let what = difference(&decoded, &of_long)?;
                Some(format!("decode of long contexts: {what}"))
            })
            .or_else(|| {
                difference(&self.logits, &prefilled).map(|what| format!("prefill: {what}"))
            });
        if problem.is_none() && next != self.next && !is_tie(&self.logits, next, self.next) {
            problem = Some(format!("sampler: expected token {}, got {next}", self.next));
        }
        let bits = |values: &[f32]| {
            values
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        let differs = |decoded: &[f32], what: &str| {
            let (a, b) = (bits(decoded), bits(&prefilled));
            let id = a.iter().zip(&b).position(|(a, b)| a != b)?;
            Some(format!(
                "logit {id} is {} by decode{what} and {} by prefill",
                decoded[id], prefilled[id]
            ))
        };
        let inexact = differs(&decoded, "").or_else(|| differs(&of_long, " of long contexts"));
        Ok(Verdict { problem, inexact })
    }

    /// The logits of the last token once more, by the kernels that decode takes where the context is long.
    async fn at_long_contexts(&self, session: &mut Session) -> Result<Vec<f32>, Error> {
        let Executor::Gpu(gpu) = &mut session.executor else {
            return logits(session).await;
        };
        let tuning = *gpu.tuning();
        gpu.set_tuning(Tuning {
            attention_sharing: 0,
            ..tuning
        });
        let replayed = session.replay(&tokens()).await;
        if let Executor::Gpu(gpu) = &mut session.executor {
            gpu.set_tuning(tuning);
        }
        replayed?;
        logits(session).await
    }
}

/// How the rows of embedding and head are stored.
fn rows_encoding(manifest: &Manifest) -> Encoding {
    let specs = manifest.architecture.tensors();
    let is_rows = |name: &str| {
        let mut of_name = specs.iter().filter(|spec| spec.name == name);
        of_name.any(|spec| matches!(spec.role, Role::Rows))
    };
    let mut tensors = manifest.tensors.iter();
    tensors
        .find(|tensor| is_rows(&tensor.name))
        .map_or(Encoding::Q8, |tensor| tensor.encoding)
}

/// A walk over the vocabulary.
fn tokens() -> Vec<u32> {
    (0..N_TOKENS).map(|i| i * 31 % 300).collect()
}

async fn logits(session: &mut Session) -> Result<Vec<f32>, Error> {
    let bytes = u64::from(session.vocab()) * 4;
    let logits = session.plan.io.logits;
    let read = session.executor.read(logits, 0, bytes).await?;
    Ok(bytemuck::pod_collect_to_vec(&read))
}

/// How far the logits are from the expected ones, if that is too far. NaN is.
fn difference(expected: &[f32], got: &[f32]) -> Option<String> {
    let largest = expected
        .iter()
        .fold(0.0_f32, |max, value| max.max(value.abs()));
    let bound = TOLERANCE * largest;
    let close = |a: f32, b: f32| (a - b).abs() <= bound;
    if expected.len() != got.len() {
        return Some(format!(
            "expected {} logits, got {}",
            expected.len(),
            got.len()
        ));
    }
    let wrong = expected.iter().zip(got).position(|(a, b)| !close(*a, *b))?;
    Some(format!(
        "logit {wrong}: expected {} within {bound}, got {}",
        expected[wrong], got[wrong]
    ))
}

/// Whether two tokens are so close that either may be the best.
fn is_tie(logits: &[f32], a: u32, b: u32) -> bool {
    let largest = logits
        .iter()
        .fold(0.0_f32, |max, value| max.max(value.abs()));
    let of = |id: u32| logits.get(id as usize).copied().unwrap_or(f32::NAN);
    (of(a) - of(b)).abs() <= 2.0 * TOLERANCE * largest
}
