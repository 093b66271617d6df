//! The real engine behind the runtime's traits.

use std::cell::RefCell;
use std::ops::ControlFlow;

use engine::diagnostics;
use engine::{
    DeviceOptions, Executor, ModelLoader, Sampling, Session as EngineSession, SessionConfig,
};
use model::Manifest;
use protocol::{
    CompileReport, CompileResult, DeviceReport, EqualityResult, Fault, FaultCode, KvType,
    SamplingSettings, Settings,
};

use crate::{Engine, EngineFault, Loader, Memory, Session};

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
}

/// Opens devices with crate `engine`.
pub struct GpuEngine {
    probe: DeviceProbe,
    /// The engine's line and the variant of the last device.
    last: RefCell<Option<(String, String)>>,
}

impl GpuEngine {
    /// An engine that has not opened a device yet.
    #[must_use]
    pub fn new(probe: DeviceProbe) -> Self {
        Self {
            probe,
            last: RefCell::new(None),
        }
    }

    async fn executor(&self) -> Result<Executor, EngineFault> {
        if !(self.probe.has_webgpu)() {
            return Err(EngineFault::Fault(Fault::new(
                FaultCode::NoWebGpu,
                "this browser has no navigator.gpu",
            )));
        }
        let options = DeviceOptions {
            subgroups_granted: Some(self.probe.subgroups_granted),
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
        (self.probe.allow_subgroups)(settings.subgroups);
        let executor = self.executor().await?;
        let defaults = SessionConfig::default();
        let or_default = |value: u32, default: u32| if value == 0 { default } else { value };
        let config = SessionConfig {
            context: or_default(settings.context, defaults.context),
            kv: match settings.kv {
                KvType::F32 => engine::KvType::F32,
                KvType::F16 => engine::KvType::F16,
            },
            prefill_chunk: or_default(settings.prefill_chunk, defaults.prefill_chunk),
        };
        ModelLoader::new(executor, manifest, &config)
            .map(|loader| GpuLoader(Some(loader)))
            .map_err(fault)
    }

    async fn compile_all(&self) -> Result<CompileReport, EngineFault> {
        let executor = self.executor().await?;
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

    async fn describe(&self, generation: u32) -> Result<DeviceReport, EngineFault> {
        if self.last.borrow().is_none() {
            free(&self.executor().await?);
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

/// Gives a device back at once, instead of when the browser collects its garbage.
fn free(executor: &Executor) {
    if let Some(device) = executor.device() {
        device.destroy();
    }
}

/// A session in the making; empty once it was made.
pub struct GpuLoader(Option<ModelLoader>);

impl Drop for GpuLoader {
    fn drop(&mut self) {
        if let Some(loader) = self.0.take() {
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

    async fn push_shard(&mut self, index: u32, bytes: &[u8]) -> Result<(), EngineFault> {
        self.0
            .as_mut()
            .ok_or_else(used_up)?
            .push_shard(index, bytes)
            .await
            .map_err(fault)
    }

    async fn finish(mut self) -> Result<GpuSession, EngineFault> {
        self.0
            .take()
            .ok_or_else(used_up)?
            .finish()
            .await
            .map(GpuSession)
            .map_err(fault)
    }
}

/// A loaded model.
pub struct GpuSession(EngineSession);

impl Drop for GpuSession {
    fn drop(&mut self) {
        free(self.0.executor());
    }
}

impl Session for GpuSession {
    fn context(&self) -> u32 {
        self.0.context()
    }

    fn set_sampling(&mut self, sampling: &SamplingSettings) {
        self.0.set_sampling(Sampling {
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
        pace: impl FnMut(u32, u32) -> ControlFlow<(), u32>,
    ) -> Result<bool, EngineFault> {
        self.0.prefill_paced(tokens, pace).await.map_err(fault)
    }

    async fn next_token(&mut self) -> Result<u32, EngineFault> {
        self.0.next_token().await.map_err(fault)
    }

    fn memory(&self) -> Memory {
        let memory = self.0.memory();
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
        let results = diagnostics::prefill_equals_decode(&mut self.0, lengths, truncate)
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

/// What an engine error means for the request. The error type is open, so what is new counts as a GPU failure.
fn fault(error: engine::Error) -> EngineFault {
    use engine::Error as E;
    if error.is_device_lost() {
        return EngineFault::Lost(error.to_string());
    }
    let code = match &error {
        // A browser gives no adapter for a while after its GPU process died, and may hand out one that has no device.
        E::NoAdapter { .. } | E::NoDevice { .. } => {
            return EngineFault::Absent(Fault::new(FaultCode::NoAdapter, error.to_string()));
        }
        E::Limit { .. } => FaultCode::LimitsTooSmall,
        E::OutOfMemory { .. } => FaultCode::OutOfMemory,
        E::Model(_) | E::Package { .. } | E::TokenOutOfRange { .. } => FaultCode::BadModel,
        E::ContextFull { .. } => FaultCode::PromptTooLong,
        _ => FaultCode::Gpu,
    };
    EngineFault::Fault(Fault::new(code, error.to_string()))
}
