//! Work on what is stored that needs no device, and beside which a loaded model stays ready: downloads and checks.

use protocol::{Fault, FaultCode, Outcome, RequestId};

use crate::chosen;
use crate::load;
use crate::progress::Meter;
use crate::race::{First, first};
use crate::runtime::Runtime;
use crate::store::Shelf;
use crate::{Engine, Host, Session as _, TextLoader};

/// Such work, on the model of an address.
pub(crate) enum Work<'a> {
    /// It is fetched into the store, and converted on its way if need be.
    Download(&'a str),
    /// Every stored file is compared.
    Verify(&'a str),
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Does it. A device that is lost meanwhile is told of at once, which ends the work: bringing the model back comes first.
    pub(crate) async fn work(&mut self, id: RequestId, work: Work<'_>) -> Result<Outcome, Fault> {
        let detail = {
            let session = self.model.as_ref().and_then(|model| model.session.as_ref());
            let lost = async {
                match session {
                    Some(session) => session.lost().await,
                    None => std::future::pending().await,
                }
            };
            let work = async {
                match work {
                    Work::Download(model_url) => self.download_model(id, model_url).await,
                    Work::Verify(model_url) => self.verify_model(id, model_url).await,
                }
            };
            match first(first(work, self.inbox.cancelled()), lost).await {
                First::Left(First::Left(result)) => return result,
                First::Left(First::Right(())) => return Ok(Outcome::Cancelled),
                First::Right(detail) => detail,
            }
        };
        self.device_lost(detail);
        Ok(Outcome::Cancelled)
    }

    /// Brings a model into the store, and not onto a device.
    async fn download_model(&self, id: RequestId, model_url: &str) -> Result<Outcome, Fault> {
        let place = load::place(model_url)?;
        if place.is_chosen() {
            // Whoever chose the files waits for them.
            return Err(chosen::gone());
        }
        let opened = Shelf::open(&self.host, &self.policy).await?;
        let shelf = opened.map_err(|_| {
            let detail = "a model can be downloaded for later only where it can be stored, and there is no storage here";
            Fault::new(FaultCode::Storage, detail)
        })?;
        let mut meter = Meter::new(&self.host, id, self.policy.progress_millis);
        let (package, _) = self.bring(Some(&shelf), &place, &mut meter).await?;
        Ok(Outcome::Downloaded {
            model_url: package.base_url,
        })
    }
}
