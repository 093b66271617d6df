//! Packages that are stored completely.

use std::collections::HashSet;

use model::Manifest;
use model::manifest::FileHash;
use protocol::Fault;

use super::parts::begun_bytes;
use super::{Shelf, Store, StoredFile, StoredPackage, StoredPart, distinct_files, sum};
use crate::load::Package;
use crate::{Blob as _, Host};

impl<H: Host> Shelf<'_, H> {
    /// The packages that are stored, whole or in part.
    pub(crate) async fn packages(&self) -> Result<Vec<StoredPackage>, Fault> {
        self.run("listing the packages", Store::packages).await
    }

    /// Whether a package was stored completely once. What it has lost since then can be mended.
    pub(crate) async fn was_whole(&self, base_url: &str) -> Result<bool, Fault> {
        let packages = self.packages().await?;
        let mut own = packages.iter().filter(|stored| stored.url == base_url);
        Ok(own.any(StoredPackage::was_whole))
    }

    /// Forgets that a file is stored, whose bytes are gone or have gone bad: the package is incomplete from then on.
    pub(crate) async fn lose(&self, base_url: &str, file: &FileHash) -> Result<(), Fault> {
        let is_lost = |entry: &StoredFile| entry.package == base_url && entry.sha256 == file.sha256;
        self.drop_files(None, is_lost).await.map(drop)
    }

    /// SHA-256 of the manifest of a stored package; empty while it has none. `None` = there is no such package.
    pub(crate) async fn manifest_sha256(&self, base_url: &str) -> Result<Option<String>, Fault> {
        let packages = self.packages().await?;
        let stored = packages.into_iter().find(|stored| stored.url == base_url);
        Ok(stored.map(|stored| stored.manifest_sha256))
    }

    /// The manifest that is stored for a package, with its bytes.
    pub(crate) async fn manifest_file(
        &self,
        base_url: &str,
    ) -> Result<Option<(FileHash, H::Bytes)>, Fault> {
        let packages = self.packages().await?;
        let Some(stored) = packages.into_iter().find(|stored| stored.url == base_url) else {
            return Ok(None);
        };
        let journal = self.journal().await?;
        let entry = journal
            .into_iter()
            .find(|file| file.package == base_url && file.sha256 == stored.manifest_sha256);
        let Some(entry) = entry else { return Ok(None) };
        let file = FileHash {
            file: entry.file,
            bytes: entry.bytes,
            sha256: entry.sha256,
        };
        let bytes = self.get(base_url, &file).await?;
        Ok(bytes.map(|bytes| (file, bytes)))
    }

    /// The package at `base_url`, if all of it is stored.
    pub(crate) async fn complete_package(&self, base_url: &str) -> Result<Option<Package>, Fault> {
        let Some((_, bytes)) = self.manifest_file(base_url).await? else {
            return Ok(None);
        };
        // A manifest of another version of this program is fetched again.
        let Ok(manifest) = Manifest::from_json(&bytes.to_vec()) else {
            return Ok(None);
        };
        let package = Package {
            base_url: base_url.to_owned(),
            manifest,
        };
        let complete = self.held(&package).await?.complete;
        Ok(complete.then_some(package))
    }

    /// Bytes that have come of a package's files which are not whole. What is under way of a conversion is not among them.
    pub(super) async fn begun_bytes(
        &self,
        base_url: &str,
        journal: &[StoredFile],
        parts: &[StoredPart],
    ) -> Result<u64, Fault> {
        if parts.is_empty() {
            return Ok(0);
        }
        let missing = self.missing_files(base_url, journal).await?;
        Ok(sum(missing.iter().map(|file| begun_bytes(file, parts))))
    }

    /// The files of a package that are not stored, as far as its stored manifest names them.
    async fn missing_files(
        &self,
        base_url: &str,
        journal: &[StoredFile],
    ) -> Result<Vec<FileHash>, Fault> {
        let Some((_, bytes)) = self.manifest_file(base_url).await? else {
            return Ok(Vec::new());
        };
        let Ok(manifest) = Manifest::from_json(&bytes.to_vec()) else {
            return Ok(Vec::new());
        };
        let is_stored = |file: &&FileHash| {
            let mut own = journal.iter().filter(|entry| entry.package == base_url);
            own.any(|entry| entry.sha256 == file.sha256)
        };
        let missing = distinct_files(&manifest).filter(|file| !is_stored(file));
        Ok(missing.cloned().collect())
    }

    /// SHA-256 of the files that other packages than this one wait for, if anything has come of files at all.
    pub(crate) async fn wanted_by_others(
        &self,
        base_url: &str,
        parts: &[StoredPart],
    ) -> Result<HashSet<String>, Fault> {
        let mut wanted = HashSet::new();
        if parts.is_empty() {
            return Ok(wanted);
        }
        let journal = self.journal().await?;
        for other in self.packages().await? {
            if other.url != base_url {
                let missing = self.missing_files(&other.url, &journal).await?;
                wanted.extend(missing.into_iter().map(|file| file.sha256));
            }
        }
        Ok(wanted)
    }

    /// A package with this manifest that is stored completely, wherever it came from.
    pub(crate) async fn package_with(&self, sha256: &str) -> Result<Option<Package>, Fault> {
        for stored in self.packages().await? {
            if stored.manifest_sha256 == sha256
                && let Some(package) = self.complete_package(&stored.url).await?
            {
                return Ok(Some(package));
            }
        }
        Ok(None)
    }
}
