//! Work on what is stored that needs no device, and beside which a loaded model stays ready: downloads and checks.

use protocol::{Fault, Outcome, RequestId};

use crate::race::{First, first};
use crate::runtime::Runtime;
use crate::{Engine, Host, Session as _, TextLoader};

/// Such work, on the model of an address.
pub(crate) enum Work<'a> {
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
}
