//! Files of a stored package on their way out of the store. The shards of a model are read ahead: while the device takes one,
//! the next ones come from the disk, and are hashed where they have no fingerprint yet.

use std::collections::HashSet;
use std::future::Future;

use model::manifest::FileHash;
use protocol::{Fault, FaultCode, is_of_files};

use crate::fetching::{Keeping, Trying, whole};
use crate::load;
use crate::progress::Meter;
use crate::race::{Ahead, First, first};
use crate::repacking::{Tools, restore};
use crate::store::{Fingerprint, Fingerprints, Shelf};
use crate::{Blob, Host, Inbox, Policy};

/// Shards that are read before the device wants them: a database is asked for several at once, and while they come, those before them
/// are hashed. Each takes up to 8 MiB of memory.
const SHARDS_AHEAD: usize = 3;

/// How long a model that is ready waits until what helps the next load is stored.
const NOTE_MILLIS: u32 = 1_000;

/// Where files of a package come from.
pub(crate) struct Source<'a, H> {
    pub(crate) host: &'a H,
    pub(crate) policy: &'a Policy,
    pub(crate) inbox: &'a Inbox,
    /// Absent when nothing can be kept.
    pub(crate) shelf: Option<&'a Shelf<'a, H>>,
    pub(crate) base_url: &'a str,
    /// How long what the store lacks is asked for.
    pub(crate) trying: Trying,
}

impl<H: Host> Source<'_, H> {
    /// A file that the store lacks: from the network, or made again from what others publish, and into the store where there is
    /// one.
    pub(crate) async fn fetch(
        &self,
        file: &FileHash,
        meter: Option<&mut Meter<'_, H>>,
    ) -> Result<H::Bytes, Fault> {
        let (host, policy, inbox, base_url) = (self.host, self.policy, self.inbox, self.base_url);
        match self.shelf {
            None => whole(host, policy, inbox, base_url, file, meter).await,
            Some(shelf) if is_of_files(base_url) => {
                // As long as it counts as stored, nobody would read it from the files again.
                shelf.lose(base_url, file).await?;
                let detail = format!(
                    "{} is lost in the store, and no network has it: choose the model's files again, and what is missing is copied",
                    file.file
                );
                Err(Fault::new(FaultCode::FilesGone, detail))
            }
            Some(shelf) => {
                if let Some(place) = load::foreign(base_url) {
                    let tools = Tools {
                        host,
                        policy,
                        inbox,
                        shelf,
                    };
                    return restore(tools, &place, file, self.trying).await;
                }
                let keeping = Keeping::new(host, shelf, base_url, vec![(file, 1)], meter);
                keeping.one(policy, inbox, self.trying).await
            }
        }
    }
}

/// A file of a package: from the store, or, if it is not there or has gone bad, from the network into the store.
pub(crate) async fn obtain<H: Host>(
    source: &Source<'_, H>,
    file: &FileHash,
    meter: Option<&mut Meter<'_, H>>,
) -> Result<H::Bytes, Fault> {
    if let Some(shelf) = source.shelf
        && let Some(bytes) = shelf.get(source.base_url, file).await?
    {
        return Ok(bytes);
    }
    source.fetch(file, meter).await
}

/// What the store says of a shard: its bytes, unless it has none or, where they were compared, wrong ones.
type Reading<B> = Result<Option<B>, Fault>;

/// The shards of a package, one after the other.
pub(crate) struct Shards<'a, H: Host> {
    source: Source<'a, H>,
    files: &'a [FileHash],
    /// The next shard to be given out.
    next: usize,
    /// The readings of the shards from `next` on. Where no fingerprint is noted, their SHA-256 was compared.
    ahead: Ahead<'a, Reading<H::Bytes>>,
    /// Hashes of what the store had lost and got again.
    repaired: HashSet<&'a str>,
    /// What the store has noted.
    noted: Fingerprints,
    /// What is right from now on: fingerprints of everything that was given out.
    taken: Fingerprints,
}

impl<'a, H: Host> Shards<'a, H> {
    pub(crate) async fn new(source: Source<'a, H>, files: &'a [FileHash]) -> Self {
        let noted = match source.shelf {
            Some(shelf) => shelf.fingerprints(source.base_url).await,
            None => Fingerprints::default(),
        };
        Self {
            source,
            files,
            next: 0,
            ahead: Ahead::new(),
            repaired: HashSet::new(),
            noted,
            taken: Fingerprints::default(),
        }
    }

    /// Runs `work`, and reads ahead meanwhile.
    pub(crate) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.ahead.beside(work).await
    }

    /// The next shard; `None` behind the last one. What is wrong with a shard that was read ahead is told, or mended, when it is
    /// its turn. Nothing else uses the store while one is mended.
    pub(crate) async fn next(
        &mut self,
        meter: &mut Meter<'_, H>,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let Some(file) = self.files.get(self.next) else {
            return Ok(None);
        };
        self.read_ahead();
        let stored = self.ahead.next().await.transpose()?.flatten();
        self.next += 1;
        self.read_ahead();
        if let Some(stored) = stored
            && let Some(bytes) = self.checked(file, stored).await
        {
            return Ok(Some(bytes));
        }
        let bytes = if self.repaired.insert(&file.sha256) {
            self.source.fetch(file, Some(meter)).await?
        } else {
            // Shards may be alike. The other one may have come into the store after this one was looked for there.
            obtain(&self.source, file, Some(meter)).await?
        };
        let bytes = bytes.to_vec();
        self.taken.insert(&file.sha256, Fingerprint::of(&bytes));
        Ok(Some(bytes))
    }

    /// Notes the fingerprints of a package that was given out completely, for the next time. Without them that takes longer, no more,
    /// so a store that is slow to take them is not waited for.
    pub(crate) async fn note(&self) {
        let Some(shelf) = self.source.shelf else {
            return;
        };
        if self.taken == self.noted {
            return;
        }
        let put = shelf.put_fingerprints(self.source.base_url, &self.taken);
        let why = match first(put, self.source.host.sleep(NOTE_MILLIS)).await {
            First::Left(Ok(())) => return,
            First::Left(Err(fault)) => fault.to_string(),
            First::Right(()) => "the store is slow".to_owned(),
        };
        log::warn!("the next load may hash all shards again: {why}");
    }

    /// The bytes of a shard out of the store, unless they have gone bad. The browser's own buffer goes as soon as nothing needs it.
    async fn checked(&mut self, file: &FileHash, stored: H::Bytes) -> Option<Vec<u8>> {
        let bytes = stored.to_vec();
        let fingerprint = Fingerprint::of(&bytes);
        let noted = self.noted.get(&file.sha256);
        if noted.is_some_and(|noted| noted != fingerprint) {
            // Either the shard has gone bad or what was noted of it has.
            let shelf = self.source.shelf?;
            if !shelf.is_good(file, &stored).await {
                log::warn!("{} has gone bad in the store", file.file);
                return None;
            }
        }
        drop(stored);
        self.taken.insert(&file.sha256, fingerprint);
        Some(bytes)
    }

    /// Begins to read as many shards as may be in memory. What comes from the network is not asked for ahead: the network has
    /// its own order.
    fn read_ahead(&mut self) {
        let Some(shelf) = self.source.shelf else {
            return;
        };
        let base_url = self.source.base_url;
        while self.ahead.len() < SHARDS_AHEAD
            && let Some(file) = self.files.get(self.next + self.ahead.len())
        {
            if self.noted.get(&file.sha256).is_some() {
                self.ahead.begin(shelf.read(base_url, file));
            } else {
                self.ahead.begin(shelf.get(base_url, file));
            }
        }
    }
}
