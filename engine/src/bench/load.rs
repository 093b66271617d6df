//! Loading with a clock.

use super::report::LoadTime;
use super::synthetic::Synthetic;
use super::timer::Clock;
use crate::{Error, Executor, ModelLoader, Session, SessionConfig};
use model::Manifest;

/// Loads a model from `shard`, which gives the bytes of a shard by index.
///
/// # Errors
/// What `shard` returns, and all errors of [`ModelLoader`].
pub async fn load<E: From<Error>>(
    executor: Executor,
    manifest: &Manifest,
    config: &SessionConfig,
    clock: Clock,
    mut shard: impl FnMut(u32) -> Result<Vec<u8>, E>,
) -> Result<(Session, LoadTime), E> {
    let start = clock();
    let mut time = LoadTime {
        seconds: 0.0,
        source_seconds: 0.0,
        bytes: 0,
    };
    let mut loader = ModelLoader::new(executor, manifest, config)?;
    for index in (0..).take(manifest.shards.len()) {
        let before = clock();
        let bytes = shard(index)?;
        time.source_seconds += clock() - before;
        time.bytes += bytes.len() as u64;
        loader.push_shard(index, &bytes).await?;
    }
    let session = loader.finish().await?;
    time.seconds = clock() - start;
    Ok((session, time))
}

/// Loads a synthetic model.
///
/// # Errors
/// All errors of [`ModelLoader`].
pub async fn load_synthetic(
    executor: Executor,
    synthetic: &Synthetic,
    config: &SessionConfig,
    clock: Clock,
) -> Result<(Session, LoadTime), Error> {
    load(executor, synthetic.manifest(), config, clock, |index| {
        Ok(synthetic.shard(index))
    })
    .await
}
