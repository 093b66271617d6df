//! The store's twin in memory. It outlives a worker, as a database outlives a page, and fails on demand.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use worker::{Estimate, RECORD_BYTES, Store, StoreError, StoredFile, StoredPackage, StoredPart};

use super::World;

/// How an operation goes wrong. Nothing of it happens, except where said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreBreak {
    /// It goes well.
    Works,
    /// There is no database.
    Unavailable,
    /// No room.
    Full,
    /// The connection is lost.
    Lost,
    /// It is done, but the answer never comes.
    Hang,
}

/// What is on the disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) packages: RefCell<BTreeMap<String, StoredPackage>>,
    pub(crate) journal: RefCell<BTreeMap<String, StoredFile>>,
    pub(crate) records: RefCell<BTreeMap<String, Vec<u8>>>,
    /// For each operation: how its next calls go; afterwards they work.
    pub(crate) breaks: RefCell<HashMap<&'static str, VecDeque<StoreBreak>>>,
    /// Every call.
    pub(crate) calls: RefCell<Vec<&'static str>>,
    /// Bytes that records may take in all; 0 = any number.
    pub(crate) quota_bytes: Cell<u64>,
    /// Milliseconds that reading a file takes beside what every operation takes.
    pub(crate) get_millis: Cell<u32>,
    /// The same for storing a file or a record.
    pub(crate) put_millis: Cell<u32>,
    /// Files that are being read.
    pub(crate) reading: Cell<usize>,
    /// The most that were read at once.
    pub(crate) most_reading: Cell<usize>,
}

impl Disk {
    /// Lets the next calls of an operation go wrong.
    pub(crate) fn breaks(&self, operation: &'static str, breaks: &[StoreBreak]) {
        self.breaks
            .borrow_mut()
            .insert(operation, breaks.iter().copied().collect());
    }

    pub(crate) fn count(&self, operation: &str) -> usize {
        self.calls
            .borrow()
            .iter()
            .filter(|call| **call == operation)
            .count()
    }

    /// The keys of all records but the notes of fingerprints that complete loads have left of these packages.
    pub(crate) fn record_keys(&self) -> Vec<String> {
        let packages = self.packages.borrow();
        let notes: Vec<String> = packages
            .keys()
            .map(|url| format!("fingerprints/{url} "))
            .collect();
        let records = self.records.borrow();
        let keys = records.keys().filter(|key| !notes.contains(key));
        keys.cloned().collect()
    }

    fn used(&self) -> u64 {
        self.records
            .borrow()
            .values()
            .map(|record| record.len() as u64)
            .sum()
    }
}

/// Counts a file that is being read.
struct Reading<'a>(&'a Disk);

impl<'a> Reading<'a> {
    fn begin(disk: &'a Disk) -> Self {
        disk.reading.set(disk.reading.get() + 1);
        let most = disk.most_reading.get().max(disk.reading.get());
        disk.most_reading.set(most);
        Self(disk)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.reading.set(self.0.reading.get() - 1);
    }
}

/// A connection to the disk.
pub(crate) struct FakeStore {
    pub(crate) world: Rc<World>,
    pub(crate) open: Cell<bool>,
}

impl FakeStore {
    /// One operation. Those that change something must be repeatable, so a hanging one is done first.
    async fn operate<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&Disk) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let disk = &self.world.disk;
        disk.calls.borrow_mut().push(operation);
        if operation != "open" && !self.open.get() {
            return Err(StoreError::Lost("the database is not open".into()));
        }
        self.world.wait(1).await;
        let next = disk
            .breaks
            .borrow_mut()
            .get_mut(operation)
            .and_then(VecDeque::pop_front);
        match next.unwrap_or(StoreBreak::Works) {
            StoreBreak::Works => act(disk),
            StoreBreak::Unavailable => Err(StoreError::Unavailable("denied".into())),
            StoreBreak::Full => Err(StoreError::Full("quota".into())),
            StoreBreak::Lost => Err(StoreError::Lost("connection lost".into())),
            StoreBreak::Hang => {
                act(disk)?;
                std::future::pending().await
            }
        }
    }
}

impl Store for FakeStore {
    type Bytes = Vec<u8>;

    async fn open(&self) -> Result<(), StoreError> {
        if self.open.get() {
            return Ok(());
        }
        self.operate("open", |_| Ok(())).await?;
        self.open.set(true);
        Ok(())
    }

    fn close(&self) {
        self.open.set(false);
    }

    async fn packages(&self) -> Result<Vec<StoredPackage>, StoreError> {
        self.operate("packages", |disk| {
            Ok(disk.packages.borrow().values().cloned().collect())
        })
        .await
    }

    async fn journal(&self) -> Result<Vec<StoredFile>, StoreError> {
        self.operate("journal", |disk| {
            Ok(disk.journal.borrow().values().cloned().collect())
        })
        .await
    }

    async fn put_package(&self, package: &StoredPackage) -> Result<(), StoreError> {
        self.operate("put_package", |disk| {
            let mut packages = disk.packages.borrow_mut();
            packages.insert(package.url.clone(), package.clone());
            Ok(())
        })
        .await
    }

    async fn put(&self, file: &StoredFile, bytes: &Vec<u8>) -> Result<(), StoreError> {
        self.world.wait(self.world.disk.put_millis.get()).await;
        self.operate("put", |disk| {
            let quota = disk.quota_bytes.get();
            let starts = StoredPart::keys_of(&file.sha256);
            // A browser may count what a transaction frees only behind it.
            if quota > 0 && disk.used() + bytes.len() as u64 > quota {
                return Err(StoreError::Full("quota".into()));
            }
            let mut records = disk.records.borrow().clone();
            records.retain(|key, _| !key.starts_with(&starts));
            for (part, key) in file.record_keys().enumerate() {
                let start = part * RECORD_BYTES as usize;
                let end = bytes.len().min(start + RECORD_BYTES as usize);
                records.insert(key, bytes[start..end].to_vec());
            }
            *disk.records.borrow_mut() = records;
            disk.journal.borrow_mut().insert(file.key(), file.clone());
            Ok(())
        })
        .await
    }

    async fn get(&self, file: &StoredFile) -> Result<Option<Vec<u8>>, StoreError> {
        let disk = &self.world.disk;
        let _reading = Reading::begin(disk);
        self.world.wait(disk.get_millis.get()).await;
        self.operate("get", |disk| {
            if !disk.journal.borrow().contains_key(&file.key()) {
                return Ok(None);
            }
            let records = disk.records.borrow();
            let parts: Option<Vec<_>> = file.record_keys().map(|key| records.get(&key)).collect();
            Ok(parts.map(|parts| parts.into_iter().flatten().copied().collect()))
        })
        .await
    }

    async fn put_record(&self, key: &str, bytes: &Vec<u8>) -> Result<(), StoreError> {
        self.world.wait(self.world.disk.put_millis.get()).await;
        self.operate("put_record", |disk| {
            let quota = disk.quota_bytes.get();
            if quota > 0 && disk.used() + bytes.len() as u64 > quota {
                return Err(StoreError::Full("quota".into()));
            }
            let mut records = disk.records.borrow_mut();
            records.insert(key.to_owned(), bytes.clone());
            Ok(())
        })
        .await
    }

    async fn record(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.operate("record", |disk| Ok(disk.records.borrow().get(key).cloned()))
            .await
    }

    async fn record_keys(&self, start: &str) -> Result<Vec<String>, StoreError> {
        self.operate("record_keys", |disk| {
            let records = disk.records.borrow();
            let keys = records.keys().filter(|key| key.starts_with(start));
            Ok(keys.cloned().collect())
        })
        .await
    }

    async fn remove(
        &self,
        package: Option<&str>,
        journal_keys: &[String],
        record_keys: &[String],
    ) -> Result<(), StoreError> {
        self.operate("remove", |disk| {
            if let Some(package) = package {
                disk.packages.borrow_mut().remove(package);
            }
            for key in journal_keys {
                disk.journal.borrow_mut().remove(key);
            }
            for key in record_keys {
                disk.records.borrow_mut().remove(key);
            }
            Ok(())
        })
        .await
    }

    async fn estimate(&self) -> Estimate {
        let disk = &self.world.disk;
        let quota = disk.quota_bytes.get();
        Estimate {
            usage_bytes: Some(disk.used()),
            quota_bytes: (quota > 0).then_some(quota),
        }
    }
}
