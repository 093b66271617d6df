//! The requests about what is stored.

use protocol::{ByteCount, Fault, Outcome, StorageReport};

use crate::load;
use crate::offer::offer;
use crate::race::{First, first};
use crate::runtime::Runtime;
use crate::store::{Held, Shelf, Store};
use crate::{Engine, Host, TextLoader};

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Says what a package is and needs, from its stored manifest if the package is complete.
    pub(crate) async fn inspect(&self, model_url: &str) -> Result<Outcome, Fault> {
        let look = async {
            let base_url = load::base_url(model_url);
            let shelf = match Shelf::open(&self.host, &self.policy).await? {
                Ok(shelf) => shelf,
                Err(state) => {
                    let (package, _) = load::manifest(&self.host, &self.policy, base_url).await?;
                    return Ok(offer(model_url, &package.manifest, Held::default(), state));
                }
            };
            let package = match shelf.complete_package(&base_url).await? {
                Some(package) => package,
                None => load::manifest(&self.host, &self.policy, base_url).await?.0,
            };
            let held = shelf.held(&package).await?;
            Ok(offer(
                model_url,
                &package.manifest,
                held,
                protocol::StorageState::Durable,
            ))
        };
        match first(look, self.inbox.cancelled()).await {
            First::Left(offer) => offer.map(Outcome::Inspected),
            First::Right(()) => Ok(Outcome::Cancelled),
        }
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
        let base_url = load::base_url(model_url);
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
