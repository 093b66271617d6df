//! The store as the loader uses it: patient, checked, and by package.

use std::cell::Cell;
use std::collections::HashSet;

use model::Manifest;
use model::manifest::{FileHash, MANIFEST_FILE};
use protocol::{ByteCount, Fault, FaultCode, StorageReport, StorageState, StoredModel};

use super::parts::begun_bytes;
use super::{Store, StoreError, StoredFile, StoredPackage};
use crate::fit::room;
use crate::load::Package;
use crate::race::minding;
use crate::{Blob, Host, Policy, repacking};

/// Milliseconds between two looks at a database that is silent.
const TICK_MILLIS: u32 = 1000;

/// How the names of files of weights end.
const SHARD_SUFFIX: &str = ".bin";

/// An open store.
pub(crate) struct Shelf<'a, H> {
    host: &'a H,
    policy: &'a Policy,
}

/// What the store holds of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Held {
    /// Bytes that need not be fetched.
    pub(crate) stored_bytes: u64,
    /// Whether that is everything.
    pub(crate) complete: bool,
}

impl<'a, H: Host> Shelf<'a, H> {
    /// Opens the store. Without one (private mode, denied) models run from memory, so that is no failure; a database that
    /// exists but never answers is one. Browsers also refuse for a moment, which would have a stored model fetched again: only
    /// the last of some tries is believed.
    pub(crate) async fn open(
        host: &'a H,
        policy: &'a Policy,
    ) -> Result<Result<Self, StorageState>, Fault> {
        let shelf = Self { host, policy };
        let mut denied = None;
        for _ in 0..policy.store_tries {
            if denied.is_some() {
                host.sleep(policy.store_wait_millis).await;
            }
            match shelf.timed(host.store().open()).await {
                Ok(()) => return Ok(Ok(shelf)),
                Err(StoreError::Lost(detail)) => {
                    log::warn!("the store does not open: {detail}");
                    host.store().close();
                    denied = None;
                }
                Err(StoreError::Unavailable(detail) | StoreError::Full(detail)) => {
                    log::warn!("models can't be kept: {detail}");
                    denied = Some(detail);
                }
            }
        }
        if let Some(detail) = denied {
            return Ok(Err(StorageState::Unavailable { detail }));
        }
        let detail = format!(
            "the model database did not open within {} s, {} times",
            policy.store_seconds, policy.store_tries
        );
        Err(Fault::new(FaultCode::Storage, detail))
    }

    pub(super) const fn host(&self) -> &'a H {
        self.host
    }

    /// Waits for `work`, but not for ever. Time counts in ticks of a running event loop, so that a worker that was frozen
    /// meanwhile does not blame the database.
    async fn timed<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let ticks = Cell::new(0);
        let tick = || {
            ticks.set(ticks.get() + 1);
            (ticks.get() <= self.policy.store_seconds).then_some(TICK_MILLIS)
        };
        minding(self.host, work, tick)
            .await
            .unwrap_or_else(|| Err(StoreError::Lost("no answer".to_owned())))
    }

    /// Runs an operation; a lost connection is opened anew and the operation repeated, which changes nothing since every
    /// operation may be repeated.
    pub(super) async fn run<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        doing: &str,
        operation: impl Fn(&'a H::Store) -> F,
    ) -> Result<T, Fault> {
        let store = self.host.store();
        let mut last = String::new();
        for attempt in 0..self.policy.store_tries {
            if attempt > 0 {
                log::warn!("{doing}: {last}; opening the store again");
                store.close();
                self.host.sleep(self.policy.store_wait_millis).await;
                if let Err(error) = self.timed(store.open()).await {
                    last = format!("{error:?}");
                    continue;
                }
            }
            match self.timed(operation(store)).await {
                Ok(value) => return Ok(value),
                Err(StoreError::Full(detail)) => {
                    return Err(Fault::new(FaultCode::StorageFull, detail));
                }
                Err(StoreError::Lost(detail) | StoreError::Unavailable(detail)) => last = detail,
            }
        }
        let tries = self.policy.store_tries;
        let detail = format!("{doing}: failed {tries} times, last with: {last}");
        Err(Fault::new(FaultCode::Storage, detail))
    }

    pub(super) async fn journal(&self) -> Result<Vec<StoredFile>, Fault> {
        self.run("reading the journal", Store::journal).await
    }

    /// Hashes of the files that are stored for a package.
    pub(crate) async fn hashes(&self, package: &str) -> Result<HashSet<String>, Fault> {
        let journal = self.journal().await?;
        let own = journal.into_iter().filter(|file| file.package == package);
        Ok(own.map(|file| file.sha256).collect())
    }

    /// What is stored of a package with this manifest.
    pub(crate) async fn held(&self, package: &Package) -> Result<Held, Fault> {
        let hashes = self.hashes(&package.base_url).await?;
        let (mut stored_bytes, mut complete) = (0u64, true);
        let mut missing = Vec::new();
        for file in distinct_files(&package.manifest) {
            if hashes.contains(&file.sha256) {
                stored_bytes = stored_bytes.saturating_add(file.bytes);
            } else {
                complete = false;
                missing.push(file);
            }
        }
        if !complete {
            let parts = self.parts().await?;
            let begun = missing.into_iter().map(|file| begun_bytes(file, &parts));
            stored_bytes = stored_bytes.saturating_add(sum(begun));
        }
        Ok(Held {
            stored_bytes,
            complete,
        })
    }

    /// Notes a package whose manifest was just fetched, and drops what an earlier version of it has left.
    pub(crate) async fn put_package(
        &self,
        package: &Package,
        manifest: &H::Bytes,
    ) -> Result<(), Fault> {
        let sha256 = self
            .host
            .sha256(manifest)
            .await
            .map_err(|detail| Fault::new(FaultCode::Storage, detail))?;
        let file = FileHash {
            file: MANIFEST_FILE.to_owned(),
            bytes: manifest.len(),
            sha256: sha256.clone(),
        };
        let url = &package.base_url;
        let mut wanted: HashSet<&str> = HashSet::from([sha256.as_str()]);
        wanted.extend(distinct_files(&package.manifest).map(|file| file.sha256.as_str()));
        let stale = |file: &StoredFile| &file.package == url && !wanted.contains(&*file.sha256);
        self.drop_files(None, stale).await?;
        self.put(url, &file, manifest).await?;
        let stored = StoredPackage {
            url: url.clone(),
            name: package.manifest.name.clone(),
            manifest_sha256: sha256.clone(),
            total_bytes: file
                .bytes
                .saturating_add(sum(distinct_files(&package.manifest).map(|file| file.bytes))),
        };
        self.run("noting a package", |store| store.put_package(&stored))
            .await
    }

    /// Stores a file whose hash was checked.
    pub(crate) async fn put(
        &self,
        package: &str,
        file: &FileHash,
        bytes: &H::Bytes,
    ) -> Result<(), Fault> {
        let entry = entry(package, file);
        self.run(&format!("storing {}", file.file), |store| {
            store.put(&entry, bytes)
        })
        .await
    }

    /// A stored file; `None` when it is not there or its bytes have gone bad.
    pub(crate) async fn get(
        &self,
        package: &str,
        file: &FileHash,
    ) -> Result<Option<H::Bytes>, Fault> {
        let Some(bytes) = self.read(package, file).await? else {
            return Ok(None);
        };
        let is_good = self.is_good(file, &bytes).await;
        if !is_good {
            log::warn!("{} has gone bad in the store", file.file);
        }
        Ok(is_good.then_some(bytes))
    }

    /// What is stored for a file, unchecked; `None` when it is not there.
    pub(crate) async fn read(
        &self,
        package: &str,
        file: &FileHash,
    ) -> Result<Option<H::Bytes>, Fault> {
        let entry = entry(package, file);
        let doing = format!("reading {}", file.file);
        let bytes = self.run(&doing, |store| store.get(&entry)).await?;
        if bytes.is_none() {
            log::warn!("{} is missing in the store", file.file);
        }
        Ok(bytes)
    }

    /// Whether these are the bytes of a file.
    pub(crate) async fn is_good(&self, file: &FileHash, bytes: &H::Bytes) -> bool {
        bytes.len() == file.bytes
            && self.host.sha256(bytes).await.as_deref() == Ok(file.sha256.as_str())
    }

    /// Removes the journal entries that `doomed` picks, the records that no other entry needs, and a package's entry.
    /// Returns the bytes of these records.
    pub(super) async fn drop_files(
        &self,
        package: Option<&str>,
        doomed: impl Fn(&StoredFile) -> bool,
    ) -> Result<u64, Fault> {
        let (gone, kept): (Vec<_>, Vec<_>) = self.journal().await?.into_iter().partition(doomed);
        let needed: HashSet<&str> = kept.iter().map(|file| file.sha256.as_str()).collect();
        let mut seen = HashSet::new();
        let free: Vec<&StoredFile> = gone
            .iter()
            .filter(|file| !needed.contains(&*file.sha256) && seen.insert(&file.sha256))
            .collect();
        if gone.is_empty() && package.is_none() {
            return Ok(0);
        }
        let journal_keys: Vec<String> = gone.iter().map(StoredFile::key).collect();
        let record_keys: Vec<String> = free.iter().flat_map(|file| file.record_keys()).collect();
        self.run("deleting", |store| {
            store.remove(package, &journal_keys, &record_keys)
        })
        .await?;
        Ok(sum(free.iter().map(|file| file.bytes)))
    }

    /// Deletes a package, and what has come of files that are not whole and that no other package waits for. Returns the bytes
    /// that this frees.
    pub(crate) async fn delete(&self, base_url: &str) -> Result<u64, Fault> {
        // First, since nothing lists what is noted of a package that is gone.
        self.drop_fingerprints(base_url).await?;
        let freed = self
            .drop_files(Some(base_url), |file| file.package == base_url)
            .await?;
        repacking::forget(self, base_url).await?;
        let parts = self.parts().await?;
        let wanted = self.wanted_by_others(base_url, &parts).await?;
        let free = parts.iter().filter(|part| !wanted.contains(&part.sha256));
        Ok(freed.saturating_add(self.drop_parts(free).await?))
    }

    /// Deletes everything. Returns the bytes that this frees.
    pub(crate) async fn erase(&self) -> Result<u64, Fault> {
        let packages = self.run("listing the packages", Store::packages).await?;
        let mut bytes = 0;
        for package in packages {
            bytes += self.delete(&package.url).await?;
        }
        // Entries whose package was never noted.
        bytes += self.drop_files(None, |_| true).await?;
        repacking::forget_all(self).await?;
        self.drop_all_fingerprints().await?;
        self.drop_trials().await?;
        let parts = self.parts().await?;
        Ok(bytes + self.drop_parts(parts.iter()).await?)
    }

    /// What is stored.
    pub(crate) async fn report(&self) -> Result<StorageReport, Fault> {
        let packages = self.run("listing the packages", Store::packages).await?;
        let journal = self.journal().await?;
        let parts = self.parts().await?;
        let estimate = self.host.store().estimate().await;
        let mut models: Vec<StoredModel> = Vec::new();
        for package in packages {
            let own = journal.iter().filter(|file| file.package == package.url);
            let whole_bytes = sum(own.clone().map(|file| file.bytes));
            let shards = own.filter(|file| file.file.ends_with(SHARD_SUFFIX)).count();
            let complete = whole_bytes >= package.total_bytes;
            let begun_bytes = match complete {
                true => 0,
                false => self.begun_bytes(&package.url, &journal, &parts).await?,
            };
            let stored_bytes = whole_bytes.saturating_add(begun_bytes);
            models.push(StoredModel {
                model_url: package.url,
                name: package.name,
                stored_bytes: ByteCount::saturating(stored_bytes),
                total_bytes: ByteCount::saturating(package.total_bytes),
                shards: u32::try_from(shards).unwrap_or(u32::MAX),
                complete,
            });
        }
        models.sort_by(|a, b| a.model_url.cmp(&b.model_url));
        Ok(StorageReport {
            models,
            usage_bytes: estimate.usage_bytes.map(ByteCount::saturating),
            quota_bytes: estimate.quota_bytes.map(ByteCount::saturating),
            state: StorageState::Durable,
        })
    }

    /// Browsers count what was deleted a moment later.
    pub(crate) async fn wait_for_room(&self) {
        self.host.sleep(self.policy.room_wait_millis).await;
    }

    /// The fault of a store without room for `needed_bytes` more.
    pub(crate) async fn full(&self, needed_bytes: u64, detail: &str) -> Fault {
        let room = room(self.host.store().estimate().await);
        let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
        let allowed = room.map_or_else(String::new, |room| {
            format!(", the browser allows {}", megabytes(room))
        });
        let needed = megabytes(needed_bytes);
        let detail = format!("the model needs {needed} MB more{allowed} ({detail})");
        // Where an estimate has room for all, the disk has not.
        let missing = needed_bytes.checked_sub(room.unwrap_or(0));
        let missing_bytes = missing.filter(|bytes| *bytes > 0).unwrap_or(needed_bytes);
        Fault {
            missing_bytes: Some(ByteCount::saturating(missing_bytes)),
            ..Fault::new(FaultCode::StorageFull, detail)
        }
    }
}

fn entry(package: &str, file: &FileHash) -> StoredFile {
    StoredFile {
        package: package.to_owned(),
        file: file.file.clone(),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
    }
}

/// Every file of a package but the manifest; of files with the same contents only the first.
pub(crate) fn distinct_files(manifest: &Manifest) -> impl Iterator<Item = &FileHash> {
    let tokenizer = manifest.text.as_ref().map(|text| &text.tokenizer);
    let mut seen = HashSet::new();
    manifest
        .shards
        .iter()
        .chain(tokenizer)
        .filter(move |file| seen.insert(file.sha256.as_str()))
}

/// The sum, as large as it gets: manifests may claim anything.
pub(crate) fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}
