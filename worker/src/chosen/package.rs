//! A package of ours in files, on its way into the store.

use std::collections::{BTreeMap, HashSet};

use model::Manifest;
use model::archive::{self, Index};
use model::manifest::{FileHash, MANIFEST_FILE};
use protocol::{Fault, FaultCode, LoadStage};

use super::{bad, read};
use crate::progress::Meter;
use crate::store::{Shelf, sum};
use crate::{Blob as _, File as _, Host, Policy, load};

/// A package in files.
pub(super) struct Package<H: Host> {
    pub(super) manifest: Manifest,
    pub(super) manifest_sha256: String,
    /// Its files by name, the manifest too. All that the manifest names are there and have the right lengths.
    files: BTreeMap<String, H::File>,
}

impl<H: Host> Package<H> {
    /// The package that an archive holds.
    ///
    /// # Errors
    /// If it lacks a file, or its manifest is no good.
    pub(super) async fn of_archive(
        host: &H,
        policy: &Policy,
        archive: &H::File,
        index: &Index,
    ) -> Result<Self, Fault> {
        let mut files = BTreeMap::new();
        files.insert(MANIFEST_FILE.to_owned(), archive.slice(index.manifest()));
        let (manifest, manifest_sha256) = manifest(host, policy, &files[MANIFEST_FILE]).await?;
        for file in archive::files(&manifest) {
            let place = index.find(file).map_err(bad)?;
            files.insert(file.file.clone(), archive.slice(place));
        }
        Ok(Self {
            manifest,
            manifest_sha256,
            files,
        })
    }

    /// The package that these files are.
    ///
    /// # Errors
    /// As for [`Package::of_archive`].
    pub(super) async fn of_files(
        host: &H,
        policy: &Policy,
        files: BTreeMap<String, H::File>,
    ) -> Result<Self, Fault> {
        let (manifest, manifest_sha256) = manifest(host, policy, &files[MANIFEST_FILE]).await?;
        for file in archive::files(&manifest) {
            let (name, expected) = (&file.file, file.bytes);
            let got = files.get(name).map(H::File::size).ok_or_else(|| {
                bad(format!(
                    "{name} is missing, which {MANIFEST_FILE} names: choose all files of the folder"
                ))
            })?;
            if got != expected {
                let detail = format!("{name}: expected {expected} bytes, got {got}");
                return Err(bad(detail));
            }
        }
        Ok(Self {
            manifest,
            manifest_sha256,
            files,
        })
    }

    /// Reads one of its files and compares its hash.
    async fn checked(&self, host: &H, file: &FileHash) -> Result<H::Bytes, Fault> {
        let (name, expected) = (&file.file, &file.sha256);
        let handle = self.files.get(name).ok_or_else(super::gone)?;
        let bytes = read::<H>(name, handle).await?;
        let got = host.sha256(&bytes).await.map_err(bad)?;
        if got != *expected {
            let detail = format!(
                "{name} is damaged: its manifest states the SHA-256 {expected}, it has {got}"
            );
            return Err(bad(detail));
        }
        Ok(bytes)
    }

    /// The tokenizer's bytes, if the package has one.
    pub(super) async fn tokenizer(&self, host: &H) -> Result<Option<H::Bytes>, Fault> {
        match &self.manifest.text {
            Some(text) => self.checked(host, &text.tokenizer).await.map(Some),
            None => Ok(None),
        }
    }

    /// Stores it, each file when its hash is right, the manifest last.
    ///
    /// # Errors
    /// What is wrong with a file, or the store's fault.
    pub(super) async fn store(
        &self,
        host: &H,
        shelf: &Shelf<'_, H>,
        key: &str,
        meter: &mut Meter<'_, H>,
    ) -> Result<load::Package, Fault> {
        let Self { manifest, .. } = self;
        let all = sum(archive::files(manifest).map(|file| file.bytes));
        // With its manifest it is longer than this, so that it does not count as whole before.
        let total_bytes = all.saturating_add(1);
        shelf.announce(key, &manifest.name, total_bytes).await?;
        let mut stored: HashSet<String> = shelf.hashes(key).await?;
        let shards = &manifest.shards;
        let counts = shards.iter().map(|shard| (shard.bytes, false));
        meter.begin(LoadStage::Download, counts, 0);
        let mut missing_bytes = all;
        let tokenizer = manifest.text.as_ref().map(|text| &text.tokenizer);
        for file in archive::files(manifest) {
            if !stored.contains(&file.sha256) {
                let bytes = self.checked(host, file).await?;
                let put = shelf.put(key, file, &bytes).await;
                told(shelf, put, missing_bytes).await?;
                stored.insert(file.sha256.clone());
            }
            missing_bytes = missing_bytes.saturating_sub(file.bytes);
            if tokenizer != Some(file) {
                meter.shards(1, file.bytes, 0);
            }
            // Somebody may want it to end.
            host.yield_now().await;
        }
        let package = load::Package {
            base_url: key.to_owned(),
            manifest: manifest.clone(),
        };
        let bytes = read::<H>(MANIFEST_FILE, &self.files[MANIFEST_FILE]).await?;
        let put = shelf.put_package(&package, &bytes).await;
        told(shelf, put, missing_bytes).await?;
        Ok(package)
    }
}

/// What came of storing, with how much room has to be made.
async fn told<H: Host>(
    shelf: &Shelf<'_, H>,
    put: Result<(), Fault>,
    missing_bytes: u64,
) -> Result<(), Fault> {
    match put {
        Err(fault) if fault.code == FaultCode::StorageFull => {
            Err(shelf.full(missing_bytes, &fault.detail).await)
        }
        put => put,
    }
}

/// Reads a manifest, and its hash.
async fn manifest<H: Host>(
    host: &H,
    policy: &Policy,
    file: &H::File,
) -> Result<(Manifest, String), Fault> {
    let (got, limit) = (file.size(), policy.max_manifest_bytes);
    if got > limit {
        let detail = format!("{MANIFEST_FILE}: expected at most {limit} bytes, got {got}");
        return Err(bad(detail));
    }
    let bytes = read::<H>(MANIFEST_FILE, file).await?;
    let manifest = Manifest::from_json(&bytes.to_vec())
        .map_err(|error| Fault::new(FaultCode::BadModel, error.to_string()))?;
    if let Some(text) = &manifest.text {
        let (file, limit) = (&text.tokenizer, policy.max_tokenizer_bytes);
        if file.bytes > limit {
            let (name, got) = (&file.file, file.bytes);
            let detail = format!("{name}: expected at most {limit} bytes, got {got}");
            return Err(Fault::new(FaultCode::BadModel, detail));
        }
    }
    let sha256 = host.sha256(&bytes).await.map_err(bad)?;
    Ok((manifest, sha256))
}
