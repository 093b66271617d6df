//! The store in IndexedDB, through rexie.
//!
//! Database `tern-models`, version 1, with three object stores: `packages` (by URL), `journal` (by URL and hash) and
//! `records` (by hash and number, each an ArrayBuffer of at most 8 MiB; files that are not whole lie there in parts).
//!
//! Every operation runs as a task of its own. A future of rexie that is dropped while its request runs takes its
//! callbacks with it, and the browser's call of one of them would be an error; so what is cancelled or timed out here is
//! only no longer waited for. It also means that an operation, once begun, is never cut in the middle.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::ArrayBuffer;
use rexie::{KeyRange, ObjectStore, Rexie, Transaction, TransactionMode, TransactionResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::StorageEstimate;

use super::bytes::{JsBytes, nudge_bytes, nudge_collector};
use super::reader::{Question, Reader};
use super::refusal::refusal;
use super::{records, scope};
use crate::race;
use crate::store::{
    Estimate, RECORD_BYTES, Store, StoreError, StoredFile, StoredPackage, StoredPart,
};

const DATABASE: &str = "tern-models";
const VERSION: u32 = 1;
const PACKAGES: &str = "packages";
const JOURNAL: &str = "journal";
const RECORDS: &str = "records";
/// Least bytes of a file that another worker reads.
const LEAST_BYTES: u64 = 256 << 10;
/// Reads of files for each time that the other worker collects its garbage. It is the one that a load waits for, and what two shards
/// leave there is no burden.
const READS_A_NUDGE: u32 = 2;

/// The browser's database of models.
#[derive(Default)]
pub(super) struct IdbStore {
    database: RefCell<Option<Rc<Rexie>>>,
    reader: Reader,
    /// Reads of files since this worker began.
    n_reads: Cell<u32>,
}

type Result<T> = std::result::Result<T, StoreError>;

impl IdbStore {
    /// Runs `operation` to its end, whether or not somebody waits for it.
    async fn run<T: 'static, F>(&self, operation: impl FnOnce(Rc<Rexie>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + 'static,
    {
        let database = self.database.borrow().clone();
        let database =
            database.ok_or_else(|| StoreError::Lost("the database is not open".to_owned()))?;
        spawned(operation(database)).await
    }
}

/// Runs `work` as a task of its own and waits for it.
async fn spawned<T: 'static>(work: impl Future<Output = Result<T>> + 'static) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    spawn_local(async move {
        // Whoever gave up waiting does not want to know.
        sender.send(work.await).ok();
    });
    receiver
        .await
        .unwrap_or_else(|_| Err(StoreError::Lost("the operation was dropped".to_owned())))
}

impl Store for IdbStore {
    type Bytes = JsBytes;

    async fn open(&self) -> Result<()> {
        if self.database.borrow().is_some() {
            return Ok(());
        }
        let opened = spawned(async {
            let builder = Rexie::builder(DATABASE).version(VERSION);
            let builder = [PACKAGES, JOURNAL, RECORDS]
                .into_iter()
                .fold(builder, |builder, name| {
                    builder.add_object_store(ObjectStore::new(name))
                });
            let database = builder.build().await;
            database
                .map(Rc::new)
                .map_err(|error| StoreError::Unavailable(words(&error)))
        })
        .await?;
        *self.database.borrow_mut() = Some(opened);
        Ok(())
    }

    fn close(&self) {
        self.reader.close();
        // A hanging operation may still hold it; then the browser closes it when that ends, or with the worker.
        let database = self.database.borrow_mut().take();
        if let Some(Ok(database)) = database.map(Rc::try_unwrap) {
            database.close();
        }
    }

    async fn packages(&self) -> Result<Vec<StoredPackage>> {
        self.run(|database| all(database, PACKAGES)).await
    }

    async fn journal(&self) -> Result<Vec<StoredFile>> {
        self.run(|database| all(database, JOURNAL)).await
    }

    async fn put_package(&self, package: &StoredPackage) -> Result<()> {
        let (key, value) = (JsValue::from_str(&package.url), to_js(package)?);
        self.run(|database| async move {
            let writing = Writing::begin(&database, &[PACKAGES])?;
            let store = writing.store(PACKAGES)?;
            let put = store.put(&value, Some(&key)).await.map(drop);
            writing.end(put, || vec![value]).await
        })
        .await
    }

    async fn put(&self, file: &StoredFile, bytes: &JsBytes) -> Result<()> {
        let (file, bytes) = (file.clone(), bytes.clone());
        nudge(&file);
        self.run(|database| async move {
            let (key, entry) = (JsValue::from_str(&file.key()), to_js(&file)?);
            let keys = file.record_keys().map(|key| JsValue::from_str(&key));
            let records = records::passing(&bytes).zip(keys.map(Some));
            let writing = Writing::begin(&database, &[RECORDS, JOURNAL])?;
            let (into_records, into_journal) = (writing.store(RECORDS)?, writing.store(JOURNAL)?);
            let parts = beginning(&StoredPart::keys_of(&file.sha256))?;
            // All are asked for before one is waited for, so that the transaction can't end between them.
            let put = race::both(
                into_records.put_all(records),
                into_journal.put(&entry, Some(&key)),
            );
            let ((records, entry), parts) =
                race::both(put, into_records.delete(parts.into())).await;
            let result = records.and(entry).and(parts);
            writing.end(result, || records::all(&bytes)).await
        })
        .await
    }

    async fn get(&self, file: &StoredFile) -> Result<Option<JsBytes>> {
        let file = file.clone();
        let n_reads = self.n_reads.get().wrapping_add(1);
        self.n_reads.set(n_reads);
        nudge(&file);
        if let Some(question) = question(&file, n_reads.is_multiple_of(READS_A_NUDGE))
            && let Some(answer) = self.reader.read(&question).await
        {
            return answer.map_err(meant);
        }
        self.run(|database| async move {
            let reading = reading(&database, &[RECORDS, JOURNAL])?;
            let journal = reading.store(JOURNAL).map_err(lost)?;
            let records = reading.store(RECORDS).map_err(lost)?;
            let mut known = Some(journal.key_exists(JsValue::from_str(&file.key())));
            let mut parts: Vec<ArrayBuffer> = Vec::new();
            for key in file.record_keys() {
                let value = records.get(JsValue::from_str(&key));
                // The journal is asked together with the first record: nearly always it says yes.
                let value = match known.take() {
                    Some(known) => {
                        let (known, value) = race::both(known, value).await;
                        if !known.map_err(lost)? {
                            return Ok(None);
                        }
                        value
                    }
                    None => value.await,
                };
                match value.map_err(lost)?.and_then(|value| value.dyn_into().ok()) {
                    Some(part) => parts.push(part),
                    None => return Ok(None),
                }
            }
            Ok(Some(records::joined(parts)))
        })
        .await
    }

    async fn put_record(&self, key: &str, bytes: &JsBytes) -> Result<()> {
        let (key, bytes) = (JsValue::from_str(key), bytes.clone());
        self.run(|database| async move {
            let writing = Writing::begin(&database, &[RECORDS])?;
            let store = writing.store(RECORDS)?;
            let put = store.put(bytes.buffer(), Some(&key)).await.map(drop);
            writing.end(put, || vec![bytes.buffer().into()]).await
        })
        .await
    }

    async fn record(&self, key: &str) -> Result<Option<JsBytes>> {
        let key = JsValue::from_str(key);
        self.run(|database| async move {
            let reading = reading(&database, &[RECORDS])?;
            let records = reading.store(RECORDS).map_err(lost)?;
            let value = records.get(key).await.map_err(lost)?;
            Ok(value
                .and_then(|value| value.dyn_into().ok())
                .map(JsBytes::new))
        })
        .await
    }

    async fn record_keys(&self, start: &str) -> Result<Vec<String>> {
        let range = beginning(start)?;
        self.run(|database| async move {
            let reading = reading(&database, &[RECORDS])?;
            let records = reading.store(RECORDS).map_err(lost)?;
            let keys = records
                .get_all_keys(Some(range), None)
                .await
                .map_err(lost)?;
            Ok(keys.iter().filter_map(JsValue::as_string).collect())
        })
        .await
    }

    async fn remove(
        &self,
        package: Option<&str>,
        journal_keys: &[String],
        record_keys: &[String],
    ) -> Result<()> {
        let package = package.map(str::to_owned);
        let (journal_keys, record_keys) = (journal_keys.to_vec(), record_keys.to_vec());
        self.run(|database| async move {
            let writing = Writing::begin(&database, &[PACKAGES, JOURNAL, RECORDS])?;
            let deleted = async {
                // The journal goes first: were the transaction cut, records without an entry would only be room lost.
                let journal = writing.transaction.store(JOURNAL)?;
                for key in &journal_keys {
                    journal.delete(JsValue::from_str(key)).await?;
                }
                let records = writing.transaction.store(RECORDS)?;
                for key in &record_keys {
                    records.delete(JsValue::from_str(key)).await?;
                }
                if let Some(package) = &package {
                    let packages = writing.transaction.store(PACKAGES)?;
                    packages.delete(JsValue::from_str(package)).await?;
                }
                Ok(())
            }
            .await;
            writing.end(deleted, Vec::new).await
        })
        .await
    }

    async fn estimate(&self) -> Estimate {
        estimate().await.unwrap_or_default()
    }
}

/// What another worker is asked for instead of reading here: a shard. For what is smaller none is started, and a larger file would be
/// there once more before it is joined.
fn question(file: &StoredFile, is_nudged: bool) -> Option<Question> {
    if !(LEAST_BYTES..=RECORD_BYTES).contains(&file.bytes) {
        return None;
    }
    Some(Question {
        database: DATABASE,
        entry: (JOURNAL, file.key()),
        record: (RECORDS, file.record_keys().next()?),
        nudge_bytes: if is_nudged { nudge_bytes() } else { 0.0 },
    })
}

/// Makes room before a shard. The few larger files come one by one, and a nudge would come on top of them.
fn nudge(file: &StoredFile) {
    if file.bytes <= RECORD_BYTES {
        nudge_collector();
    }
}

/// A transaction that changes something.
struct Writing {
    transaction: Transaction,
}

impl Writing {
    fn begin(database: &Rexie, stores: &[&str]) -> Result<Self> {
        let transaction = database
            .transaction(stores, TransactionMode::ReadWrite)
            .map_err(lost)?;
        Ok(Self { transaction })
    }

    fn store(&self, name: &str) -> Result<rexie::Store> {
        self.transaction.store(name).map_err(lost)
    }

    /// Commits what `result` has asked for, or undoes it. `values` makes what was to be stored once more: until the browser refuses
    /// it, nothing here holds it.
    async fn end(
        self,
        result: rexie::Result<()>,
        values: impl FnOnce() -> Vec<JsValue>,
    ) -> Result<()> {
        match result {
            Ok(()) => match self.transaction.done().await {
                Ok(TransactionResult::Committed) => Ok(()),
                Ok(TransactionResult::Aborted) => {
                    let why = refusal(DATABASE, RECORDS, &values()).await;
                    let name = why.as_deref().unwrap_or("for an unknown reason");
                    Err(meant(format!("the transaction was aborted: {name}")))
                }
                Err(error) => Err(lost(error)),
            },
            Err(error) => {
                self.transaction.abort().await.ok();
                Err(lost(error))
            }
        }
    }
}

/// The keys that begin so.
fn beginning(start: &str) -> Result<KeyRange> {
    let (lower, upper) = (
        JsValue::from_str(start),
        JsValue::from_str(&format!("{start}\u{ffff}")),
    );
    KeyRange::bound(&lower, &upper, None, None).map_err(|error| StoreError::Lost(error.to_string()))
}

fn reading(database: &Rexie, stores: &[&str]) -> Result<Transaction> {
    database
        .transaction(stores, TransactionMode::ReadOnly)
        .map_err(lost)
}

/// All values of an object store. One that can't be read is left out, as if it were not there.
async fn all<T: DeserializeOwned>(database: Rc<Rexie>, store: &str) -> Result<Vec<T>> {
    let reading = reading(&database, &[store])?;
    let values = reading
        .store(store)
        .map_err(lost)?
        .get_all(None, None)
        .await
        .map_err(lost)?;
    Ok(values
        .into_iter()
        .filter_map(|value| serde_wasm_bindgen::from_value(value).ok())
        .collect())
}

async fn estimate() -> std::result::Result<Estimate, JsValue> {
    let estimate = JsFuture::from(scope().navigator().storage().estimate()?).await?;
    let estimate: StorageEstimate = estimate.unchecked_into();
    let bytes = |value: Option<f64>| {
        value
            .filter(|value| *value >= 0.0)
            .map(|value| value as u64)
    };
    Ok(Estimate {
        usage_bytes: bytes(estimate.get_usage()),
        quota_bytes: bytes(estimate.get_quota()),
    })
}

fn to_js(value: &impl Serialize) -> Result<JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|error| StoreError::Lost(error.to_string()))
}

/// What an error of a running operation means.
fn lost(error: rexie::Error) -> StoreError {
    meant(words(&error))
}

/// The name of the browser's exception is all that there is to tell by.
fn meant(words: String) -> StoreError {
    if words.contains("QuotaExceeded") {
        StoreError::Full(words)
    } else {
        StoreError::Lost(words)
    }
}

/// Rexie's own words for an error are the same for all; its source says more.
fn words(error: &rexie::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}
