//! `tern bench`: speed of a package or of a shape, as ratios to what the device's memory gives.

mod interleave;
mod products;
mod recovery;
mod table;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

use clap::{Args, ValueEnum};
use engine::bench::synthetic::{self, Synthetic};
use engine::bench::{LoadTime, Options};
use engine::ops::{Sharing, Tuning};
use engine::{Executor, Session, SessionConfig};
use model::convert::DEFAULT_ROWS_PER_TILE;
use model::package::{read_manifest, read_shard};
use model::source::FolderSource;

use crate::args::{Device, DeviceArgs, Kv};
use crate::failure::bad_input;
use crate::loaded::open_executor;
use crate::output;

/// Options of `tern bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Folder of a package
    #[arg(long, value_name = "DIR", conflicts_with_all = ["shape", "kernels"])]
    model: Option<PathBuf>,
    /// Shape of a published model, with random weights made on the fly (speed does not depend on their values); with
    /// --products several
    #[arg(long, value_name = "SHAPE", value_delimiter = ',', value_parser = synthetic::SHAPES, conflicts_with = "interleave")]
    shape: Vec<String>,
    /// Encoding of embedding and head of a --shape
    #[arg(long, value_enum, default_value_t = Rows::Q8)]
    rows: Rows,
    /// Seed of the random weights
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Tokens in the cache when decoding is timed [default: 128,512,2048; on a software adapter: 16]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    context: Vec<u32>,
    /// Lengths of the prompts whose prefill is timed [default: 128,512,2048; on a software adapter: 16]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    prompt: Vec<u32>,
    /// Tokens decoded in each timing [default: 64; on a software adapter: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    tokens: Option<u32>,
    /// Timings of which the median counts [default: 5; on a software adapter: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    repetitions: Option<u32>,
    /// Tokens of one prefill submit [default: what suits the device]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    chunk: Option<u32>,
    /// Decode steps of one submit: 1, 2, 4 or 8 [default: 2; on a software adapter: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    steps_per_submit: Option<u32>,
    /// Element type of the key-value cache
    #[arg(long, value_enum, default_value_t = Kv::F16)]
    kv: Kv,
    /// Decode with norms, rotation and append in dispatches of their own (the default on a software adapter) or not
    #[arg(long, value_name = "BOOL")]
    fused: Option<bool>,
    /// How a kind of product is shared out among invocations: gemv, gated-gemv, store, gated, add, long; may be repeated
    #[arg(long, value_name = "KIND=WORKGROUP,SLICES,ROWS", value_parser = share)]
    share: Vec<(ShareKind, Sharing)>,
    /// Query heads that share a workgroup of attention
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4))]
    attention_heads: Option<u32>,
    /// The position from which on they do, at most 1024
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1024))]
    attention_sharing: Option<u32>,
    /// Instead of a model, measure row interleavings of ternary matrices (takes minutes)
    #[arg(long, group = "kernels")]
    interleave: bool,
    /// Instead of a model, compare the products of a layer with plain reads of as many bytes [default shapes: 2b-4t,3b,llama3-8b]
    #[arg(long, group = "kernels")]
    products: bool,
    /// With --products: time the read kernel with so many bytes a dispatch as well, multiples of 16
    #[arg(long, value_name = "N", requires = "products", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(16..))]
    read_bytes: Vec<u64>,
    /// Instead of speeds, measure the time from the loss of the device to the next token, and its parts
    #[arg(long, conflicts_with = "kernels")]
    recovery: bool,
    /// With --interleave or --products: small matrices and few kernels, to check them on a software adapter
    #[arg(long, requires = "kernels")]
    tiny: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Use the GPU adapter whose name contains NAME
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// Kernel variant, instead of the one that suits the adapter's features
    #[arg(long, value_name = "VARIANT")]
    variant: Option<engine::Variant>,
}

const EXAMPLES: &str = "Examples:
  tern bench --shape 2b-4t                         kernels, decode and prefill of a 2B model
  tern bench --model PACKAGE --context 128,4000    a package, with two fillings of the cache
  tern bench --shape 2b-4t --recovery              from the loss of the device to the next token
  tern bench --products --shape 2b-4t,3b           the products of a layer against plain reads
  tern bench --interleave --json                   the sweep behind the packing order of rows";

impl BenchArgs {
    /// The shape of a measurement that takes one.
    fn one_shape(&self) -> anyhow::Result<&str> {
        match &self.shape[..] {
            [] => Ok("2b-4t"),
            [shape] => Ok(shape),
            _ => Err(bad_input("only --products takes more than one --shape")),
        }
    }
}

/// Encoding of embedding and head rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rows {
    /// Halves
    F16,
    /// 8 bits
    Q8,
    /// 6 bits
    Q6,
    /// 4 bits
    Q4,
}

impl From<Rows> for model::Encoding {
    fn from(rows: Rows) -> model::Encoding {
        match rows {
            Rows::F16 => model::Encoding::F16,
            Rows::Q8 => model::Encoding::Q8,
            Rows::Q6 => model::Encoding::Q6 { group: 32 },
            Rows::Q4 => model::Encoding::Q4 { group: 32 },
        }
    }
}

/// Seconds since the first call.
fn clock() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Runs the command.
///
/// # Errors
/// When there is no GPU, the model does not fit it, or a check of the measured work fails.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if args.interleave {
        return interleave::run(args);
    }
    if args.products {
        return pollster::block_on(products::run(args));
    }
    if args.recovery {
        return pollster::block_on(recovery::run(args));
    }
    pollster::block_on(run_model(args))
}

async fn run_model(args: &BenchArgs) -> anyhow::Result<()> {
    let device = DeviceArgs {
        device: Device::Gpu,
        adapter: args.adapter.clone(),
        variant: args.variant,
    };
    let mut executor = open_executor(&device).await?;
    tune(args, &mut executor);
    let software = executor.device().is_some_and(engine::Device::is_software);
    let options = options(args, software);
    let (mut session, name, load) = load(args, executor, &options).await?;
    if let Some(steps) = args.steps_per_submit {
        session.set_steps_per_submit(steps);
    }
    let mut progress = |line: &str| log::info!("{line}");
    let report =
        engine::bench::run(&mut session, &name, Some(load), &options, &mut progress).await?;
    if args.json {
        output::print_json(&serde_json::to_value(&report)?)?;
    } else {
        output::print(&table::report(&report))?;
    }
    if report.verified {
        Ok(())
    } else {
        Err(anyhow::anyhow!(
            "the measured kernels gave wrong results, so the times mean nothing"
        ))
    }
}

/// Kinds of products that `--share` takes.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ShareKind {
    Gemv,
    GatedGemv,
    Store,
    Gated,
    Add,
    Long,
}

/// Parses a value of `--share`.
fn share(text: &str) -> Result<(ShareKind, Sharing), String> {
    const FORM: &str = "expected KIND=WORKGROUP,SLICES,ROWS";
    let (kind, sizes) = text.split_once('=').ok_or(FORM)?;
    let kind = <ShareKind as clap::ValueEnum>::from_str(kind, false)?;
    let sizes: Result<Vec<u32>, _> = sizes.split(',').map(str::parse).collect();
    let Ok(&[workgroup, slices, rows]) = sizes.as_deref() else {
        return Err(FORM.to_owned());
    };
    // A workgroup that quantises a row is made of whole blocks of 32 invocations.
    let unit = if matches!(kind, ShareKind::Gemv | ShareKind::GatedGemv) {
        1
    } else {
        32
    };
    if !(1..=1024).contains(&workgroup) || !workgroup.is_multiple_of(unit) {
        return Err(format!(
            "expected a workgroup of 1 to 1024 invocations, a multiple of {unit}"
        ));
    }
    if slices == 0 || !workgroup.is_multiple_of(slices) {
        return Err(format!("expected slices that divide {workgroup}"));
    }
    if !(1..=8).contains(&rows) {
        return Err("expected 1 to 8 rows".to_owned());
    }
    Ok((
        kind,
        Sharing {
            workgroup,
            slices,
            rows,
        },
    ))
}

/// Replaces the choices that the arguments name.
fn tune(args: &BenchArgs, executor: &mut Executor) {
    let Executor::Gpu(gpu) = executor else { return };
    let own = *gpu.tuning();
    let mut shares = own.shares;
    for (kind, sharing) in &args.share {
        match kind {
            ShareKind::Gemv => shares.gemv = *sharing,
            ShareKind::GatedGemv => shares.gated_gemv = [*sharing; 2],
            ShareKind::Store => shares.store = *sharing,
            ShareKind::Gated => shares.gated = *sharing,
            ShareKind::Add => shares.add = [*sharing; 2],
            ShareKind::Long => shares.long = [*sharing; 3],
        }
    }
    gpu.set_tuning(Tuning {
        fused: args.fused.unwrap_or(own.fused),
        shares,
        attention_heads: args.attention_heads.unwrap_or(own.attention_heads),
        attention_sharing: args.attention_sharing.unwrap_or(own.attention_sharing),
        ..own
    });
}

fn options(args: &BenchArgs, software: bool) -> Options {
    let sizes = |given: &[u32]| match (given, software) {
        ([], false) => vec![128, 512, 2048],
        ([], true) => vec![16],
        (given, _) => given.to_vec(),
    };
    Options {
        contexts: sizes(&args.context),
        prompts: sizes(&args.prompt),
        decode_tokens: args.tokens.unwrap_or(if software { 4 } else { 64 }),
        repetitions: args.repetitions.unwrap_or(if software { 1 } else { 5 }),
        read_bytes: if software { 64 << 20 } else { 1 << 30 },
        check_bytes: 1 << 30,
        clock,
    }
}

/// The cache must hold the largest context with the tokens after it, and the largest prompt with one.
fn session_config(args: &BenchArgs, options: &Options, model_context: u32) -> SessionConfig {
    let decoding = options.contexts.iter().max().map_or(0, |n| {
        n.saturating_add(options.decode_tokens).saturating_add(16)
    });
    let prefilling = options
        .prompts
        .iter()
        .max()
        .map_or(0, |n| n.saturating_add(1));
    let context = decoding.max(prefilling).max(64).min(model_context);
    SessionConfig {
        context,
        kv: args.kv.into(),
        prefill_chunk: args.chunk.unwrap_or(0),
    }
}

async fn load(
    args: &BenchArgs,
    executor: engine::Executor,
    options: &Options,
) -> anyhow::Result<(Session, String, LoadTime)> {
    if let Some(folder) = &args.model {
        let source = FolderSource::new(folder)?;
        let manifest = read_manifest(&source)?;
        let config = session_config(args, options, manifest.architecture.context);
        let shard = |index| read_shard(&source, &manifest, index).map_err(anyhow::Error::from);
        let (session, time) =
            engine::bench::load(executor, &manifest, &config, clock, shard).await?;
        return Ok((session, manifest.name.clone(), time));
    }
    let shape = args.one_shape()?;
    let architecture = synthetic::architecture(shape)
        .ok_or_else(|| bad_input(format!("unknown shape {shape}")))?;
    let config = session_config(args, options, architecture.context);
    let name = format!(
        "synthetic {shape}, {:?} rows, seed {}",
        args.rows, args.seed
    );
    let model = Synthetic::new(
        &name,
        architecture,
        args.rows.into(),
        DEFAULT_ROWS_PER_TILE,
        args.seed,
    )?;
    let (session, time) = engine::bench::load_synthetic(executor, &model, &config, clock).await?;
    Ok((session, name, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_kind_and_three_numbers() {
        let expected = Sharing {
            workgroup: 128,
            slices: 16,
            rows: 2,
        };
        assert!(matches!(share("store=128,16,2"), Ok((ShareKind::Store, got)) if got == expected));
        for wrong in [
            "store",
            "store=128,16",
            "store=128,16,2,",
            "store=128,16,2,x",
            "nothing=128,16,2",
            "store=100,10,2",
            "gated=128,0,2",
            "gemv=100,16,2",
            "long=128,16,9",
            "add=4294967296,16,2",
        ] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
