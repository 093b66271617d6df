//! Models in the formats in which others publish them: converted while they come, into a package of ours in the store.
//!
//! What is read, in which order, and what waits for what, `model::convert` decides; how a bad network is met, `fetching`. The
//! files are pinned before anything is fetched: those of a hub by the commit, a file that lies by itself by what its server calls
//! its version. A conversion that ended in the middle goes on with the same files where its last checkpoint was, and what is kept
//! of it afterwards can make a lost shard again. The manifest is stored last.

mod pinned;
mod pipe;
mod prospect;
mod repair;
mod sink;
mod source;

use std::ops::ControlFlow;

use model::convert::{Checkpoint, Plan, StreamLimits, stream};
use model::hub::Place;
use model::manifest::FileHash;
use model::source::RemoteSource;
use protocol::{Fault, FaultCode, LoadStage};

use crate::fetching::Trying;
use crate::load::Package;
use crate::progress::Meter;
use crate::store::{Shelf, sum};
use crate::{Host, Inbox, Policy};
use pinned::Record;
use prospect::Prospect;
use sink::{Sink, forget_aside, note, noted};
use source::{Line, Read, WebSource};

pub(crate) use pinned::Pinned;
pub(crate) use prospect::{Look, look, tokenizer};
pub(crate) use repair::restore;
pub(crate) use sink::{Origin, forget, forget_all, origin};

/// What the work needs of the world.
pub(crate) struct Tools<'a, H> {
    pub(crate) host: &'a H,
    pub(crate) policy: &'a Policy,
    pub(crate) inbox: &'a Inbox,
    pub(crate) shelf: &'a Shelf<'a, H>,
}

impl<H> Clone for Tools<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Tools<'_, H> {}

/// Why a conversion stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The network, the store, or what a person would call a failure of the model.
    Fault(Fault),
    /// The converter's word.
    Model(model::Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<model::Error> for Stop {
    fn from(error: model::Error) -> Self {
        Self::Model(error)
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        let error = match stop {
            Stop::Fault(fault) => return fault,
            Stop::Model(error) => error,
        };
        use model::Error::{FileHash, FileMissing, SourceChanged, SourceHash};
        let code = match &error {
            SourceHash { .. } | SourceChanged(_) | FileHash { .. } => FaultCode::Corrupt,
            FileMissing { .. } => FaultCode::NotFound,
            _ => FaultCode::Unsupported,
        };
        Self::new(code, error.to_string())
    }
}

/// Fetches and converts what was found at `place` into the store.
///
/// # Errors
/// Why it did not come, or can't be converted or stored. What was stored stays, unless it is of no use.
pub(crate) async fn repack<H: Host>(
    tools: Tools<'_, H>,
    place: &Place,
    prospect: Prospect<H::Bytes>,
    meter: &mut Meter<'_, H>,
) -> Result<Package, Fault> {
    let key = place.key();
    let Prospect {
        pinned,
        plan,
        checkpoint,
        read,
    } = prospect;
    let shelf = tools.shelf;
    let checkpoint = checkpoint.filter(|_| pinned.can_go_on());
    let checkpoint = still_stored(shelf, &key, checkpoint).await?;
    // With its manifest it is longer than this, so that it does not count as whole before.
    let total_bytes = sum(plan.shard_bytes.iter().copied()).saturating_add(1);
    shelf.announce(&key, &plan.name, total_bytes).await?;
    let record = Record { pinned, checkpoint };
    note(shelf, &key, &record).await?;
    let mut counted = Counted::begin(meter, &record, &plan);
    let mut progress = |done: u64| counted.came(done);
    let trying = Trying::Patiently;
    let package = run(tools, &key, &record, &plan, &read, trying, &mut progress).await;
    match &package {
        Ok(_) => counted.end(),
        // Nobody knows which bytes were wrong, so nothing that was made of them can stay.
        Err(fault) if fault.code == FaultCode::Corrupt => {
            if let Err(other) = shelf.delete(&key).await {
                log::warn!("what was made of wrong bytes is left: {other}");
            }
        }
        Err(_) => {}
    }
    package
}

/// A checkpoint without what the store does not hold after all.
async fn still_stored<H: Host>(
    shelf: &Shelf<'_, H>,
    key: &str,
    checkpoint: Option<Checkpoint>,
) -> Result<Option<Checkpoint>, Fault> {
    let Some(mut checkpoint) = checkpoint else {
        return Ok(None);
    };
    let hashes = shelf.hashes(key).await?;
    let is_lost = |file: &&FileHash| !hashes.contains(&file.sha256);
    let lost: Vec<String> = (checkpoint.stored().filter(is_lost))
        .map(|file| file.file.clone())
        .collect();
    for file in &lost {
        checkpoint.forget(file);
    }
    Ok(Some(checkpoint))
}

/// Converts what the network has. Where a cut transfer can't be gone on with, because the server names no version of the file,
/// all of it begins again.
async fn run<H: Host>(
    tools: Tools<'_, H>,
    key: &str,
    record: &Record,
    plan: &Plan,
    read: &Read<H::Bytes>,
    trying: Trying,
    progress: &mut dyn FnMut(u64),
) -> Result<Package, Fault> {
    let mut tries = tools.policy.download.max_failures;
    loop {
        let line = Line::default();
        let mut source = WebSource::new(tools, trying, &line, &record.pinned, read);
        let work = run_from(tools, key, record, plan, &mut source, progress);
        let package = line.beside(work).await;
        tries = tries.saturating_sub(1);
        if package.is_ok() || !source.is_cut() || tries == 0 {
            return package;
        }
        log::warn!("{key} begins again");
    }
}

/// Converts what `source` has into the store.
async fn run_from<H: Host>(
    tools: Tools<'_, H>,
    key: &str,
    record: &Record,
    plan: &Plan,
    source: &mut impl RemoteSource<Error = Stop>,
    progress: &mut dyn FnMut(u64),
) -> Result<Package, Fault> {
    let Tools { host, shelf, .. } = tools;
    let Record { pinned, checkpoint } = record;
    let checkpoint = checkpoint.as_ref();
    // What waited when the last conversion ended is made again.
    forget_aside(shelf).await?;
    let mut sink = Sink::new(host, shelf, key, pinned, plan, checkpoint);
    let (published, limits) = (pinned.published(), StreamLimits::default());
    let mut on_progress = |state: &model::convert::Progress<'_>| {
        progress(state.bytes_done);
        ControlFlow::Continue(())
    };
    let work = stream(
        source,
        &mut sink,
        plan,
        &published,
        checkpoint,
        &limits,
        &mut on_progress,
    );
    match work.await {
        Ok(streamed) => Ok(Package {
            base_url: key.to_owned(),
            manifest: streamed.manifest,
        }),
        Err(stop) => Err(stop.into()),
    }
}

/// How far the conversion of chosen files is that a page was closed over, or that lacked room. Of other files nothing is known.
pub(crate) async fn begun<H: Host>(
    shelf: &Shelf<'_, H>,
    key: &str,
    pinned: &Pinned,
) -> Result<Option<Checkpoint>, Fault> {
    let record = noted(shelf, key).await?;
    let own = record.filter(|record| record.pinned == *pinned);
    still_stored(shelf, key, own.and_then(|record| record.checkpoint)).await
}

/// Converts files that a person chose into the store. What broke off goes on; behind the end nothing is noted of them.
///
/// # Errors
/// As for [`repack`].
pub(crate) async fn repack_files<H: Host>(
    tools: Tools<'_, H>,
    key: &str,
    pinned: &Pinned,
    plan: &Plan,
    source: &mut impl RemoteSource<Error = Stop>,
    meter: &mut Meter<'_, H>,
) -> Result<Package, Fault> {
    let total_bytes = sum(plan.shard_bytes.iter().copied()).saturating_add(1);
    tools.shelf.announce(key, &plan.name, total_bytes).await?;
    let record = Record {
        pinned: pinned.clone(),
        checkpoint: begun(tools.shelf, key, pinned).await?,
    };
    let mut counted = Counted::begin(meter, &record, plan);
    let mut progress = |done: u64| counted.came(done);
    let package = run_from(tools, key, &record, plan, source, &mut progress).await?;
    counted.end();
    // The files are not kept, so nothing can be made again of what is known of them.
    forget(tools.shelf, key).await?;
    Ok(package)
}

/// Counts the files of a source as they are read, one after the other.
struct Counted<'a, 'm, H: Host> {
    meter: &'a mut Meter<'m, H>,
    /// Where the files end, in the order in which they are read.
    ends: Vec<u64>,
    told: u64,
}

impl<'a, 'm, H: Host> Counted<'a, 'm, H> {
    fn begin(meter: &'a mut Meter<'m, H>, record: &Record, plan: &Plan) -> Self {
        let came = record.checkpoint.as_ref().map(Checkpoint::source_bytes);
        let files = record.pinned.files.iter().map(|file| (file.bytes, false));
        meter.begin(LoadStage::Download, files, came.unwrap_or(0));
        let length = |file| record.pinned.file(file).map_or(0, |file| file.bytes);
        let ends = plan.source_files.iter().scan(0u64, |end, file| {
            *end = end.saturating_add(length(file));
            Some(*end)
        });
        Self {
            meter,
            ends: ends.collect(),
            told: came.unwrap_or(0),
        }
    }

    /// So many bytes were read.
    fn came(&mut self, done: u64) {
        let n_files = self.ends.iter().filter(|end| **end <= done).count();
        let new_bytes = done.saturating_sub(self.told);
        self.meter.files(new_bytes, done, n_files);
        self.told = done;
    }

    /// All were, and those that have no weights before them.
    fn end(&mut self) {
        self.meter.end();
    }
}
