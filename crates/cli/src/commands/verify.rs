//! `tern verify`: is a package whole?

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use model::package::{read_manifest, read_tokenizer, verify};
use model::source::FolderSource;

use crate::loaded::LoadedText;
use crate::output::{self, megabytes};
use crate::progress::Bar;

/// Options of `tern verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Folder of the package
    package: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The first thing that is wrong with the package.
pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<()> {
    let source = FolderSource::new(&args.package)?;
    let progress_bar = Bar::bytes("verifying", 0);
    let verified = verify(&source, &mut |done, total| {
        progress_bar.set_total(total);
        progress_bar.set(done, "");
        ControlFlow::Continue(())
    })?;
    drop(progress_bar);
    let manifest = read_manifest(&source)?;
    if let (Some(info), Some(json)) = (&manifest.text, read_tokenizer(&source, &manifest)?) {
        LoadedText::new(info, &json, manifest.architecture.vocab)?;
    }
    output::print(&format!(
        "{} is whole: {} tensors in {} shards, {}\n",
        manifest.name,
        verified.tensors,
        verified.shards,
        megabytes(verified.bytes)
    ))
}
