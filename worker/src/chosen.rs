//! Models out of files that a person chose: an archive of a package, the files of a package, or those of a checkpoint.
//!
//! Files are read by ranges, never as a whole. What they are is found out first, without storing anything; then they are stored
//! as a download would be: a package's files when their hashes are right, a checkpoint by the same converter. What fails leaves
//! nothing behind.

mod look;
mod package;
mod requests;
mod source;

use model::Manifest;
use model::convert::Plan;
use model::hub::Place;
use protocol::{Fault, FaultCode};

use crate::repacking::Pinned;
use crate::{File, Host};
use package::Package;
pub(crate) use requests::no_store;
use source::FileSource;

/// A model in files.
pub(crate) struct Chosen<H: Host> {
    /// Its place, which says that it is in files.
    place: Place,
    kind: Kind<H>,
}

enum Kind<H: Host> {
    Package(Box<Package<H>>),
    Checkpoint(Box<Checkpoint<H>>),
}

/// Files that are to be converted.
struct Checkpoint<H: Host> {
    source: FileSource<H::File>,
    pinned: Pinned,
    plan: Plan,
}

impl<H: Host> Chosen<H> {
    /// What it will be.
    fn preview(&self) -> Manifest {
        match &self.kind {
            Kind::Package(package) => package.manifest.clone(),
            Kind::Checkpoint(checkpoint) => checkpoint.plan.preview(),
        }
    }
}

/// The fault of files that are no model.
fn bad(detail: impl ToString) -> Fault {
    Fault::new(FaultCode::BadFiles, detail.to_string())
}

/// The fault of a model whose files are needed and not there.
pub(crate) fn gone() -> Fault {
    Fault::new(
        FaultCode::FilesGone,
        "this model came out of files, and they are not at hand any more: choose them again",
    )
}

/// Reads a file, or a part of one.
async fn read<H: Host>(name: &str, file: &H::File) -> Result<H::Bytes, Fault> {
    let read = file.read().await;
    read.map_err(|error| bad(format!("{name} could not be read: {error}")))
}
