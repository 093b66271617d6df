//! The real engine behind the runtime's traits.

use std::cell::RefCell;

use engine::diagnostics;
use engine::selftest::SelfTest;
use engine::{Device, DeviceOptions, Executor, ModelLoader, SessionConfig, Variant};
use model::Manifest;
use protocol::{
    AdapterInfo, CompileReport, CompileResult, DeviceReport, Fault, FaultCode, SelfTestReport,
    Settings,
};

use crate::engine_terms::{engine_kv, fault, no_webgpu, protocol_kv};
use crate::gpu_session::GpuSession;
use crate::kernels::{Kernels, LastDevice};
use crate::variants::Choices;
use crate::{Engine, EngineFault, Loader, MadeUp, Tunable};

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
    /// What the browser calls itself.
    pub agent: fn() -> String,
}

/// Opens devices with crate `engine`.
pub struct GpuEngine {
    probe: DeviceProbe,
    /// The last device.
    last: RefCell<Option<LastDevice>>,
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

    /// What the best choice of kernels depends on, the last device being the one that was asked for them.
    fn scope(&self, manifest: &Manifest) -> String {
        let report = (self.probe.report)();
        let AdapterInfo {
            vendor,
            architecture,
            device,
            description,
            ..
        } = report.adapter;
        let shape = &manifest.architecture;
        let (widths, heads) = (
            [shape.hidden, shape.ffn, shape.layers],
            [shape.heads, shape.kv_heads, shape.head_dim],
        );
        let agent = (self.probe.agent)();
        format!(
            "{vendor} {architecture} {device} {description}|{agent}|{} {widths:?} {heads:?} {}",
            shape.family, shape.vocab
        )
    }

    /// What is known of the last device.
    pub(crate) fn last_device(&self) -> Option<LastDevice> {
        self.last.borrow().clone()
    }

    /// Another device than the last one stays in use, if one was.
    pub(crate) fn keep_last_device(&self, in_use: Option<LastDevice>) {
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
        let tuned = self.choices.borrow().tuned(&self.scope(manifest));
        let mut millis = 0.0;
        loop {
            let device = executor.device().ok_or_else(no_gpu)?;
            let asked = tuned.map(|tuned| tuned.variant);
            let next = self
                .choices
                .borrow()
                .next(kv, asked, |v| device.supports(v));
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
            let tuned = tuned.filter(|tuned| tuned.variant == variant);
            if let Some(tuned) = tuned {
                tuned.apply(&mut executor);
                if let Some(last) = self.last.borrow_mut().as_mut() {
                    last.kernels = tuned.to_string();
                    last.is_tuned = true;
                }
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
    pub(crate) async fn executor(&self, variant: Option<Variant>) -> Result<Executor, EngineFault> {
        if !(self.probe.has_webgpu)() {
            return Err(no_webgpu());
        }
        let options = DeviceOptions {
            subgroups_granted: Some(self.probe.subgroups_granted),
            variant,
            ..DeviceOptions::default()
        };
        let executor = Executor::gpu(&options).await.map_err(fault)?;
        let device = executor.device().ok_or_else(no_gpu)?;
        let usable = if device.is_software() {
            Vec::new()
        } else {
            Kernels::all(|variant| device.supports(variant))
        };
        *self.last.borrow_mut() = Some(LastDevice {
            engine: executor.describe(),
            kernels: device.variant().to_string(),
            is_tuned: false,
            usable,
        });
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
        let context = match settings.context {
            0 => SessionConfig::default().context,
            context => context,
        };
        let config = SessionConfig {
            context,
            kv,
            prefill_chunk: settings.prefill_chunk,
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

    async fn made_up(
        &self,
        settings: &Settings,
        shape: Option<&str>,
    ) -> Result<MadeUp<GpuSession>, EngineFault> {
        self.make_up(settings, shape).await
    }

    fn is_tunable(&self) -> bool {
        true
    }

    fn tunable(&self, manifest: &Manifest) -> Option<Tunable> {
        let last = self.last.borrow();
        let choices = self.choices.borrow();
        let usable = last.as_ref()?.usable.iter();
        let usable = usable.filter(|kernels| !choices.is_dropped(kernels.variant));
        let kernels: Vec<String> = usable.map(ToString::to_string).collect();
        (!kernels.is_empty()).then(|| Tunable {
            scope: self.scope(manifest),
            kernels,
        })
    }

    fn prefer(&self, scope: &str, kernels: &str) {
        match kernels.parse() {
            Ok(kernels) => self.choices.borrow_mut().prefer(scope, kernels),
            // A trial by other code; the next one takes its place.
            Err(error) => log::warn!("a trial is ignored: {error}"),
        }
    }

    async fn trial(
        &self,
        manifest: &Manifest,
        settings: &Settings,
        kernels: &str,
    ) -> Result<MadeUp<GpuSession>, EngineFault> {
        self.try_kernels(manifest, settings, kernels).await
    }

    async fn describe(&self, generation: u32) -> Result<DeviceReport, EngineFault> {
        if self.last.borrow().is_none() {
            free(&self.executor(None).await?);
        }
        let last = self.last.borrow().clone().unwrap_or_default();
        Ok(DeviceReport {
            engine: last.engine,
            variant: last.kernels,
            is_tuned: last.is_tuned,
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
        Ok(GpuSession::new(session, self.self_test.inexact.is_none()))
    }
}
