//! What a person asks of the engine to know a device: its self-test, and a model to measure where none is loaded.

use engine::bench::synthetic::Synthetic;
use engine::{ModelLoader, SessionConfig};
use model::{Activation, Architecture, Encoding, Manifest};
use protocol::{SelfTestReport, Settings};

use crate::engine_port::{GpuEngine, GpuLoader, GpuSession, free};
use crate::engine_terms::fault;
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

    /// A session of the made-up model, on a device of its own.
    pub(crate) async fn make_up(
        &self,
        settings: &Settings,
    ) -> Result<MadeUp<GpuSession>, EngineFault> {
        let model = made_up_model()?;
        let manifest = model.manifest();
        let in_use = self.last_device();
        let opened = self.sound(manifest, settings).await;
        self.keep_last_device(in_use);
        let (executor, kv, report) = opened?;
        let config = SessionConfig {
            kv,
            context: manifest.architecture.context,
            ..SessionConfig::default()
        };
        let loader = ModelLoader::new(executor, manifest, &config).map_err(fault)?;
        let mut loader = GpuLoader::new(loader, report);
        for index in (0..).take(manifest.shards.len()) {
            loader.push_shard(index, &model.shard(index)).await?;
        }
        Ok(MadeUp {
            session: loader.finish().await?,
            name: manifest.name.clone(),
            vocab: manifest.architecture.vocab,
        })
    }
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
