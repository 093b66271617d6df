//! Where models are kept between visits.
//!
//! [`Store`] is the raw database: in a browser IndexedDB, in tests a twin in memory that fails on demand. It is keyed by
//! content: the bytes of a file lie under its SHA-256, cut into records of at most [`RECORD_BYTES`], so that two models
//! can share a file but never mistake one. A file counts as stored when the journal says so, and the journal's entry is
//! committed in the same transaction as the records. What has come of a file that is not whole lies beside it in parts
//! ([`StoredPart`]), which go in that transaction. [`Shelf`] is what the loader uses: it minds the time, opens a lost
//! database anew, and checks every file, or leaves that to fingerprints.

mod fingerprints;
mod notes;
mod parts;
mod shelf;
mod tuned;
mod whole;

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::Blob;

pub(crate) use fingerprints::{Fingerprint, Fingerprints};
pub use parts::StoredPart;
pub(crate) use shelf::{Held, Shelf, distinct_files, sum};
pub(crate) use tuned::StoredTrial;

/// Most bytes of one record. Browsers have lost larger ones.
pub const RECORD_BYTES: u64 = 8 << 20;

/// A package that is stored, whole or in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPackage {
    /// URL of its folder, with a slash at the end. The key.
    pub url: String,
    /// Name as the manifest has it.
    pub name: String,
    /// SHA-256 of its manifest; empty until that is stored.
    pub manifest_sha256: String,
    /// Bytes of all its different files, the manifest included.
    pub total_bytes: u64,
}

impl StoredPackage {
    /// Whether all of it was stored once. Before that its manifest is not known.
    pub(crate) const fn was_whole(&self) -> bool {
        !self.manifest_sha256.is_empty()
    }
}

/// An entry of the journal: this file of this package is stored completely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// URL of the package's folder.
    pub package: String,
    /// Name of the file within the package.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
}

impl StoredFile {
    /// The key of this entry in the journal.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.package, self.sha256)
    }

    /// The keys of its records, in order. A file without bytes has one, so that its absence can be seen.
    pub fn record_keys(&self) -> impl Iterator<Item = String> + use<> {
        let sha256 = self.sha256.clone();
        (0..self.bytes.div_ceil(RECORD_BYTES).max(1)).map(move |part| format!("{sha256}/{part}"))
    }
}

/// What a browser says about the room it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Bytes in use by this origin.
    pub usage_bytes: Option<u64>,
    /// Bytes that it may use.
    pub quota_bytes: Option<u64>,
}

/// Why the database failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// There is no database, or it may not be used: opening it failed.
    Unavailable(String),
    /// The browser gives no more room.
    Full(String),
    /// The connection, or the transaction, is gone; another may work.
    Lost(String),
}

/// A database of models. Every operation is one transaction and may be repeated.
pub trait Store {
    /// Bytes on their way in or out.
    type Bytes: Blob;

    /// Opens the database unless it is open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn open(&self) -> impl Future<Output = Result<(), StoreError>>;

    /// Forgets the connection, so that the next operation needs an [`Store::open`] first.
    fn close(&self);

    /// All packages.
    ///
    /// # Errors
    /// [`StoreError::Lost`].
    fn packages(&self) -> impl Future<Output = Result<Vec<StoredPackage>, StoreError>>;

    /// The whole journal.
    ///
    /// # Errors
    /// [`StoreError::Lost`].
    fn journal(&self) -> impl Future<Output = Result<Vec<StoredFile>, StoreError>>;

    /// Adds or replaces a package's entry.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Lost`].
    fn put_package(&self, package: &StoredPackage) -> impl Future<Output = Result<(), StoreError>>;

    /// Stores a file's records and its journal entry, and removes its parts ([`StoredPart::keys_of`]): all of it or nothing.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Lost`].
    fn put(
        &self,
        file: &StoredFile,
        bytes: &Self::Bytes,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// The bytes of a file, unchecked; `None` when its journal entry or a record is missing.
    ///
    /// # Errors
    /// [`StoreError::Lost`].
    fn get(
        &self,
        file: &StoredFile,
    ) -> impl Future<Output = Result<Option<Self::Bytes>, StoreError>>;

    /// Adds or replaces a single record, which no journal entry counts.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Lost`].
    fn put_record(
        &self,
        key: &str,
        bytes: &Self::Bytes,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// A single record; `None` when it is missing.
    ///
    /// # Errors
    /// [`StoreError::Lost`].
    fn record(&self, key: &str) -> impl Future<Output = Result<Option<Self::Bytes>, StoreError>>;

    /// The keys of all records that begin so.
    ///
    /// # Errors
    /// [`StoreError::Lost`].
    fn record_keys(&self, start: &str) -> impl Future<Output = Result<Vec<String>, StoreError>>;

    /// Removes a package's entry (if named), journal entries and records, by their keys.
    ///
    /// # Errors
    /// [`StoreError::Lost`].
    fn remove(
        &self,
        package: Option<&str>,
        journal_keys: &[String],
        record_keys: &[String],
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// What the browser says about room; nothing where it does not say.
    fn estimate(&self) -> impl Future<Output = Estimate>;
}
