//! `tern convert`: a checkpoint becomes a package.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use model::Coding;
use model::convert::{ConvertOptions, EmbedFormat, Plan, convert_folder, plan};
use model::source::{FolderSource, Source as _};

use crate::checkpoint_args::{OverrideArgs, input_file, input_folder};
use crate::failure::bad_input;
use crate::interrupt::{self, Mode};
use crate::loaded::LoadedText;
use crate::output::megabytes;
use crate::progress::Bar;

/// Options of `tern convert`.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Folder of the checkpoint, or the file of its weights
    input: PathBuf,
    /// Folder of the package to make
    output: PathBuf,
    /// How embedding and head are stored
    #[arg(long, value_enum, default_value_t = Embed::Q8)]
    embed: Embed,
    /// Values that share a scale, for --embed q6 [default: 64]
    #[arg(long, value_name = "N", value_parser = ["32", "64"])]
    group: Option<String>,
    /// How ternary codes are stored: 2 bits, or 1.6 bits for a smaller download
    #[arg(long, value_enum, default_value_t = CodingArg::B2)]
    coding: CodingArg,
    /// Name of the model [default: the name of the input folder]
    #[arg(long)]
    name: Option<String>,
    /// Licence of the weights, as an SPDX expression [default: what the checkpoint states]
    #[arg(long, value_name = "SPDX")]
    license: Option<String>,
    /// Replace the package that is at OUTPUT
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    overrides: OverrideArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Embed {
    /// 8 bits, a scale per row
    Q8,
    /// 6 bits, a scale per group
    Q6,
    /// 4 bits, a scale per 32 values
    Q4,
    /// 16-bit floats
    F16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CodingArg {
    /// 2 bits a code
    B2,
    /// 1.6 bits a code
    T5,
}

impl ConvertArgs {
    fn options(&self) -> anyhow::Result<ConvertOptions> {
        let embed = match (self.embed, self.group.as_deref()) {
            (Embed::Q6, group) => EmbedFormat::Q6 {
                group: if group == Some("32") { 32 } else { 64 },
            },
            (_, Some(_)) => return Err(bad_input("--group only goes with --embed q6")),
            (Embed::Q8, None) => EmbedFormat::Q8,
            (Embed::Q4, None) => EmbedFormat::Q4,
            (Embed::F16, None) => EmbedFormat::F16,
        };
        let name = match &self.name {
            Some(name) => name.clone(),
            None => name_of(&self.input)?,
        };
        let coding = match self.coding {
            CodingArg::B2 => Coding::B2,
            CodingArg::T5 => Coding::T5,
        };
        Ok(ConvertOptions {
            embed,
            coding,
            license: self.license.clone(),
            file: input_file(&self.input)?,
            overrides: self.overrides.resolve(),
            ..ConvertOptions::new(&name)
        })
    }
}

/// Name of a folder, or of a file without its ending.
fn name_of(input: &Path) -> anyhow::Result<String> {
    let path = input
        .canonicalize()
        .map_err(|error| bad_input(format!("cannot read {}: {error}", input.display())))?;
    let name = if path.is_dir() {
        path.file_name()
    } else {
        path.file_stem()
    };
    let name = name.map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| {
        bad_input(format!(
            "{} has no name; give one with --name",
            input.display()
        ))
    })
}

/// Runs the command.
///
/// # Errors
/// For a checkpoint that cannot be converted; then nothing is left behind.
pub(crate) fn run(args: &ConvertArgs) -> anyhow::Result<()> {
    let options = args.options()?;
    let folder = input_folder(&args.input);
    let source = FolderSource::new(folder)?;
    let plan = plan(&source, &options)?;
    check_text(&source, &plan)?;
    for note in &plan.notes {
        eprintln!("note: {note}");
    }

    interrupt::set_mode(Mode::Stop);
    let progress_bar = Bar::bytes("converting", 0);
    let manifest = convert_folder(folder, &args.output, args.replace, &options, &mut |state| {
        progress_bar.set_total(state.bytes_total);
        progress_bar.set(state.bytes_done, state.what);
        if interrupt::pressed() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    drop(progress_bar);
    let bytes: u64 = manifest.shards.iter().map(|shard| shard.bytes).sum();
    eprintln!(
        "{}: {} tensors in {} shards, {}",
        args.output.display(),
        manifest.tensors.len(),
        manifest.shards.len(),
        megabytes(bytes)
    );
    Ok(())
}

/// A package must be able to chat with what it holds: tokenizer and template are loaded once before anything is written.
fn check_text(source: &FolderSource, plan: &Plan) -> anyhow::Result<()> {
    let Some(info) = &plan.text else {
        return Ok(());
    };
    if let Some(made) = &plan.tokenizer {
        LoadedText::new(info, made, plan.architecture.vocab)?;
        return Ok(());
    }
    let file = &info.tokenizer.file;
    let mut json = vec![0; source.len(file)?.unwrap_or(0) as usize];
    source.read_at(file, 0, &mut json)?;
    LoadedText::new(info, &json, plan.architecture.vocab)?;
    Ok(())
}
