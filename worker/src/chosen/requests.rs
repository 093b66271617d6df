//! Chosen files, as the requests see them.

use model::hub::Place;
use model::manifest::TextInfo;
use model::source::{ByteRange, RemoteSource as _};
use protocol::{
    ByteCount, Fault, FaultCode, ModelOffer, Outcome, RequestId, StorageState, is_of_files,
};

use super::look::look;
use super::{Checkpoint, Chosen, Kind, bad, gone};
use crate::load::Package;
use crate::progress::Meter;
use crate::race::{First, first};
use crate::repacking::{Tools, begun, repack_files};
use crate::runtime::Runtime;
use crate::store::{Held, Shelf, sum};
use crate::{Blob as _, Engine, Host, TextLoader};

/// The fault of a browser that keeps nothing.
pub(crate) fn no_store() -> Fault {
    Fault::new(
        FaultCode::Storage,
        "a model out of files is copied into the browser's storage, and there is none here",
    )
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Says what the files are that came with a request. From then on they are at hand.
    pub(crate) async fn open_files(
        &mut self,
        id: RequestId,
        n_files: u32,
    ) -> Result<Outcome, Fault> {
        let files = self.host.files(id);
        if files.len() as u64 != u64::from(n_files) {
            let got = files.len();
            let detail = format!("expected {n_files} files with the request, got {got}");
            return Err(Fault::new(FaultCode::BadRequest, detail));
        }
        self.chosen = None;
        let looked = async {
            let opened = Shelf::open(&self.host, &self.policy).await?;
            let shelf = opened.map_err(|_| no_store())?;
            let chosen = look(&self.host, &self.policy, files).await?;
            self.sweep(&shelf, &chosen.place.key()).await?;
            let offer = self.offer_of(&shelf, &chosen).await?;
            Ok((chosen, offer))
        };
        let looked: Result<_, Fault> = match first(looked, self.inbox.cancelled()).await {
            First::Left(looked) => looked,
            First::Right(()) => return Ok(Outcome::Cancelled),
        };
        let (chosen, offer) = looked?;
        self.chosen = Some(chosen);
        Ok(Outcome::Inspected(offer))
    }

    /// Deletes what pages have left of other files that were closed while they were copied. What has only lost something is
    /// kept: its files can mend it.
    async fn sweep(&self, shelf: &Shelf<'_, H>, key: &str) -> Result<(), Fault> {
        for package in shelf.packages().await? {
            let is_other = is_of_files(&package.url) && package.url != key;
            if is_other && !package.was_whole() {
                shelf.delete(&package.url).await?;
            }
        }
        Ok(())
    }

    /// The files at hand, if they are those of this place.
    fn at_hand(&self, place: &Place) -> Result<&Chosen<H>, Fault> {
        let chosen = self.chosen.as_ref();
        chosen
            .filter(|chosen| chosen.place == *place)
            .ok_or_else(gone)
    }

    /// Says again what the files at hand are.
    pub(crate) async fn inspect_chosen(
        &self,
        shelf: &Shelf<'_, H>,
        place: &Place,
    ) -> Result<ModelOffer, Fault> {
        self.offer_of(shelf, self.at_hand(place)?).await
    }

    async fn offer_of(
        &self,
        shelf: &Shelf<'_, H>,
        chosen: &Chosen<H>,
    ) -> Result<ModelOffer, Fault> {
        let (preview, state) = (chosen.preview(), StorageState::Durable);
        match &chosen.kind {
            Kind::Package(package) => {
                // It may be stored already, from wherever it came.
                let stored = shelf.package_with(&package.manifest_sha256).await?;
                let url = stored.map_or_else(|| chosen.place.key(), |package| package.base_url);
                let package = Package {
                    base_url: url,
                    manifest: preview,
                };
                let held = shelf.held(&package).await?;
                let judged = self.fit(&package.manifest, Some(held)).await;
                Ok(self.offer(&package.base_url, &package.manifest, held, state, judged))
            }
            Kind::Checkpoint(checkpoint) => {
                let key = chosen.place.key();
                let pinned = &checkpoint.pinned;
                let complete = shelf.complete_package(&key).await?.is_some();
                let begun = begun(shelf, &key, pinned).await?;
                let held = |stored_bytes| Held {
                    stored_bytes,
                    complete,
                };
                let stored = begun.iter().flat_map(|begun| begun.stored());
                let stored = held(sum(stored.map(|file| file.bytes)));
                let judged = self.fit(&preview, Some(stored)).await;
                let came = begun.map_or(0, |begun| begun.source_bytes());
                Ok(ModelOffer {
                    download_bytes: ByteCount::saturating(pinned.source_bytes()),
                    ..self.offer(&key, &preview, held(came), state, judged)
                })
            }
        }
    }

    /// Copies the model into the store, or what it has lost there. What fails leaves nothing behind, unless it is only room that
    /// is missing, or the model was whole before.
    pub(crate) async fn read_chosen(
        &self,
        shelf: Option<&Shelf<'_, H>>,
        place: &Place,
        meter: &mut Meter<'_, H>,
    ) -> Result<Package, Fault> {
        let shelf = shelf.ok_or_else(no_store)?;
        let chosen = self.at_hand(place)?;
        let key = place.key();
        let read = self.copy(shelf, chosen, &key, meter).await;
        if let Err(fault) = &read
            && fault.code != FaultCode::StorageFull
        {
            self.clean_up(shelf, &key).await;
        }
        read
    }

    /// Deletes what was copied of a model that was never whole. What failed before it is to be told, and not what fails here.
    async fn clean_up(&self, shelf: &Shelf<'_, H>, key: &str) {
        let deleted = async {
            if !shelf.was_whole(key).await? {
                shelf.delete(key).await?;
            }
            Ok::<(), Fault>(())
        };
        if let Err(fault) = deleted.await {
            log::warn!("what was copied of {key} is left: {fault}");
        }
    }

    async fn copy(
        &self,
        shelf: &Shelf<'_, H>,
        chosen: &Chosen<H>,
        key: &str,
        meter: &mut Meter<'_, H>,
    ) -> Result<Package, Fault> {
        // A tokenizer that is no good is noticed before anything large is copied.
        match &chosen.kind {
            Kind::Package(package) => {
                let bytes = package.tokenizer(&self.host).await?;
                let text = package.manifest.text.as_ref();
                if let Some((bytes, text)) = bytes.zip(text) {
                    let vocab = package.manifest.architecture.vocab;
                    self.texts.load(text, bytes.to_vec(), vocab)?;
                }
                package.store(&self.host, shelf, key, meter).await
            }
            Kind::Checkpoint(checkpoint) => {
                let Checkpoint { source, plan, .. } = &**checkpoint;
                if let Some(text) = &plan.text {
                    let bytes = self.tokenizer_of(checkpoint, text).await?;
                    self.texts.load(text, bytes, plan.architecture.vocab)?;
                }
                let tools = Tools {
                    host: &self.host,
                    policy: &self.policy,
                    inbox: &self.inbox,
                    shelf,
                };
                let (pinned, mut source) = (&checkpoint.pinned, source.clone());
                repack_files(tools, key, pinned, plan, &mut source, meter).await
            }
        }
    }

    /// The tokenizer that the package will have.
    async fn tokenizer_of(
        &self,
        checkpoint: &Checkpoint<H>,
        text: &TextInfo,
    ) -> Result<Vec<u8>, Fault> {
        if let Some(made) = &checkpoint.plan.tokenizer {
            return Ok(made.clone());
        }
        let file = text.tokenizer.file.clone();
        let mut source = checkpoint.source.clone();
        let bytes = source.len(&file).await?.unwrap_or(0);
        let limit = self.policy.max_tokenizer_bytes;
        if bytes > limit {
            let detail = format!("{file}: expected at most {limit} bytes, got {bytes}");
            return Err(bad(detail));
        }
        let range = ByteRange {
            file,
            offset: 0,
            bytes,
        };
        Ok(source.read(&range).await?)
    }

    /// Deletes what a load that was cancelled has copied, unless the model is whole or was so before.
    pub(crate) async fn drop_half(&self, place: &Place) {
        if let Ok(Ok(shelf)) = Shelf::open(&self.host, &self.policy).await {
            self.clean_up(&shelf, &place.key()).await;
        }
    }
}
