//! The requests about what is stored.

use model::Manifest;
use protocol::{ByteCount, Fault, Fit, ModelOffer, Outcome, StorageReport, StorageState};

use crate::chosen;
use crate::fit::{Given, Judged, judge, need, room};
use crate::foreign::no_store;
use crate::load;
use crate::offer::{download_bytes, offer};
use crate::race::{First, first};
use crate::runtime::Runtime;
use crate::store::{Held, Shelf, Store};
use crate::watch::Watch;
use crate::{Engine, Host, TextLoader};

/// Seconds that an adapter may take to say what it offers.
const ADAPTER_SECONDS: u32 = 5;

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Says what a package is and needs, from its stored manifest if the package is complete.
    pub(crate) async fn inspect(&self, model_url: &str) -> Result<Outcome, Fault> {
        let look = async {
            let place = load::place(model_url)?;
            let mut base_url = place.key();
            let shelf = match Shelf::open(&self.host, &self.policy).await? {
                Ok(shelf) => shelf,
                Err(_) if place.is_foreign() => return Err(no_store()),
                Err(_) if place.is_chosen() => return Err(chosen::no_store()),
                Err(state) => {
                    let (package, _) =
                        load::manifest(&self.host, &self.policy, &self.inbox, base_url).await?;
                    let (manifest, held) = (&package.manifest, Held::default());
                    let judged = self.fit(manifest, None).await;
                    return Ok(self.offer(&package.base_url, manifest, held, state, judged));
                }
            };
            let mut complete = shelf.complete_package(&base_url).await?;
            if complete.is_none() && place.is_foreign() {
                base_url = match self.inspect_foreign(&shelf, &place).await? {
                    Ok(offer) => return Ok(offer),
                    Err(package) => package,
                };
                complete = shelf.complete_package(&base_url).await?;
            }
            let package = match complete {
                Some(package) => package,
                None if place.is_chosen() => return self.inspect_chosen(&shelf, &place).await,
                None => {
                    load::manifest(&self.host, &self.policy, &self.inbox, base_url)
                        .await?
                        .0
                }
            };
            let held = shelf.held(&package).await?;
            let manifest = &package.manifest;
            let judged = self.fit(manifest, Some(held)).await;
            let state = StorageState::Durable;
            Ok(self.offer(&package.base_url, manifest, held, state, judged))
        };
        match first(look, self.inbox.cancelled()).await {
            First::Left(offer) => offer.map(Outcome::Inspected),
            First::Right(()) => Ok(Outcome::Cancelled),
        }
    }

    /// Describes a package by what the page has said of budget and settings.
    pub(crate) fn offer(
        &self,
        model_url: &str,
        manifest: &Manifest,
        held: Held,
        storage: StorageState,
        judged: Judged,
    ) -> ModelOffer {
        let settings = &self.judgement.settings;
        offer(model_url, manifest, held, storage, judged, settings)
    }

    /// Whether the package fits this device, and with which context. What is stored already is loaded and then says itself
    /// whether it fits.
    pub(crate) async fn fit(&self, manifest: &Manifest, held: Option<Held>) -> Judged {
        let settings = &self.judgement.settings;
        if held.is_some_and(|held| held.complete) {
            let given = Given {
                storage_bytes: None,
                buffer_bytes: self.buffer_bytes.get(),
                budget: self.judgement.budget,
            };
            let judged = judge(&need(manifest, settings, 0), given);
            let is_shorter = matches!(judged.fit, Fit::FitsWithContext(_));
            return Judged {
                fit: if is_shorter { judged.fit } else { Fit::Unknown },
                ..judged
            };
        }
        let watch = Watch {
            host: &self.host,
            silence_seconds: ADAPTER_SECONDS,
        };
        // Without an adapter nothing is known of it; the load says why there is none.
        let buffer_bytes = watch.once(self.engine.buffer_bytes_offered()).await.ok();
        self.buffer_bytes
            .set(buffer_bytes.or(self.buffer_bytes.get()));
        // What can't be kept needs no room.
        let missing_bytes = held.map_or(0, |held| {
            download_bytes(manifest).saturating_sub(held.stored_bytes)
        });
        let given = Given {
            storage_bytes: room(self.host.store().estimate().await),
            buffer_bytes,
            budget: self.judgement.budget,
        };
        judge(&need(manifest, settings, missing_bytes), given)
    }

    /// What is stored.
    pub(crate) async fn storage(&self) -> Result<Outcome, Fault> {
        let report = match Shelf::open(&self.host, &self.policy).await? {
            Ok(shelf) => shelf.report().await?,
            Err(state) => {
                let estimate = self.host.store().estimate().await;
                StorageReport {
                    models: Vec::new(),
                    usage_bytes: estimate.usage_bytes.map(ByteCount::saturating),
                    quota_bytes: estimate.quota_bytes.map(ByteCount::saturating),
                    state,
                }
            }
        };
        Ok(Outcome::Storage(report))
    }

    /// Deletes a stored model, which is unloaded first.
    pub(crate) async fn delete(&mut self, model_url: &str) -> Result<Outcome, Fault> {
        let base_url = load::key(model_url);
        if self
            .model
            .as_ref()
            .is_some_and(|loaded| loaded.package.base_url == base_url)
        {
            self.model = None;
        }
        let bytes = match Shelf::open(&self.host, &self.policy).await? {
            Ok(shelf) => shelf.delete(&base_url).await?,
            Err(_) => 0,
        };
        Ok(Outcome::Deleted {
            bytes: ByteCount::saturating(bytes),
        })
    }

    /// Unloads the model and deletes everything that is stored.
    pub(crate) async fn erase(&mut self) -> Result<Outcome, Fault> {
        self.model = None;
        let bytes = match Shelf::open(&self.host, &self.policy).await? {
            Ok(shelf) => shelf.erase().await?,
            Err(_) => 0,
        };
        Ok(Outcome::Deleted {
            bytes: ByteCount::saturating(bytes),
        })
    }
}
