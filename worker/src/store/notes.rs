//! Single records beside the files of packages, by keys of their own.

use protocol::Fault;

use super::{Shelf, Store, StoredPackage};
use crate::Host;

impl<H: Host> Shelf<'_, H> {
    /// Adds or replaces a record.
    pub(crate) async fn put_note(&self, key: &str, bytes: &H::Bytes) -> Result<(), Fault> {
        self.run("storing a note", |store| store.put_record(key, bytes))
            .await
    }

    /// A record, if it is there.
    pub(crate) async fn note(&self, key: &str) -> Result<Option<H::Bytes>, Fault> {
        self.run("reading a note", |store| store.record(key)).await
    }

    /// Deletes all records whose keys begin so.
    pub(crate) async fn drop_notes(&self, start: &str) -> Result<(), Fault> {
        let keys = self
            .run("listing notes", |store| store.record_keys(start))
            .await?;
        if keys.is_empty() {
            return Ok(());
        }
        self.run("deleting notes", |store| store.remove(None, &[], &keys))
            .await
    }

    /// Notes a package that is not whole, so that it is listed and can be deleted. One that was whole once keeps its manifest.
    pub(crate) async fn announce(
        &self,
        url: &str,
        name: &str,
        total_bytes: u64,
    ) -> Result<(), Fault> {
        let packages = self.packages().await?.into_iter();
        let known = packages.filter(|stored| stored.url == url);
        let stored = StoredPackage {
            url: url.to_owned(),
            name: name.to_owned(),
            manifest_sha256: known.map(|stored| stored.manifest_sha256).collect(),
            total_bytes,
        };
        self.run("noting a package", |store| store.put_package(&stored))
            .await
    }
}
