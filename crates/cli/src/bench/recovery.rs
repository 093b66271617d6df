//! `tern bench --recovery`: from the loss of the device to the next token, natively. The device is destroyed, as a crash would;
//! everything is made again; the token must be the one that would have come.

use std::ops::ControlFlow;

use engine::bench::synthetic::{self, Synthetic};
use engine::selftest::SelfTest;
use engine::{Executor, ModelLoader, Session, SessionConfig};
use model::Manifest;
use model::convert::DEFAULT_ROWS_PER_TILE;
use model::package::{read_manifest, read_shard};
use model::source::FolderSource;

use super::{BenchArgs, clock};
use crate::args::{Device, DeviceArgs};
use crate::failure::bad_input;
use crate::loaded::open_executor;
use crate::output;

/// Tokens that are read again: a prompt and the beginning of an answer.
const N_TOKENS: u32 = 256;
/// Measurements, unless another number is asked for.
const REPETITIONS: u32 = 20;
/// More tokens than are ever in flight.
const MAX_LATE_TOKENS: u32 = 16;
/// The parts of a recovery, in their order.
const PARTS: [&str; 6] = [
    "device",
    "self-test",
    "read",
    "upload",
    "prepare",
    "re-prefill",
];

/// Seconds of each of [`PARTS`].
type Parts = [f64; 6];

/// Where shards come from.
enum Source {
    /// Made beforehand and kept in memory, as a browser's database would be: reading is a copy.
    Memory(Vec<Vec<u8>>),
    /// A package's folder.
    Folder(FolderSource),
}

struct Model {
    manifest: Manifest,
    source: Source,
    config: SessionConfig,
    test: SelfTest,
    device: DeviceArgs,
}

/// Runs the measurement and prints medians.
///
/// # Errors
/// When there is no GPU, the model does not fit it, or a token differs from the undisturbed one.
pub(super) async fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let model = open(args).await?;
    let tokens: Vec<u32> = (0..N_TOKENS)
        .map(|i| i * 31 % model.manifest.architecture.vocab)
        .collect();
    let (mut session, expected, first) = start(&model, &tokens).await?;
    log::info!("first load {:.1} s", first.iter().sum::<f64>());
    let mut all: Vec<Parts> = Vec::new();
    for _ in 0..args.repetitions.unwrap_or(REPETITIONS) {
        if let Some(device) = session.executor().device() {
            device.destroy();
        }
        notice(&mut session).await?;
        drop(session);
        let (got, parts);
        (session, got, parts) = start(&model, &tokens).await?;
        anyhow::ensure!(
            got == expected,
            "expected token {expected} again, got {got}"
        );
        all.push(parts);
    }
    print(args, &model, session.executor(), &all)
}

/// Goes on until the loss is noticed. Results that were read back before it still come.
async fn notice(session: &mut Session) -> anyhow::Result<()> {
    for _ in 0..MAX_LATE_TOKENS {
        match session.next_token().await {
            Ok(_) => {}
            Err(error) if error.is_device_lost() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("a destroyed device went on computing")
}

fn print(
    args: &BenchArgs,
    model: &Model,
    executor: &Executor,
    all: &[Parts],
) -> anyhow::Result<()> {
    let median = |mut values: Vec<f64>| -> f64 {
        values.sort_by(f64::total_cmp);
        values
            .get(values.len() / 2)
            .map_or(0.0, |seconds| seconds * 1000.0)
    };
    let total = median(all.iter().map(|parts| parts.iter().sum()).collect());
    let parts: Vec<(&str, f64)> = PARTS
        .iter()
        .enumerate()
        .map(|(part, name)| (*name, median(all.iter().map(|parts| parts[part]).collect())))
        .collect();
    if args.json {
        let parts: serde_json::Map<String, serde_json::Value> = parts
            .iter()
            .map(|(name, millis)| ((*name).to_owned(), (*millis).into()))
            .collect();
        return output::print_json(&serde_json::json!({
            "device": executor.describe(),
            "model": model.manifest.name,
            "tokens": N_TOKENS,
            "measurements": all.len(),
            "total_millis": total,
            "parts_millis": parts,
        }));
    }
    let mut text = format!(
        "device   {}\nmodel    {}\nfrom the loss to the next token, {N_TOKENS} tokens read again, median of {}: {total:.0} ms\n",
        executor.describe(),
        model.manifest.name,
        all.len()
    );
    for (name, millis) in parts {
        text += &format!("  {name:<12}{millis:>8.1} ms\n");
    }
    output::print(&text)
}

/// Opens a device, puts the model on it, reads the tokens and makes the next one.
async fn start(model: &Model, tokens: &[u32]) -> anyhow::Result<(Session, u32, Parts)> {
    let mut since = clock();
    let mut lap = || {
        let now = clock();
        now - std::mem::replace(&mut since, now)
    };
    let executor = open_executor(&model.device).await?;
    let device = lap();
    let (executor, verdict) = model.test.run(executor).await?;
    if let Some(problem) = verdict.problem {
        anyhow::bail!("the self-test failed: {problem}");
    }
    let self_test = lap();
    let mut loader = ModelLoader::new(executor, &model.manifest, &model.config)?;
    let (mut read, mut upload) = (0.0, lap());
    for index in (0..).take(model.manifest.shards.len()) {
        let bytes = match &model.source {
            Source::Memory(shards) => shards.get(index as usize).cloned().unwrap_or_default(),
            Source::Folder(folder) => read_shard(folder, &model.manifest, index)?,
        };
        read += lap();
        loader.push_shard(index, &bytes).await?;
        upload += lap();
    }
    let mut session = loader.finish().await?;
    let prepare = lap();
    session
        .prefill(tokens, |_, _| ControlFlow::Continue(()))
        .await?;
    let next = session.next_token().await?;
    let parts = [device, self_test, read, upload, prepare, lap()];
    Ok((session, next, parts))
}

async fn open(args: &BenchArgs) -> anyhow::Result<Model> {
    let (manifest, source) = match &args.model {
        Some(folder) => {
            let folder = FolderSource::new(folder)?;
            (read_manifest(&folder)?, Source::Folder(folder))
        }
        None => {
            let shape = args.one_shape()?;
            let architecture = synthetic::architecture(shape)
                .ok_or_else(|| bad_input(format!("unknown shape {shape}")))?;
            let name = format!("synthetic {shape}");
            let rows = args.rows.into();
            let made = Synthetic::new(&name, architecture, rows, DEFAULT_ROWS_PER_TILE, args.seed)?;
            let n_shards = made.manifest().shards.len();
            let shards = (0..)
                .take(n_shards)
                .map(|index| made.shard(index))
                .collect();
            (made.manifest().clone(), Source::Memory(shards))
        }
    };
    let config = SessionConfig {
        context: (N_TOKENS + 64).min(manifest.architecture.context),
        kv: args.kv.into(),
        prefill_chunk: args.chunk.unwrap_or(0),
    };
    Ok(Model {
        test: SelfTest::new(&manifest, config.kv).await?,
        manifest,
        source,
        config,
        device: DeviceArgs {
            device: Device::Gpu,
            adapter: args.adapter.clone(),
            variant: args.variant,
        },
    })
}
