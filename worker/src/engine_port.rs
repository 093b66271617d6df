//! The real engine behind the runtime's traits.

use std::cell::RefCell;
use std::ops::ControlFlow;

use engine::diagnostics;
use engine::selftest::SelfTest;
use engine::{
    Device, DeviceOptions, Executor, ModelLoader, Sampling, Session as EngineSession,
    SessionConfig, Variant,
};
use model::Manifest;
use protocol::{
    CompileReport, CompileResult, DeviceReport, EqualityResult, Fault, FaultCode, SamplingSettings,
    SelfTestReport, Settings,
};

use crate::engine_terms::{engine_kv, fault, no_webgpu, protocol_kv};
use crate::variants::Choices;
use crate::{Engine, EngineFault, Loader, MadeUp, Memory, Session};

/// What only the browser knows about adapter and device.
#[derive(Debug, Clone, Copy)]
pub struct DeviceProbe {
    /// Whether there is WebGPU at all.
    pub has_webgpu: fn() -> bool,
    /// Whether the next device may ask for subgroups.
    pub allow_subgroups: fn(bool),
    /// Whether the last device got subgroups.
    pub subgroups_granted: fn() -> bool,
    /// What is known of the last device; the engine's own fields are empty.
    pub report: fn() -> DeviceReport,
    /// Milliseconds since some fixed moment.
    pub now: fn() -> f64,
}

/// Opens devices with crate `engine`.
pub struct GpuEngine {
    probe: DeviceProbe,
    /// The engine's line and the variant of the last device.
    last: RefCell<Option<(String, String)>>,
    /// What is known of the variants.
    choices: RefCell<Choices>,
}

impl GpuEngine {
    /// An engine that has not opened a device yet.
    #[must_use]
    pub fn new(probe: DeviceProbe) -> Self {
        Self {
            probe,
            last: RefCell::new(None),
            choices: RefCell::default(),
        }
    }

    /// A device for such a model and settings, whose numbers are right.
    pub(crate) async fn sound(
        &self,
        manifest: &Manifest,
        settings: &Settings,
    ) -> Result<(Executor, engine::KvType, SelfTestReport), EngineFault> {
        (self.probe.allow_subgroups)(settings.subgroups);
        self.sound_executor(manifest, engine_kv(settings.kv)).await
    }

    /// What is known of the last device.
    pub(crate) fn last_device(&self) -> Option<(String, String)> {
        self.last.borrow().clone()
    }

    /// Another device than the last one stays in use, if one was.
    pub(crate) fn keep_last_device(&self, in_use: Option<(String, String)>) {
        if in_use.is_some() {
            *self.last.borrow_mut() = in_use;
        }
    }

    /// A device whose numbers are right: the first variant that passes the self-test, with the type of the cache that did.
    async fn sound_executor(
        &self,
        manifest: &Manifest,
        kv: engine::KvType,
    ) -> Result<(Executor, engine::KvType, SelfTestReport), EngineFault> {
        let mut executor = self.executor(None).await?;
        let mut millis = 0.0;
        loop {
            let device = executor.device().ok_or_else(no_gpu)?;
            let next = self.choices.borrow().next(kv, |v| device.supports(v));
            let Some((variant, kv)) = next else {
                free(&executor);
                let detail = self.choices.borrow().describe();
                return Err(EngineFault::Fault(Fault::new(
                    FaultCode::WrongNumbers,
                    detail,
                )));
            };
            if device.variant() != variant {
                free(&executor);
                executor = self.executor(Some(variant)).await?;
            }
            let began = (self.probe.now)();
            let tested = self.test(manifest, kv, executor).await?;
            millis += (self.probe.now)() - began;
            let problem = match tested {
                Ok((executor, inexact)) => {
                    let report = SelfTestReport {
                        variant: variant.to_string(),
                        kv: protocol_kv(kv),
                        millis,
                        dropped: self.choices.borrow().dropped(),
                        inexact,
                    };
                    return Ok((executor, kv, report));
                }
                Err(problem) => problem,
            };
            log::error!("variant {variant} is dropped: {problem}");
            self.choices.borrow_mut().drop_variant(variant, kv, problem);
            executor = self.executor(None).await?;
        }
    }

    /// Tests a device. The inner error says why its variant can't be used.
    async fn test(
        &self,
        manifest: &Manifest,
        kv: engine::KvType,
        executor: Executor,
    ) -> Result<Result<(Executor, Option<String>), String>, EngineFault> {
        let known = self.choices.borrow_mut().take_test(manifest, kv);
        let test = match known {
            Some(test) => test,
            None => SelfTest::new(manifest, kv).await.map_err(fault)?,
        };
        let result = test.run(executor).await;
        self.choices.borrow_mut().keep_test(test);
        match result {
            Ok((executor, verdict)) => match verdict.problem {
                None => Ok(Ok((executor, verdict.inexact))),
                Some(problem) => {
                    free(&executor);
                    Ok(Err(problem))
                }
            },
            // A kernel that does not compile.
            Err(error @ engine::Error::Validation { .. }) => Ok(Err(error.to_string())),
            Err(error) => Err(fault(error)),
        }
    }

    /// A device of the best variant, or of the given one.
    async fn executor(&self, variant: Option<Variant>) -> Result<Executor, EngineFault> {
        if !(self.probe.has_webgpu)() {
            return Err(no_webgpu());
        }
        let options = DeviceOptions {
            subgroups_granted: Some(self.probe.subgroups_granted),
            variant,
            ..DeviceOptions::default()
        };
        let executor = Executor::gpu(&options).await.map_err(fault)?;
        let variant = executor
            .device()
            .map_or_else(String::new, |device| device.variant().to_string());
        *self.last.borrow_mut() = Some((executor.describe(), variant));
        Ok(executor)
    }
}

impl Engine for GpuEngine {
    type Loader = GpuLoader;
    type Session = GpuSession;

    async fn open(
        &self,
        manifest: &Manifest,
        settings: &Settings,
    ) -> Result<GpuLoader, EngineFault> {
        let (executor, kv, self_test) = self.sound(manifest, settings).await?;
        let defaults = SessionConfig::default();
        let or_default = |value: u32, default: u32| if value == 0 { default } else { value };
        let config = SessionConfig {
            context: or_default(settings.context, defaults.context),
            kv,
            prefill_chunk: or_default(settings.prefill_chunk, defaults.prefill_chunk),
        };
        let loader = ModelLoader::new(executor, manifest, &config).map_err(fault)?;
        Ok(GpuLoader::new(loader, self_test))
    }

    async fn buffer_bytes_offered(&self) -> Result<u64, EngineFault> {
        if !(self.probe.has_webgpu)() {
            return Err(no_webgpu());
        }
        let options = DeviceOptions::default();
        Device::binding_bytes_offered(&options).await.map_err(fault)
    }

    async fn compile_all(&self) -> Result<CompileReport, EngineFault> {
        let executor = self.executor(None).await?;
        let compiled = diagnostics::compile_all(&executor).await;
        free(&executor);
        let results = compiled
            .map_err(fault)?
            .into_iter()
            .map(|compiled| CompileResult {
                kernel: compiled.kernel.to_owned(),
                variant: compiled.choice,
                error: compiled.error,
            })
            .collect();
        Ok(CompileReport { results })
    }

    async fn self_test(
        &self,
        manifest: Option<&Manifest>,
        settings: &Settings,
    ) -> Result<SelfTestReport, EngineFault> {
        self.test_a_device(manifest, settings).await
    }

    async fn made_up(&self, settings: &Settings) -> Result<MadeUp<GpuSession>, EngineFault> {
        self.make_up(settings).await
    }

    async fn describe(&self, generation: u32) -> Result<DeviceReport, EngineFault> {
        if self.last.borrow().is_none() {
            free(&self.executor(None).await?);
        }
        let (engine, variant) = self.last.borrow().clone().unwrap_or_default();
        Ok(DeviceReport {
            engine,
            variant,
            generation,
            ..(self.probe.report)()
        })
    }
}

fn no_gpu() -> EngineFault {
    EngineFault::Fault(Fault::new(FaultCode::Gpu, "the executor is no GPU"))
}

/// Gives a device back at once, instead of when the browser collects its garbage.
pub(crate) fn free(executor: &Executor) {
    if let Some(device) = executor.device() {
        device.destroy();
    }
}

/// A session in the making.
pub struct GpuLoader {
    /// Absent once the session was made.
    loader: Option<ModelLoader>,
    self_test: SelfTestReport,
}

impl GpuLoader {
    /// A loader on a device of which the self-test said this.
    pub(crate) const fn new(loader: ModelLoader, self_test: SelfTestReport) -> Self {
        Self {
            loader: Some(loader),
            self_test,
        }
    }
}

impl Drop for GpuLoader {
    fn drop(&mut self) {
        if let Some(loader) = self.loader.take() {
            free(&loader.into_executor());
        }
    }
}

fn used_up() -> EngineFault {
    EngineFault::Fault(Fault::new(
        FaultCode::Gpu,
        "the loader has already made its session",
    ))
}

impl Loader for GpuLoader {
    type Session = GpuSession;

    fn self_test(&self) -> SelfTestReport {
        self.self_test.clone()
    }

    async fn push_shard(&mut self, index: u32, bytes: &[u8]) -> Result<(), EngineFault> {
        self.loader
            .as_mut()
            .ok_or_else(used_up)?
            .push_shard(index, bytes)
            .await
            .map_err(fault)
    }

    async fn finish(mut self) -> Result<GpuSession, EngineFault> {
        let loader = self.loader.take().ok_or_else(used_up)?;
        let session = loader.finish().await.map_err(fault)?;
        Ok(GpuSession {
            session,
            is_exact: self.self_test.inexact.is_none(),
        })
    }
}

/// A loaded model.
pub struct GpuSession {
    session: EngineSession,
    /// Whether prefill and decode leave the same bits.
    is_exact: bool,
}

impl Drop for GpuSession {
    fn drop(&mut self) {
        free(self.session.executor());
    }
}

impl Session for GpuSession {
    fn context(&self) -> u32 {
        self.session.context()
    }

    async fn lost(&self) -> String {
        match self.session.executor().device() {
            Some(device) => device.lost().await,
            None => std::future::pending().await,
        }
    }

    fn set_sampling(&mut self, sampling: &SamplingSettings) {
        self.session.set_sampling(Sampling {
            temperature: sampling.temperature as f32,
            top_k: sampling.top_k,
            top_p: sampling.top_p as f32,
            min_p: sampling.min_p as f32,
            repetition_penalty: sampling.repetition_penalty as f32,
            repetition_window: sampling.repetition_window,
            seed: u64::from(sampling.seed),
        });
    }

    async fn prefill(
        &mut self,
        tokens: &[u32],
        mut pace: impl FnMut(u32, u32) -> ControlFlow<(), u32>,
    ) -> Result<bool, EngineFault> {
        // A chunk of one token takes the kernels of decode.
        let most = if self.is_exact { u32::MAX } else { 1 };
        let pace = |done, total| match pace(done, total) {
            ControlFlow::Continue(n_tokens) => ControlFlow::Continue(n_tokens.min(most)),
            stop => stop,
        };
        self.session
            .prefill_paced(tokens, pace)
            .await
            .map_err(fault)
    }

    async fn next_token(&mut self) -> Result<u32, EngineFault> {
        self.session.next_token().await.map_err(fault)
    }

    fn memory(&self) -> Memory {
        let memory = self.session.memory();
        Memory {
            weight_bytes: memory.weight_bytes,
            kv_bytes: memory.kv_bytes,
            activation_bytes: memory.activation_bytes,
        }
    }

    async fn prefill_equals_decode(
        &mut self,
        lengths: &[u32],
        truncate: u32,
    ) -> Result<Vec<EqualityResult>, EngineFault> {
        let results = diagnostics::prefill_equals_decode(&mut self.session, lengths, truncate)
            .await
            .map_err(fault)?;
        Ok(results
            .into_iter()
            .map(|result| EqualityResult {
                n_tokens: result.tokens,
                truncated: result.truncated,
                difference: result.difference,
            })
            .collect())
    }
}
