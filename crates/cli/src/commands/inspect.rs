//! `tern inspect`: what is in a folder?

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use model::convert::ConvertOptions;
use model::inspect::{Form, Inspection, inspect};
use model::source::FolderSource;
use model::{Activation, Coding, Encoding};

use crate::checkpoint_args::{OverrideArgs, input_file, input_folder};
use crate::output::{self, megabytes};

/// Options of `tern inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Folder of a checkpoint or package, or the file of a checkpoint's weights
    path: PathBuf,
    #[command(flatten)]
    overrides: OverrideArgs,
}

/// Runs the command.
///
/// # Errors
/// When the folder holds neither a package nor a checkpoint that can be converted.
pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let options = ConvertOptions {
        file: input_file(&args.path)?,
        overrides: args.overrides.resolve(),
        ..ConvertOptions::new("unnamed")
    };
    let inspection = inspect(&FolderSource::new(input_folder(&args.path))?, &options)?;
    let mut report = Report::default();
    report.model(&inspection);
    report.storage(&inspection);
    report.text(&inspection);
    report.memory(&inspection);
    for note in &inspection.notes {
        report.line("note", note);
    }
    output::print(&report.0)
}

/// Lines of `name  value`.
#[derive(Default)]
struct Report(String);

impl Report {
    fn line(&mut self, name: &str, value: impl AsRef<str>) {
        writeln!(self.0, "{name:<14}{}", value.as_ref()).expect("writing to a String cannot fail");
    }

    fn model(&mut self, found: &Inspection) {
        let form = match &found.form {
            Form::Package { schema } => format!("package, format version {schema}"),
            Form::Checkpoint { kind } => format!(
                "checkpoint, {kind}; sizes below are those of a package with default options"
            ),
        };
        self.line("form", form);
        if let Some(name) = &found.name {
            self.line("name", name);
        }
        self.line("licence", found.license.as_deref().unwrap_or("not stated"));
        let arch = &found.architecture;
        let graph = match arch.activation {
            Activation::Relu2 => "squared ReLU",
            Activation::Silu => "SiLU",
        };
        let norms = if arch.sub_norms {
            "sub-norms"
        } else {
            "no sub-norms"
        };
        let head = if arch.tied {
            "head tied to the embedding"
        } else {
            "separate head"
        };
        self.line(
            "graph",
            format!(
                "{}: {graph}, {norms}, {head}, rope theta {}",
                arch.family, arch.rope_theta
            ),
        );
        self.line(
            "shape",
            format!(
                "{} layers, hidden {}, ffn {}, {} query and {} key-value heads of {}, vocabulary {}, {} positions",
                arch.layers, arch.hidden, arch.ffn, arch.heads, arch.kv_heads, arch.head_dim, arch.vocab, arch.context
            ),
        );
        self.line(
            "parameters",
            format!(
                "{} ternary, {} in embedding and head, {} in norms",
                millions(found.n_ternary),
                millions(found.n_rows),
                millions(found.n_norms)
            ),
        );
        let scales = match found.scale_convention.as_str() {
            "multiply" => "multiply: the stored scale is the multiplier",
            "divide" => "divide: the stored scale is the inverse of the multiplier",
            "floats" => {
                "floats: a matrix with one magnitude is ternary already, others are rounded by their mean magnitude"
            }
            other => other,
        };
        self.line("source scales", scales);
    }

    fn storage(&mut self, found: &Inspection) {
        let coding = match found.coding {
            Coding::B2 => "2 bits (b2)",
            Coding::T5 => "1.6 bits (t5)",
        };
        let embed = match found.embed {
            Some(Encoding::F16) => "f16".to_owned(),
            Some(Encoding::Q8) => "q8".to_owned(),
            Some(Encoding::Q6 { group }) => format!("q6 in groups of {group}"),
            Some(Encoding::Q4 { group }) => format!("q4 in groups of {group}"),
            Some(Encoding::F32) => "f32".to_owned(),
            _ => "unknown".to_owned(),
        };
        self.line("storage", format!("ternary {coding}, embedding {embed}"));
        self.line(
            "shards",
            format!("{}, {}", found.n_shards, megabytes(found.shard_bytes)),
        );
        for (file, bytes) in &found.files {
            let size = bytes.map_or_else(|| "size unknown".to_owned(), megabytes);
            self.line("source file", format!("{file}, {size}"));
        }
    }

    fn text(&mut self, found: &Inspection) {
        let Some(text) = &found.text else {
            self.line("tokenizer", "none: only token ids can be used");
            return;
        };
        let template = if text.chat_template.is_some() {
            "with a chat template"
        } else {
            "no chat template"
        };
        self.line("tokenizer", format!("{}, {template}", text.tokenizer.file));
        let stop: Vec<String> = text.stop_ids.iter().map(u32::to_string).collect();
        self.line(
            "stop ids",
            if stop.is_empty() {
                "none".to_owned()
            } else {
                stop.join(", ")
            },
        );
    }

    fn memory(&mut self, found: &Inspection) {
        for need in &found.memory {
            let total = need.weight_bytes.saturating_add(need.kv_bytes_f16);
            self.line(
                "memory",
                format!(
                    "{} at {} tokens of context ({} weights, {} f16 cache)",
                    megabytes(total),
                    need.context,
                    megabytes(need.weight_bytes),
                    megabytes(need.kv_bytes_f16)
                ),
            );
        }
    }
}

fn millions(n: u64) -> String {
    match n {
        0..100_000 => n.to_string(),
        _ => format!("{:.1} M", n as f64 / 1e6),
    }
}
