//! Packages that are stored completely.

use model::Manifest;
use model::manifest::FileHash;
use protocol::Fault;

use super::{Shelf, Store, StoredFile, StoredPackage};
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
