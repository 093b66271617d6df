//! Models that have to be converted, as the requests see them.

use model::hub::Place;
use protocol::{ByteCount, Fault, FaultCode, ModelOffer, StorageState};

use crate::fetching::Trying;
use crate::load::{self, Package};
use crate::precision::precisions;
use crate::progress::Meter;
use crate::repacking::{Look, Tools, look, repack, tokenizer};
use crate::runtime::Runtime;
use crate::store::{Held, Shelf};
use crate::{Engine, Host, TextLoader};

/// The fault of a browser that keeps nothing: what is converted has to lie somewhere.
pub(crate) fn no_store() -> Fault {
    Fault::new(
        FaultCode::Storage,
        "a model in this format is converted into the browser's storage, and there is none here",
    )
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    fn tools<'a>(&'a self, shelf: &'a Shelf<'a, H>) -> Tools<'a, H> {
        Tools {
            host: &self.host,
            policy: &self.policy,
            inbox: &self.inbox,
            shelf,
        }
    }

    /// Says what a model is that would be converted, and what it will need. Where a package lies instead, its folder is told.
    pub(crate) async fn inspect_foreign(
        &self,
        shelf: &Shelf<'_, H>,
        place: &Place,
    ) -> Result<Result<ModelOffer, String>, Fault> {
        let tools = self.tools(shelf);
        let prospect = match look(tools, place, Trying::Briefly).await? {
            Look::Package(base_url) => return Ok(Err(base_url)),
            Look::Prospect(prospect) => prospect,
        };
        let preview = prospect.plan().preview();
        let held = |stored_bytes| Held {
            stored_bytes,
            complete: false,
        };
        let stored = held(prospect.stored_bytes());
        let judged = self.fit(&preview, Some(stored)).await;
        let (source_bytes, came) = prospect.source_bytes();
        let state = StorageState::Durable;
        let offer = self.offer(&place.key(), &preview, held(came), state, judged);
        Ok(Ok(ModelOffer {
            download_bytes: ByteCount::saturating(source_bytes),
            precisions: precisions(place, &preview),
            ..offer
        }))
    }

    /// Fetches and converts a model that is not stored, or fetches the manifest of the package that lies there.
    pub(crate) async fn read_foreign(
        &self,
        shelf: Option<&Shelf<'_, H>>,
        place: &Place,
        meter: &mut Meter<'_, H>,
    ) -> Result<Package, Fault> {
        let shelf = shelf.ok_or_else(no_store)?;
        let tools = self.tools(shelf);
        match look(tools, place, Trying::Patiently).await? {
            Look::Prospect(prospect) => {
                let (bytes, plan) = (tokenizer(tools, &prospect).await?, prospect.plan());
                if let (Some(bytes), Some(text)) = (bytes, &plan.text) {
                    self.texts.load(text, bytes, plan.architecture.vocab)?;
                }
                repack(tools, place, *prospect, meter).await
            }
            Look::Package(base_url) => {
                let (host, policy) = (&self.host, &self.policy);
                let (package, bytes) = load::manifest(host, policy, &self.inbox, base_url).await?;
                shelf.put_package(&package, &bytes).await?;
                Ok(package)
            }
        }
    }
}
