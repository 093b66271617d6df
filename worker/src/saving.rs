//! A stored model as one file for the person to keep.

use model::archive;
use model::manifest::FileHash;
use protocol::{ByteCount, Fault, FaultCode, Outcome, RequestId, is_of_files};

use crate::load;
use crate::race::{First, first};
use crate::runtime::Runtime;
use crate::store::Shelf;
use crate::{Blob as _, Engine, File as _, Host, TextLoader};

/// The fault of a file that can't be made.
fn not_made(detail: impl ToString) -> Fault {
    Fault::new(FaultCode::Storage, detail.to_string())
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Makes an archive of a model that is stored completely. It goes with the request's terminal event.
    pub(crate) async fn save_model(
        &self,
        id: RequestId,
        model_url: &str,
    ) -> Result<Outcome, Fault> {
        let archived = self.archived(model_url);
        let (name, file) = match first(archived, self.inbox.cancelled()).await {
            First::Left(archived) => archived?,
            First::Right(()) => return Ok(Outcome::Cancelled),
        };
        let bytes = ByteCount::saturating(file.size());
        self.host.give(id, file);
        Ok(Outcome::Saved { name, bytes })
    }

    /// The archive and its name. Shards are read one after the other, each is checked, and none is held here once the browser
    /// has it.
    async fn archived(&self, model_url: &str) -> Result<(String, H::File), Fault> {
        let key = load::key(model_url);
        let missing = || {
            let detail = format!("{key} is not stored completely, so no file can be made of it");
            Fault::new(FaultCode::NotFound, detail)
        };
        let opened = Shelf::open(&self.host, &self.policy).await?;
        let shelf = opened.map_err(|_| missing())?;
        let package = shelf.complete_package(&key).await?.ok_or_else(missing)?;
        let stored = shelf.manifest_file(&key).await?;
        let (manifest, bytes) = stored.ok_or_else(missing)?;
        let mut parts = Parts::<H>::default();
        parts.push(&manifest, &bytes)?;
        for file in archive::files(&package.manifest) {
            let Some(bytes) = shelf.get(&key, file).await? else {
                return Err(lost(&shelf, &key, file).await?);
            };
            parts.push(file, &bytes)?;
        }
        let name = archive::file_name(&package.manifest.name);
        Ok((name, parts.joined()?))
    }
}

/// The fault of a file that is lost, with what brings it back.
async fn lost<H: Host>(shelf: &Shelf<'_, H>, key: &str, file: &FileHash) -> Result<Fault, Fault> {
    let way = if is_of_files(key) {
        // As long as it counts as stored, nobody would read it from the files again.
        shelf.lose(key, file).await?;
        "choose the model's files again and load it"
    } else {
        "load the model once"
    };
    let detail = format!("{} is lost in the store: {way}, then try again", file.file);
    Ok(Fault::new(FaultCode::Corrupt, detail))
}

/// An archive in the making.
struct Parts<H: Host> {
    parts: Vec<H::File>,
    /// Zeros behind the last file.
    padding: usize,
}

impl<H: Host> Default for Parts<H> {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            padding: 0,
        }
    }
}

impl<H: Host> Parts<H> {
    /// Puts a file behind the others.
    fn push(&mut self, file: &FileHash, bytes: &H::Bytes) -> Result<(), Fault> {
        let header = archive::header(&file.file, bytes.len()).map_err(not_made)?;
        self.add_small(&header)?;
        self.parts.push(H::File::of(bytes).map_err(not_made)?);
        self.padding = archive::padding(bytes.len());
        Ok(())
    }

    /// Puts the zeros behind the last file, and what follows them.
    fn add_small(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut small = vec![0; self.padding];
        small.extend(bytes);
        let small = H::Bytes::copied(&small);
        self.parts.push(H::File::of(&small).map_err(not_made)?);
        Ok(())
    }

    fn joined(mut self) -> Result<H::File, Fault> {
        self.add_small(&[0; archive::END_BYTES])?;
        H::File::joined(&self.parts).map_err(not_made)
    }
}
