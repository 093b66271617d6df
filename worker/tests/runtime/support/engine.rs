//! A scripted engine. Its model is a hash: each token depends on the seed and on every token before it, so that any
//! token lost, doubled or sampled with other settings changes all that follow.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;

use model::Manifest;
use protocol::{
    AdapterInfo, CompileReport, CompileResult, DeviceReport, EqualityResult, Fault, FaultCode,
    SamplingSettings, SelfTestReport, Settings,
};
use worker::{Engine, EngineFault, Loader, MadeUp, Memory, Session};

use super::World;

/// Tokens that one chunk of prefill reads.
const CHUNK: usize = 4;
/// The answer ends when prompt and answer have this many tokens.
const STOP_AT: usize = 80;
/// The id that ends it.
pub(crate) const STOP_ID: u32 = 0;

/// What the engine does wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// Results of opening a device, in order; afterwards it succeeds.
    pub(crate) opens: VecDeque<Open>,
    /// For the sessions in order: after how many operations (chunks and steps) they break, and how.
    pub(crate) sessions: VecDeque<Option<(u32, Break)>>,
    /// Context length of the sessions; 0 = 200.
    pub(crate) context: u32,
    /// For the sessions in order: how many milliseconds nothing may be asked of them before they are lost.
    pub(crate) idle_losses: VecDeque<Option<u32>>,
    /// Results of self-tests that are asked for, in order; afterwards the usual variant passes.
    pub(crate) self_tests: VecDeque<Result<&'static str, EngineFault>>,
}

/// How opening a device goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Open {
    /// Well.
    Opens,
    /// No adapter.
    Absent,
    /// Lost while the given shard is uploaded.
    LostAtShard(u32),
    /// Silent from the given shard on; behind the last one, when the session is made.
    HangsAtShard(u32),
    /// Silent from the start.
    Hangs,
    /// Refused for good.
    Refused,
}

/// How a session breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// The device is lost.
    Lost,
    /// Nothing comes back any more.
    Hang,
    /// A validation error.
    Error,
}

pub(crate) struct FakeEngine {
    world: Rc<World>,
    script: RefCell<Script>,
}

impl FakeEngine {
    pub(crate) fn new(world: Rc<World>, script: Script) -> Self {
        Self {
            world,
            script: RefCell::new(script),
        }
    }
}

pub(crate) struct FakeLoader {
    world: Rc<World>,
    lost_at: Option<u32>,
    expected: Vec<u64>,
    pushed: u32,
    breaks: Option<(u32, Break)>,
    context: u32,
    hangs_at: Option<u32>,
    idle_loss: Option<u32>,
}

pub(crate) struct FakeSession {
    world: Rc<World>,
    cache: Vec<u32>,
    seed: u32,
    breaks: Cell<Option<(u32, Break)>>,
    context: u32,
    idle_loss: Option<u32>,
}

/// The variant that a device uses as long as nobody says otherwise.
const VARIANT: &str = "scripted";

fn self_test(variant: &str) -> SelfTestReport {
    SelfTestReport {
        variant: variant.into(),
        ..SelfTestReport::default()
    }
}

fn lost() -> EngineFault {
    EngineFault::Lost("scripted".into())
}

impl Engine for FakeEngine {
    type Loader = FakeLoader;
    type Session = FakeSession;

    async fn open(&self, manifest: &Manifest, _: &Settings) -> Result<FakeLoader, EngineFault> {
        self.world.wait(20).await;
        let next = self.script.borrow_mut().opens.pop_front();
        if next == Some(Open::Hangs) {
            return std::future::pending().await;
        }
        let mut script = self.script.borrow_mut();
        let (lost_at, hangs_at) = match next {
            None | Some(Open::Opens | Open::Hangs) => (None, None),
            Some(Open::LostAtShard(shard)) => (Some(shard), None),
            Some(Open::HangsAtShard(shard)) => (None, Some(shard)),
            Some(Open::Absent) => {
                return Err(EngineFault::Absent(Fault::new(
                    FaultCode::NoAdapter,
                    "none",
                )));
            }
            Some(Open::Refused) => {
                return Err(EngineFault::Fault(Fault::new(
                    FaultCode::LimitsTooSmall,
                    "too small",
                )));
            }
        };
        let (mut breaks, mut idle_loss) = (None, None);
        if lost_at.is_none() && hangs_at.is_none() {
            breaks = script.sessions.pop_front().flatten();
            idle_loss = script.idle_losses.pop_front().flatten();
        }
        let context = if script.context == 0 {
            200
        } else {
            script.context
        };
        let expected = manifest.shards.iter().map(|shard| shard.bytes).collect();
        Ok(FakeLoader {
            world: Rc::clone(&self.world),
            lost_at,
            expected,
            pushed: 0,
            breaks,
            context,
            hangs_at,
            idle_loss,
        })
    }

    async fn buffer_bytes_offered(&self) -> Result<u64, EngineFault> {
        self.world.wait(5).await;
        Ok(1 << 20)
    }

    async fn compile_all(&self) -> Result<CompileReport, EngineFault> {
        self.world.wait(100).await;
        let result = CompileResult {
            kernel: "rmsnorm".into(),
            variant: "scalar-shared".into(),
            error: None,
        };
        Ok(CompileReport {
            results: vec![result],
        })
    }

    async fn self_test(
        &self,
        _: Option<&Manifest>,
        _: &Settings,
    ) -> Result<SelfTestReport, EngineFault> {
        self.world.wait(40).await;
        let next = self.script.borrow_mut().self_tests.pop_front();
        next.unwrap_or(Ok(VARIANT)).map(self_test)
    }

    async fn made_up(&self, _: &Settings) -> Result<MadeUp<FakeSession>, EngineFault> {
        self.world.wait(60).await;
        let breaks = self.script.borrow_mut().sessions.pop_front().flatten();
        let session = FakeSession {
            world: Rc::clone(&self.world),
            cache: vec![],
            seed: 0,
            breaks: Cell::new(breaks),
            context: 300,
            idle_loss: None,
        };
        Ok(MadeUp {
            session,
            name: "made-up".into(),
            vocab: 50,
        })
    }

    async fn describe(&self, generation: u32) -> Result<DeviceReport, EngineFault> {
        Ok(DeviceReport {
            adapter: AdapterInfo::default(),
            adapter_features: vec![],
            device_features: vec![],
            language_features: vec![],
            adapter_limits: vec![],
            limits: vec![],
            engine: "scripted".into(),
            variant: "none".into(),
            generation,
        })
    }
}

impl Loader for FakeLoader {
    type Session = FakeSession;

    fn self_test(&self) -> SelfTestReport {
        self_test(VARIANT)
    }

    async fn push_shard(&mut self, index: u32, bytes: &[u8]) -> Result<(), EngineFault> {
        self.world.wait(3).await;
        assert_eq!(index, self.pushed);
        assert_eq!(bytes.len() as u64, self.expected[index as usize]);
        if self.lost_at == Some(index) {
            return Err(lost());
        }
        if self.hangs_at == Some(index) {
            return std::future::pending().await;
        }
        self.pushed += 1;
        Ok(())
    }

    async fn finish(self) -> Result<FakeSession, EngineFault> {
        assert_eq!(self.pushed as usize, self.expected.len());
        if self.hangs_at.is_some() {
            return std::future::pending().await;
        }
        let breaks = Cell::new(self.breaks);
        Ok(FakeSession {
            world: self.world,
            cache: vec![],
            seed: 0,
            breaks,
            context: self.context,
            idle_loss: self.idle_loss,
        })
    }
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
        if self.cache.len() >= STOP_AT {
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
        self.seed = sampling.seed;
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

    async fn next_token(&mut self) -> Result<u32, EngineFault> {
        assert!(
            self.cache.len() < self.context as usize,
            "more tokens than the context holds"
        );
        self.operate(7).await?;
        let token = self.sample();
        self.cache.push(token);
        Ok(token)
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
