//! A scripted engine. Its model is a hash: each token depends on the seed and on every token before it, so that any
//! token lost, doubled or sampled with other settings changes all that follow.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use model::Manifest;
use protocol::{
    AdapterInfo, CompileReport, CompileResult, DeviceReport, Fault, FaultCode, SelfTestReport,
    Settings,
};
use worker::{Engine, EngineFault, Loader, MadeUp, Tunable};

use super::World;
use super::session::{FakeSession, STOP_AT, lost};

/// Name of kernels, milliseconds of a token, and after how many operations they break and how, if they do.
pub(crate) type Kernels = (&'static str, u32, Option<(u32, Break)>);

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
    /// The answer ends when prompt and answer have this many tokens; 0 = 80.
    pub(crate) stop_at: usize,
    /// Kernels to choose from.
    pub(crate) kernels: Vec<Kernels>,
    /// The adapter that they are on.
    pub(crate) adapter: &'static str,
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
    stop_at: usize,
    hangs_at: Option<u32>,
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

impl Engine for FakeEngine {
    type Loader = FakeLoader;
    type Session = FakeSession;

    async fn open(
        &self,
        manifest: &Manifest,
        settings: &Settings,
    ) -> Result<FakeLoader, EngineFault> {
        self.world.opened.borrow_mut().push(settings.context);
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
        let stop_at = match script.stop_at {
            0 => STOP_AT,
            stop_at => stop_at,
        };
        let expected = manifest.shards.iter().map(|shard| shard.bytes).collect();
        Ok(FakeLoader {
            world: Rc::clone(&self.world),
            lost_at,
            expected,
            pushed: 0,
            breaks,
            context,
            stop_at,
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

    async fn made_up(
        &self,
        _: &Settings,
        shape: Option<&str>,
    ) -> Result<MadeUp<FakeSession>, EngineFault> {
        self.world.wait(60).await;
        let breaks = self.script.borrow_mut().sessions.pop_front().flatten();
        let session = FakeSession {
            world: Rc::clone(&self.world),
            cache: vec![],
            seed: 0,
            breaks: Cell::new(breaks),
            context: 300,
            stop_at: STOP_AT,
            step_millis: None,
            idle_loss: None,
        };
        Ok(MadeUp {
            session,
            name: shape.unwrap_or("made-up").into(),
            vocab: 50,
        })
    }

    fn is_tunable(&self) -> bool {
        !self.script.borrow().kernels.is_empty()
    }

    fn tunable(&self, manifest: &Manifest) -> Option<Tunable> {
        let script = self.script.borrow();
        Some(Tunable {
            scope: format!("{} {}", script.adapter, manifest.architecture.hidden),
            kernels: script
                .kernels
                .iter()
                .map(|kernels| kernels.0.into())
                .collect(),
        })
    }

    fn prefer(&self, scope: &str, kernels: &str) {
        let mut preferred = self.world.preferred.borrow_mut();
        preferred.push((scope.to_owned(), kernels.to_owned()));
    }

    async fn trial(
        &self,
        _: &Manifest,
        _: &Settings,
        kernels: &str,
    ) -> Result<MadeUp<FakeSession>, EngineFault> {
        self.world.wait(20).await;
        self.world.tried.borrow_mut().push(kernels.to_owned());
        let script = self.script.borrow();
        let asked = script.kernels.iter().find(|(name, ..)| *name == kernels);
        let &(name, millis, breaks) = asked.expect("kernels of the script");
        let session = FakeSession {
            world: Rc::clone(&self.world),
            cache: vec![],
            // Such kernels compute something else.
            seed: u32::from(name == "wrong"),
            breaks: Cell::new(breaks),
            context: 256,
            stop_at: usize::MAX,
            step_millis: Some(millis),
            idle_loss: None,
        };
        Ok(MadeUp {
            session,
            name: kernels.into(),
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
            is_tuned: false,
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
            stop_at: self.stop_at,
            step_millis: None,
            idle_loss: self.idle_loss,
        })
    }
}
