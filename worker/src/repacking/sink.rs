//! The store, as a conversion writes into it.

use model::Manifest;
use model::convert::{Checkpoint, FinishedShard, PackageStore, Plan};
use model::manifest::{FileHash, MANIFEST_FILE};
use protocol::{Fault, FaultCode};

use super::Stop;
use super::pinned::{Pinned, Record};
use crate::load::Package;
use crate::store::{Shelf, sum};
use crate::{Blob, Host};

/// The beginning of the keys of bytes that wait for others. Only one conversion runs at a time.
const ASIDE: &str = "aside/";
/// The beginning of the keys of what is noted of conversions.
const NOTED: &str = "repacking/";

/// What is noted of the conversion whose package has this key.
pub(super) async fn noted<H: Host>(
    shelf: &Shelf<'_, H>,
    key: &str,
) -> Result<Option<Record>, Fault> {
    let bytes = shelf.note(&name(key)).await?;
    // What another version of this program wrote is as good as nothing.
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes.to_vec()).ok()))
}

/// Where the files of a converted model came from.
pub(crate) struct Origin {
    /// The commit that they are of; a file that lies by itself has none.
    pub(crate) commit: Option<String>,
    /// The names of the files, and whether their publisher states their hashes.
    pub(crate) published: Vec<(String, bool)>,
}

/// Where the files of a model came from that was fetched and converted here; `None` of any other.
pub(crate) async fn origin<H: Host>(
    shelf: &Shelf<'_, H>,
    key: &str,
) -> Result<Option<Origin>, Fault> {
    let record = noted(shelf, key).await?;
    Ok(record.map(|Record { pinned, .. }| Origin {
        published: pinned
            .files
            .into_iter()
            .map(|file| (file.name, file.sha256.is_some()))
            .collect(),
        commit: pinned.commit,
    }))
}

/// Notes it.
pub(super) async fn note<H: Host>(
    shelf: &Shelf<'_, H>,
    key: &str,
    record: &Record,
) -> Result<(), Fault> {
    let json = serde_json::to_vec(record)
        .map_err(|error| Fault::new(FaultCode::Storage, error.to_string()))?;
    let bytes = H::Bytes::copied(&json);
    shelf.put_note(&name(key), &bytes).await
}

/// The key of what is noted of a conversion. No address has a space, so none begins with another one.
fn name(key: &str) -> String {
    format!("{NOTED}{key} ")
}

/// Forgets what was put aside.
pub(super) async fn forget_aside<H: Host>(shelf: &Shelf<'_, H>) -> Result<(), Fault> {
    shelf.drop_notes(ASIDE).await
}

/// Forgets a conversion, and what was put aside.
pub(crate) async fn forget<H: Host>(shelf: &Shelf<'_, H>, key: &str) -> Result<(), Fault> {
    forget_aside(shelf).await?;
    shelf.drop_notes(&name(key)).await
}

/// Forgets all conversions.
pub(crate) async fn forget_all<H: Host>(shelf: &Shelf<'_, H>) -> Result<(), Fault> {
    forget_aside(shelf).await?;
    shelf.drop_notes(NOTED).await
}

/// The store during one conversion.
pub(super) struct Sink<'a, H: Host> {
    pub(super) host: &'a H,
    pub(super) shelf: &'a Shelf<'a, H>,
    pub(super) key: &'a str,
    pub(super) pinned: &'a Pinned,
    /// Bytes that the package will have and the store has not yet.
    pub(super) missing_bytes: u64,
}

impl<'a, H: Host> Sink<'a, H> {
    pub(super) fn new(
        host: &'a H,
        shelf: &'a Shelf<'a, H>,
        key: &'a str,
        pinned: &'a Pinned,
        plan: &Plan,
        checkpoint: Option<&Checkpoint>,
    ) -> Self {
        let stored = checkpoint.map_or(0, |checkpoint| {
            sum(checkpoint.stored().map(|file| file.bytes))
        });
        let all = sum(plan.shard_bytes.iter().copied());
        Self {
            host,
            shelf,
            key,
            pinned,
            missing_bytes: all.saturating_sub(stored),
        }
    }

    /// What came of writing, with how much room has to be made.
    async fn told<T>(&self, result: Result<T, Fault>) -> Result<T, Stop> {
        match result {
            Err(fault) if fault.code == FaultCode::StorageFull => {
                let full = self.shelf.full(self.missing_bytes, &fault.detail);
                Err(Stop::Fault(full.await))
            }
            result => Ok(result?),
        }
    }

    async fn put(&mut self, file: &FileHash, bytes: &[u8]) -> Result<(), Stop> {
        let bytes = H::Bytes::copied(bytes);
        let put = self.shelf.put(self.key, file, &bytes).await;
        self.told(put).await?;
        self.missing_bytes = self.missing_bytes.saturating_sub(file.bytes);
        Ok(())
    }
}

fn aside(number: u32) -> String {
    format!("{ASIDE}{number}/")
}

impl<H: Host> PackageStore for Sink<'_, H> {
    type Error = Stop;

    async fn put_shard(&mut self, shard: FinishedShard) -> Result<(), Stop> {
        self.put(&shard.file, &shard.bytes).await
    }

    async fn put_file(&mut self, file: &FileHash, bytes: Vec<u8>) -> Result<(), Stop> {
        if file.file != MANIFEST_FILE {
            return self.put(file, &bytes).await;
        }
        let package = Package {
            base_url: self.key.to_owned(),
            manifest: Manifest::from_json(&bytes)?,
        };
        let bytes = H::Bytes::copied(&bytes);
        let put = self.shelf.put_package(&package, &bytes).await;
        self.told(put).await?;
        Ok(forget_aside(self.shelf).await?)
    }

    async fn note(&mut self, checkpoint: Checkpoint) -> Result<(), Stop> {
        let record = Record {
            pinned: self.pinned.clone(),
            checkpoint: Some(checkpoint),
        };
        let noted = note(self.shelf, self.key, &record).await;
        self.told(noted).await?;
        // Somebody may want it to end, between two long steps of arithmetic.
        self.host.yield_now().await;
        Ok(())
    }

    async fn put_aside(&mut self, number: u32, bytes: Vec<u8>) -> Result<(), Stop> {
        let bytes = H::Bytes::copied(&bytes);
        let put = self.shelf.put_note(&aside(number), &bytes).await;
        self.told(put).await
    }

    async fn read_aside(&mut self, number: u32) -> Result<Vec<u8>, Stop> {
        let bytes = self.shelf.note(&aside(number)).await?;
        let lost = || {
            let detail = "what was put aside is not in the store any more";
            Fault::new(FaultCode::Storage, detail)
        };
        Ok(bytes.ok_or_else(lost)?.to_vec())
    }

    async fn drop_aside(&mut self, number: u32) -> Result<(), Stop> {
        Ok(self.shelf.drop_notes(&aside(number)).await?)
    }
}
