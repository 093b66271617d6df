//! What is found at a place before anything large is fetched.

use model::convert::{Checkpoint, Plan, StreamLimits, plan_remote};
use model::hub::Place;
use model::source::{ByteRange, RemoteSource as _};
use protocol::{Fault, FaultCode};

use super::Tools;
use super::pinned::{Found, Pinned, Record, find};
use super::sink::noted;
use super::source::{Line, Read, WebSource};
use crate::Host;
use crate::fetching::Trying;
use crate::precision::precision;
use crate::store::sum;

/// A model that can be converted.
pub(crate) struct Prospect<B> {
    pub(super) pinned: Pinned,
    pub(super) plan: Plan,
    pub(super) checkpoint: Option<Checkpoint>,
    /// The tokenizer file, if it was read for the plan.
    pub(super) read: Read<B>,
}

/// What was found at a place.
pub(crate) enum Look<B> {
    /// A package, in this folder.
    Package(String),
    /// Something to be converted.
    Prospect(Box<Prospect<B>>),
}

impl<B> Prospect<B> {
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
) -> Result<Look<H::Bytes>, Fault> {
    let key = place.key();
    let begun = noted(tools.shelf, &key).await?;
    // What a commit names can't have changed meanwhile.
    let asked = precision(place);
    let is_still = |record: &Record| record.pinned.is_still(asked);
    if let Some(record) = begun.clone().filter(is_still) {
        match prospect(tools, record, trying).await {
            // It was removed, as when a history is written anew. The list tells what there is now.
            Err(fault) if fault.code == FaultCode::NotFound => log::warn!("{key}: {fault}"),
            looked => return looked,
        }
    }
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
    prospect(tools, Record { pinned, checkpoint }, trying).await
}

/// Reads the headers of a model that can hold a conversation.
async fn prospect<H: Host>(
    tools: Tools<'_, H>,
    record: Record,
    trying: Trying,
) -> Result<Look<H::Bytes>, Fault> {
    let read = Read::default();
    let plan = planned(tools, &record.pinned, &read, trying).await?;
    if plan.text.is_none() {
        let detail = format!("{} has no tokenizer", plan.name);
        return Err(Fault::new(FaultCode::NoChat, detail));
    }
    Ok(Look::Prospect(Box::new(Prospect {
        pinned: record.pinned,
        plan,
        checkpoint: record.checkpoint,
        read,
    })))
}

/// Reads the headers.
pub(super) async fn planned<H: Host>(
    tools: Tools<'_, H>,
    pinned: &Pinned,
    read: &Read<H::Bytes>,
    trying: Trying,
) -> Result<Plan, Fault> {
    let line = Line::default();
    let mut source = WebSource::new(tools, trying, &line, pinned, read);
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
    prospect: &Prospect<H::Bytes>,
) -> Result<Option<Vec<u8>>, Fault> {
    let Prospect {
        pinned,
        plan,
        checkpoint: None,
        read,
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
    let mut source = WebSource::new(tools, Trying::Patiently, &line, pinned, read);
    let range = ByteRange {
        file,
        offset: 0,
        bytes,
    };
    let bytes = source.read(&range);
    Ok(Some(line.beside(bytes).await?))
}
