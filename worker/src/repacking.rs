//! Models in the formats in which others publish them: converted while they come, into a package of ours in the store.
//!
//! What is read, in which order, and what waits for what, `model::convert` decides; how a bad network is met, `fetching`. The
//! files are pinned before anything is fetched: those of a hub by the commit, a file that lies by itself by what its server calls
//! its version. A conversion that ended in the middle goes on with the same files where its last checkpoint was, and what is kept
//! of it afterwards can make a lost shard again. The manifest is stored last.

mod pinned;
mod pipe;
mod sink;
mod source;

use std::ops::ControlFlow;

use model::convert::{Checkpoint, Plan, StreamLimits, plan_remote, stream};
use model::hub::Place;
use model::manifest::FileHash;
use model::source::{ByteRange, RemoteSource};
use protocol::{Fault, FaultCode, LoadStage};

use crate::fetching::Trying;
use crate::load::Package;
use crate::progress::Meter;
use crate::store::{Shelf, sum};
use crate::{Host, Inbox, Policy};
use pinned::{Found, Record, find};
use sink::{Sink, forget_aside, note, noted};
use source::{Line, WebSource};

pub(crate) use pinned::Pinned;
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
        use model::Error::{FileHash, SourceChanged, SourceHash};
        let code = match &error {
            SourceHash { .. } | SourceChanged(_) | FileHash { .. } => FaultCode::Corrupt,
            _ => FaultCode::Unsupported,
        };
        Self::new(code, error.to_string())
    }
}

/// A model that can be converted.
pub(crate) struct Prospect {
    pinned: Pinned,
    plan: Plan,
    checkpoint: Option<Checkpoint>,
}

/// What was found at a place.
pub(crate) enum Look {
    /// A package, in this folder.
    Package(String),
    /// Something to be converted.
    Prospect(Box<Prospect>),
}

impl Prospect {
    /// What it will be.
    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes to be fetched in all, and those that came before.
    pub(crate) fn source_bytes(&self) -> (u64, u64) {
        let came = self.checkpoint.as_ref().map(Checkpoint::source_bytes);
        (self.pinned.source_bytes(), came.unwrap_or(0))
    }

    /// Bytes of the package that are stored.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let stored = self.checkpoint.iter().flat_map(Checkpoint::stored);
        sum(stored.map(|file| file.bytes))
    }
}

/// Looks at what lies at a place: its list of files and its headers. A conversion that was begun goes on with the files that it
/// had; if they are not there any more, it begins again.
///
/// # Errors
/// If there is nothing that can be used.
pub(crate) async fn look<H: Host>(
    tools: Tools<'_, H>,
    place: &Place,
    trying: Trying,
) -> Result<Look, Fault> {
    let key = place.key();
    let begun = noted(tools.shelf, &key).await?;
    let record = match begun {
        // What a commit names can't have changed meanwhile.
        Some(record) if record.pinned.is_still(crate::precision::precision(place)) => record,
        begun => {
            let pinned = match find(&tools, place, trying).await? {
                Found::Package(base_url) => return Ok(Look::Package(base_url)),
                Found::Foreign(pinned) => pinned,
            };
            let is_same = |record: &Record| record.pinned == pinned && pinned.can_go_on();
            let checkpoint = match begun {
                Some(record) if is_same(&record) => record.checkpoint,
                Some(_) => {
                    // What came of another version must not be mixed with this one.
                    tools.shelf.delete(&key).await?;
                    None
                }
                None => None,
            };
            Record { pinned, checkpoint }
        }
    };
    let plan = planned(tools, &record.pinned, trying).await?;
    if plan.text.is_none() {
        let detail = format!("{} has no tokenizer", plan.name);
        return Err(Fault::new(FaultCode::NoChat, detail));
    }
    Ok(Look::Prospect(Box::new(Prospect {
        pinned: record.pinned,
        plan,
        checkpoint: record.checkpoint,
    })))
}

/// Reads the headers.
async fn planned<H: Host>(
    tools: Tools<'_, H>,
    pinned: &Pinned,
    trying: Trying,
) -> Result<Plan, Fault> {
    let line = Line::default();
    let mut source = WebSource::new(tools, trying, &line, pinned);
    let (options, limits) = (pinned.options(), StreamLimits::default());
    let plan = plan_remote(&mut source, &options, &limits);
    Ok(line.beside(plan).await?)
}

/// The tokenizer that the package will have, to be tried before anything large is fetched. `None` where that was done.
///
/// # Errors
/// If it can't be fetched.
pub(crate) async fn tokenizer<H: Host>(
    tools: Tools<'_, H>,
    prospect: &Prospect,
) -> Result<Option<Vec<u8>>, Fault> {
    let Prospect {
        pinned,
        plan,
        checkpoint: None,
    } = prospect
    else {
        return Ok(None);
    };
    let Some(text) = &plan.text else {
        return Ok(None);
    };
    if let Some(made) = &plan.tokenizer {
        return Ok(Some(made.clone()));
    }
    let file = text.tokenizer.file.clone();
    let bytes = pinned.file(&file).map_or(0, |file| file.bytes);
    let limit = tools.policy.max_tokenizer_bytes;
    if bytes > limit {
        let detail = format!("{file}: expected at most {limit} bytes, got {bytes}");
        return Err(Fault::new(FaultCode::BadModel, detail));
    }
    let line = Line::default();
    let mut source = WebSource::new(tools, Trying::Patiently, &line, pinned);
    let range = ByteRange {
        file,
        offset: 0,
        bytes,
    };
    let read = source.read(&range);
    Ok(Some(line.beside(read).await?))
}

/// Fetches and converts what was found at `place` into the store.
///
/// # Errors
/// Why it did not come, or can't be converted or stored. What was stored stays, unless it is of no use.
pub(crate) async fn repack<H: Host>(
    tools: Tools<'_, H>,
    place: &Place,
    prospect: Prospect,
    meter: &mut Meter<'_, H>,
) -> Result<Package, Fault> {
    let key = place.key();
    let Prospect {
        pinned,
        plan,
        checkpoint,
    } = prospect;
    let shelf = tools.shelf;
    let checkpoint = checkpoint.filter(|_| pinned.can_go_on());
    let checkpoint = still_stored(shelf, &key, checkpoint).await?;
    // With its manifest it is longer than this, so that it does not count as whole before.
    let total_bytes = sum(plan.shard_bytes.iter().copied()).saturating_add(1);
    shelf.announce(&key, &plan.name, total_bytes).await?;
    let record = Record { pinned, checkpoint };
    note(shelf, &key, &record).await?;
    let came = record.checkpoint.as_ref().map(Checkpoint::source_bytes);
    let mut told = came.unwrap_or(0);
    let files = record.pinned.files.iter().map(|file| (file.bytes, false));
    meter.begin(LoadStage::Download, files, told);
    let mut progress = |done: u64| {
        meter.came(done.saturating_sub(told), done);
        told = done;
    };
    run(
        tools,
        &key,
        &record,
        &plan,
        Trying::Patiently,
        &mut progress,
    )
    .await
}

/// Makes a file of a converted package again that the store has lost.
///
/// # Errors
/// As for [`repack`].
pub(crate) async fn restore<H: Host>(
    tools: Tools<'_, H>,
    place: &Place,
    file: &FileHash,
    trying: Trying,
) -> Result<H::Bytes, Fault> {
    let key = place.key();
    let lost = || {
        let detail = format!("{} is lost, and can't be made again", file.file);
        Fault::new(FaultCode::Corrupt, detail)
    };
    log::warn!("{} is made again", file.file);
    let Look::Prospect(prospect) = look(tools, place, trying).await? else {
        return Err(lost());
    };
    let Prospect {
        pinned,
        plan,
        mut checkpoint,
    } = *prospect;
    if let Some(checkpoint) = &mut checkpoint {
        checkpoint.forget(&file.file);
    }
    let record = Record { pinned, checkpoint };
    run(tools, &key, &record, &plan, trying, &mut |_| {}).await?;
    tools.shelf.get(&key, file).await?.ok_or_else(lost)
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

async fn run<H: Host>(
    tools: Tools<'_, H>,
    key: &str,
    record: &Record,
    plan: &Plan,
    trying: Trying,
    progress: &mut dyn FnMut(u64),
) -> Result<Package, Fault> {
    let line = Line::default();
    let mut source = WebSource::new(tools, trying, &line, &record.pinned);
    let work = run_from(tools, key, record, plan, &mut source, progress);
    line.beside(work).await
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
        Err(stop) => {
            let fault = Fault::from(stop);
            if fault.code == FaultCode::Corrupt {
                // Nobody knows which bytes were wrong, so nothing that was made of them can stay.
                shelf.delete(key).await?;
            }
            Err(fault)
        }
    }
}

/// Converts files that a person chose into the store. Nothing is noted of them: what breaks off begins again.
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
    let files = pinned.files.iter().map(|file| (file.bytes, false));
    meter.begin(LoadStage::Download, files, 0);
    let mut told = 0;
    let mut progress = |done: u64| {
        meter.came(done.saturating_sub(told), done);
        told = done;
    };
    let record = Record {
        pinned: pinned.clone(),
        checkpoint: None,
    };
    let package = run_from(tools, key, &record, plan, source, &mut progress).await?;
    // The files are not kept, so nothing can be made again of what is known of them.
    forget(tools.shelf, key).await?;
    Ok(package)
}
