//! Packages that are stored completely.

use model::Manifest;
use model::manifest::FileHash;
use protocol::Fault;

use super::{Shelf, Store, StoredPackage};
use crate::load::Package;
use crate::{Blob as _, Host};

impl<H: Host> Shelf<'_, H> {
    async fn packages(&self) -> Result<Vec<StoredPackage>, Fault> {
        self.run("listing the packages", Store::packages).await
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
