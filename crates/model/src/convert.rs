//! From a checkpoint to a package.
//!
//! 1. A [`Planner`] asks for lengths and headers until it can make a [`Plan`]: every shard's length, every tensor's place, and
//!    the [`Step`]s, each of which names byte ranges of the source and turns them into pieces without any other input.
//! 2. A driver runs the steps in order and gives their results to an [`Assembler`], which hands out finished shards and at last
//!    the manifest. [`convert`] is the driver for a [`Source`] that can be read at once, on all processors; [`stream`] is the one
//!    for files behind a network, which reads each byte once and in order, on one thread.
//!
//! The result depends on the checkpoint and the options alone: no clocks, no random numbers, no order of hash tables.

mod assemble;
mod drive;
#[cfg(not(target_family = "wasm"))]
mod folder;
mod place;
mod plan;
mod sink;
mod step;
mod stream;

use std::ops::ControlFlow;

pub use crate::checkpoint::tokenizer_from_sentencepiece;
pub use assemble::{Assembler, FinishedShard};
#[cfg(not(target_family = "wasm"))]
pub use folder::{FolderSink, convert_folder};
pub use plan::{Plan, Planner, Polled, plan};
pub use sink::{MemorySink, Sink};
pub use step::{PieceBytes, Step, StepOutput, StepRun};
pub use stream::{Checkpoint, PackageStore, StreamLimits, Streamed, plan_remote, stream};

use crate::checkpoint::Overrides;
use crate::checkpoint::text::MAX_TOKENIZER_BYTES;
use crate::hash::{check_hash, hash_bytes};
use crate::layout::Q4_GROUP;
use crate::manifest::{FileHash, MANIFEST_FILE};
use crate::source::{Source, read_whole};
use crate::{Coding, Encoding, Error, Manifest};

/// Rows interleaved in one B2 tile unless a caller says otherwise. `docs/PERFORMANCE.md` has the measurement behind it.
pub const DEFAULT_ROWS_PER_TILE: u32 = 8;

/// How the rows of embedding and head are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbedFormat {
    /// Halves.
    F16,
    /// Signed bytes with a scale per row.
    Q8,
    /// 6-bit codes with a scale per group.
    Q6 {
        /// Elements per scale, 32 or 64.
        group: u32,
    },
    /// 4-bit codes with a scale per group of 32.
    Q4,
}

impl EmbedFormat {
    /// The encoding of a tensor in this format.
    pub const fn encoding(self) -> Encoding {
        match self {
            EmbedFormat::F16 => Encoding::F16,
            EmbedFormat::Q8 => Encoding::Q8,
            EmbedFormat::Q6 { group } => Encoding::Q6 { group },
            EmbedFormat::Q4 => Encoding::Q4 {
                group: Q4_GROUP as u32,
            },
        }
    }
}

/// What a caller may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Format of embedding and head.
    pub embed: EmbedFormat,
    /// Coding of the ternary codes in the shards.
    pub coding: Coding,
    /// Rows of a B2 tile, a power of two from 1 to 64.
    pub rows_per_tile: u32,
    /// Name of the model.
    pub name: String,
    /// Licence of the weights as an SPDX expression; what the checkpoint states if `None`.
    pub license: Option<String>,
    /// The file of the weights, or the index of their shards; found by its name or its first bytes if `None`.
    pub file: Option<String>,
    /// What the checkpoint's files leave open.
    pub overrides: Overrides,
}

impl ConvertOptions {
    /// The usual choices: 8-bit rows, 2-bit codes.
    pub fn new(name: &str) -> ConvertOptions {
        ConvertOptions {
            embed: EmbedFormat::Q8,
            coding: Coding::B2,
            rows_per_tile: DEFAULT_ROWS_PER_TILE,
            name: name.to_string(),
            license: None,
            file: None,
            overrides: Overrides::default(),
        }
    }
}

/// How far a conversion is, in bytes of work: those that are hashed, and those that are read to be converted. Float matrices
/// are read twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Bytes of work done.
    pub bytes_done: u64,
    /// Bytes of work in all.
    pub bytes_total: u64,
    /// File or tensor at work.
    pub what: &'a str,
}

/// Converts a checkpoint, on all processors. Memory is bounded by the largest packed matrix for each of them plus some shards,
/// whatever the size of the model. Returns the manifest, which is already written.
///
/// # Errors
/// If the checkpoint cannot be read or is not valid, the sink cannot be written, or `progress` returns `Break`. What the sink
/// holds then is unfinished: [`Sink::finish`] is called only after everything else succeeded.
pub fn convert(
    source: &dyn Source,
    sink: &mut dyn Sink,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Manifest, Error> {
    let plan = plan(source, options)?;
    let mut assembler = Assembler::new(&plan);
    let source_files = drive::run(source, &plan, progress, &mut |step, output| {
        for shard in assembler.add(step, output)? {
            sink.write_file(&shard.file.file, &shard.bytes)?;
        }
        Ok(())
    })?;
    let tokenizer = copy_tokenizer(source, sink, &plan, &source_files)?;
    let manifest = assembler.finish(source_files, tokenizer)?;
    manifest.validate()?;
    sink.write_file(MANIFEST_FILE, &manifest.to_json())?;
    sink.finish()?;
    Ok(manifest)
}

/// Copies the tokenizer as it is, making sure that it is the file that was hashed, or writes the one that was made.
fn copy_tokenizer(
    source: &dyn Source,
    sink: &mut dyn Sink,
    plan: &Plan,
    source_files: &[FileHash],
) -> Result<Option<FileHash>, Error> {
    let Some(text) = &plan.text else {
        return Ok(None);
    };
    let file = &text.tokenizer.file;
    if let Some(made) = &plan.tokenizer {
        sink.write_file(file, made)?;
        return Ok(Some(hash_bytes(file, made)));
    }
    let bytes = read_whole(source, file, "the tokenizer", MAX_TOKENIZER_BYTES)?;
    if let Some(hashed) = source_files.iter().find(|hash| hash.file == *file) {
        check_hash(hashed, &bytes)?;
    }
    sink.write_file(file, &bytes)?;
    Ok(Some(hash_bytes(file, &bytes)))
}
