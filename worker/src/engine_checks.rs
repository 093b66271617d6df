//! What a person asks of the engine to know a device: its self-test, and a model to measure where none is loaded.

use engine::bench::synthetic::{SHAPES, Synthetic, architecture};
use engine::{ModelLoader, SessionConfig};
use model::{Activation, Architecture, Encoding, Manifest};
use protocol::{Fault, FaultCode, SelfTestReport, Settings};

use crate::engine_port::{GpuEngine, GpuLoader, free};
use crate::engine_terms::{engine_kv, fault};
use crate::gpu_session::GpuSession;
use crate::kernels::Kernels;
use crate::{EngineFault, Loader as _, MadeUp};

/// Rows that a tile of the made-up model has: as converted packages have them.
const ROWS_PER_TILE: u32 = 8;

impl GpuEngine {
    /// Runs the self-test on a device of its own.
    pub(crate) async fn test_a_device(
        &self,
        manifest: Option<&Manifest>,
        settings: &Settings,
    ) -> Result<SelfTestReport, EngineFault> {
        let made_up;
        let manifest = match manifest {
            Some(manifest) => manifest,
            None => {
                made_up = made_up_model()?;
                made_up.manifest()
            }
        };
        let in_use = self.last_device();
        let tested = self.sound(manifest, settings).await;
        // What is described is what is in use, if anything is.
        self.keep_last_device(in_use);
        let (executor, _, report) = tested?;
        free(&executor);
        Ok(report)
    }

    /// A session of a made-up model, on a device of its own.
    pub(crate) async fn make_up(
        &self,
        settings: &Settings,
        shape: Option<&str>,
    ) -> Result<MadeUp<GpuSession>, EngineFault> {
        let model = match shape {
            Some(shape) => model_of_shape(shape)?,
            None => made_up_model()?,
        };
        let manifest = model.manifest();
        let in_use = self.last_device();
        let opened = self.sound(manifest, settings).await;
        self.keep_last_device(in_use);
        let (executor, kv, report) = opened?;
        let config = SessionConfig {
            kv,
            prefill_chunk: shape.map_or(0, |_| settings.prefill_chunk),
            context: match shape {
                Some(_) if settings.context > 0 => {
                    manifest.architecture.context.min(settings.context)
                }
                _ => manifest.architecture.context,
            },
        };
        let loader = ModelLoader::new(executor, manifest, &config).map_err(fault)?;
        loaded(&model, GpuLoader::new(loader, report)).await
    }
}

impl GpuEngine {
    /// A few layers of the shape of `manifest`, on a device of its own that runs these kernels. It was not tested: what it
    /// computes is compared with what the others do.
    pub(crate) async fn try_kernels(
        &self,
        manifest: &Manifest,
        settings: &Settings,
        kernels: &str,
    ) -> Result<MadeUp<GpuSession>, EngineFault> {
        let kernels: Kernels = kernels
            .parse()
            .map_err(|error| EngineFault::Fault(Fault::new(FaultCode::BadRequest, error)))?;
        let model = sample_of(manifest)?;
        let in_use = self.last_device();
        let opened = self.executor(Some(kernels.variant)).await;
        self.keep_last_device(in_use);
        let mut executor = opened?;
        kernels.apply(&mut executor);
        let manifest = model.manifest();
        let config = SessionConfig {
            kv: engine_kv(settings.kv),
            context: manifest.architecture.context,
            ..SessionConfig::default()
        };
        let loader = ModelLoader::new(executor, manifest, &config).map_err(fault)?;
        loaded(&model, GpuLoader::new(loader, SelfTestReport::default())).await
    }
}

/// A session of all shards of a made-up model.
async fn loaded(
    model: &Synthetic,
    mut loader: GpuLoader,
) -> Result<MadeUp<GpuSession>, EngineFault> {
    let manifest = model.manifest();
    for index in (0..).take(manifest.shards.len()) {
        loader.push_shard(index, &model.shard(index)).await?;
    }
    Ok(MadeUp {
        session: loader.finish().await?,
        name: manifest.name.clone(),
        vocab: manifest.architecture.vocab,
    })
}

/// Ternary weights that suffice to tell kernels apart: layers of a small model, one of a large one.
const SAMPLE_WEIGHTS: u64 = 24 << 20;

/// A model of as few layers of the same shape as make a measurement, with next to no vocabulary.
fn sample_of(manifest: &Manifest) -> Result<Synthetic, EngineFault> {
    let whole = &manifest.architecture;
    let [hidden, ffn] = [whole.hidden, whole.ffn].map(u64::from);
    let width = u64::from(whole.heads + 2 * whole.kv_heads) * u64::from(whole.head_dim);
    let of_layer = hidden * (width + hidden + 3 * ffn);
    let layers = (SAMPLE_WEIGHTS / of_layer.max(1)).clamp(1, u64::from(whole.layers.max(1)));
    let architecture = Architecture {
        layers: u32::try_from(layers).unwrap_or(1),
        vocab: 512,
        context: 256,
        ..whole.clone()
    };
    let tile = manifest.ternary.rows_per_tile;
    Synthetic::new("trial", architecture, Encoding::Q8, tile, 1).map_err(fault)
}

/// A model with the architecture of a published one.
fn model_of_shape(shape: &str) -> Result<Synthetic, EngineFault> {
    let Some(architecture) = architecture(shape) else {
        let detail = format!("expected a shape of {}, got {shape}", SHAPES.join(", "));
        return Err(EngineFault::Fault(Fault::new(
            FaultCode::BadRequest,
            detail,
        )));
    };
    Synthetic::new(shape, architecture, Encoding::Q8, ROWS_PER_TILE, 1).map_err(fault)
}

/// A model that is large enough to keep a GPU busy, and small enough to be made in a second: 45 million ternary weights in
/// four layers.
fn made_up_model() -> Result<Synthetic, EngineFault> {
    let architecture = Architecture {
        family: "llama".to_owned(),
        hidden: 1024,
        ffn: 2816,
        layers: 4,
        heads: 16,
        kv_heads: 4,
        head_dim: 64,
        vocab: 8192,
        context: 1024,
        rms_eps: 1e-5,
        rope_theta: 10_000.0,
        activation: Activation::Silu,
        sub_norms: false,
        tied: true,
    };
    Synthetic::new("made-up", architecture, Encoding::Q8, ROWS_PER_TILE, 1).map_err(fault)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    #[test]
    fn the_made_up_model_is_small() {
        let model = super::made_up_model().unwrap();
        let bytes: u64 = model
            .manifest()
            .shards
            .iter()
            .map(|shard| shard.bytes)
            .sum();
        assert!((15 << 20..25 << 20).contains(&bytes), "{bytes}");
    }
}
