//! The way to a model: the lock, the look at what is stored, the offer, the download.

use protocol::{Fault, FaultCode, LoadStage, Outcome, Request, RequestId};

use super::engine::Job;
use super::{Action, DbRequest, Effect, Finish, Notice, Phase, Rate, State};

/// Weight of the newest second in the speed of a download.
const RATE_WEIGHT: f64 = 0.25;
/// Shortest time, in milliseconds, over which the speed is measured.
const RATE_MILLIS: f64 = 900.0;

/// Something the worker does beside loading and answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chore {
    /// Lists the stored models.
    Storage,
    /// Deletes the model of this URL.
    Delete(String),
}

impl State {
    pub(super) fn on_loading(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::EngineLock(true) => self.lock_given(),
            Action::EngineLock(false) => self.lock_elsewhere(),
            Action::UseHere if self.engine.phase == Phase::Elsewhere => {
                vec![Effect::ClaimEngine { steal: true }]
            }
            Action::Download if self.engine.phase == Phase::Offer => {
                self.engine.agreed = true;
                let mut effects = vec![Effect::Persist];
                effects.extend(self.load());
                effects
            }
            Action::CancelDownload => self.cancel_download(),
            Action::Retry => self.retry(),
            Action::DeleteModel(url) => self.delete_model(url),
            _ => Vec::new(),
        }
    }

    fn lock_given(&mut self) -> Vec<Effect> {
        let is_first = std::mem::take(&mut self.engine.waits_for_lock);
        match self.engine.phase {
            Phase::Starting if is_first => vec![Effect::Spawn],
            // The other tab may have written meanwhile.
            Phase::Elsewhere => {
                self.engine.phase = Phase::Starting;
                vec![Effect::Spawn, Effect::Db(DbRequest::Open)]
            }
            _ => Vec::new(),
        }
    }

    fn lock_elsewhere(&mut self) -> Vec<Effect> {
        self.engine.waits_for_lock = false;
        if self.engine.phase == Phase::Elsewhere {
            return Vec::new();
        }
        self.forget_undo();
        if matches!(self.engine.phase, Phase::Answering | Phase::Paused) {
            self.end_answer(Finish::Interrupted);
        }
        let mut effects = self.settle_checks(&Fault::new(
            FaultCode::BadRequest,
            "another tab took the engine",
        ));
        self.forget_worker();
        self.saving.is_foreign = true;
        self.engine.fault = None;
        self.engine.phase = Phase::Elsewhere;
        effects.push(Effect::Terminate);
        effects
    }

    /// The worker is there. A model that was loaded or agreed on before is loaded; otherwise it is looked up first.
    pub(super) fn begin(&mut self) -> Vec<Effect> {
        if !self.environment.webgpu {
            let why = if self.environment.secure {
                "navigator.gpu is missing"
            } else {
                "navigator.gpu is missing, as it is on every page that comes neither over HTTPS nor from this machine"
            };
            self.fail(Fault::new(FaultCode::NoWebGpu, why));
            return Vec::new();
        }
        if self.engine.agreed || self.switches.start || self.running().is_some() {
            self.load()
        } else {
            self.inspect()
        }
    }

    fn inspect(&mut self) -> Vec<Effect> {
        let id = self.engine.begin(Job::Inspect);
        self.engine.model = None;
        self.engine.phase = Phase::Starting;
        let model_url = self.model_url.clone();
        vec![Effect::Post(Request::Inspect { id, model_url })]
    }

    /// Asks for the model. An answer that waits for it keeps its phase.
    pub(super) fn load(&mut self) -> Vec<Effect> {
        let id = self.engine.begin(Job::Load);
        self.engine.model = None;
        self.end_progress();
        if !matches!(self.engine.phase, Phase::Answering | Phase::Paused) {
            self.engine.phase = Phase::Loading;
        }
        let (model_url, settings) = (self.model_url.clone(), self.switches.settings);
        vec![Effect::Post(Request::Load {
            id,
            model_url,
            settings,
        })]
    }

    /// What the look at the stored model gave.
    pub(super) fn on_inspected(&mut self, offer: protocol::ModelOffer) -> Vec<Effect> {
        let is_complete = offer.complete;
        self.engine.offer = Some(offer);
        self.engine.request = None;
        self.engine.recovering = false;
        if is_complete {
            return self.load();
        }
        self.engine.phase = Phase::Offer;
        Vec::new()
    }

    pub(super) fn on_loaded(&mut self, info: protocol::ModelInfo) -> Vec<Effect> {
        let engine = &mut self.engine;
        engine.request = None;
        engine.agreed = true;
        engine.model = Some(info);
        self.end_progress();
        let mut effects = match self.engine.phase {
            Phase::Answering => self.generate(),
            // It goes on when somebody looks.
            Phase::Paused => Vec::new(),
            _ => {
                self.engine.phase = Phase::Ready;
                self.engine.recovering = false;
                self.engine.restarts = 0;
                Vec::new()
            }
        };
        if self.engine.device.is_none() {
            let id = self.engine.next_id();
            effects.push(Effect::Post(Request::DescribeDevice { id }));
        }
        effects
    }

    fn cancel_download(&self) -> Vec<Effect> {
        match self.engine.request {
            Some(id) if self.engine.phase == Phase::Loading && self.engine.greeted => {
                vec![Effect::Post(Request::Cancel { id })]
            }
            _ => Vec::new(),
        }
    }

    /// A load was cancelled: what has arrived is stored, and the rest is offered again.
    pub(super) fn on_load_cancelled(&mut self) -> Vec<Effect> {
        self.engine.agreed = false;
        self.engine.recovering = false;
        self.end_progress();
        self.inspect()
    }

    pub(super) fn retry(&mut self) -> Vec<Effect> {
        match self.engine.phase {
            Phase::Failed => {
                self.engine.fault = None;
                self.engine.restarts = 0;
                if self.engine.greeted {
                    self.begin()
                } else {
                    self.engine.phase = Phase::Starting;
                    vec![Effect::Spawn]
                }
            }
            Phase::Ready if self.engine.fault.is_some() => self.retry_answer(),
            _ => Vec::new(),
        }
    }

    /// Looks at the download's speed, about once a second.
    pub(super) fn measure_download(&mut self) {
        let now = self.clock.steady_millis;
        let engine = &mut self.engine;
        let Some(progress) = engine
            .progress
            .filter(|progress| progress.stage == LoadStage::Download)
        else {
            engine.rate = None;
            engine.rate_mark = None;
            return;
        };
        let fetched = progress.fetched_bytes.get();
        let Some((bytes, since)) = engine.rate_mark else {
            engine.rate_mark = Some((fetched, now));
            return;
        };
        if now - since < RATE_MILLIS {
            return;
        }
        engine.rate_mark = Some((fetched, now));
        let newest = fetched.saturating_sub(bytes) as f64 * 1000.0 / (now - since);
        let bytes_per_second = engine.rate.map_or(newest, |rate| {
            rate.bytes_per_second + RATE_WEIGHT * (newest - rate.bytes_per_second)
        });
        let missing = progress
            .bytes_total
            .get()
            .saturating_sub(progress.bytes_done.get());
        engine.rate = (bytes_per_second >= 1.0).then(|| Rate {
            bytes_per_second,
            seconds_left: missing as f64 / bytes_per_second,
        });
    }

    pub(super) const fn end_progress(&mut self) {
        self.engine.progress = None;
        self.engine.rate = None;
        self.engine.rate_mark = None;
        self.engine.network_trouble = false;
    }

    // ---- chores

    pub(super) fn ask_storage(&mut self) -> Vec<Effect> {
        if !self.engine.greeted {
            return Vec::new();
        }
        let id = self.engine.next_id();
        self.engine.chores.push((id, Chore::Storage));
        vec![Effect::Post(Request::Storage { id })]
    }

    fn delete_model(&mut self, model_url: String) -> Vec<Effect> {
        let is_idle = matches!(
            self.engine.phase,
            Phase::Ready | Phase::Offer | Phase::Failed
        );
        if !is_idle || !self.engine.greeted {
            return Vec::new();
        }
        if model_url == self.model_url {
            self.engine.model = None;
            self.engine.offer = None;
            self.engine.fault = None;
            self.engine.agreed = false;
            self.engine.phase = Phase::Starting;
        }
        let id = self.engine.next_id();
        let chore = Chore::Delete(model_url.clone());
        self.engine.chores.push((id, chore));
        vec![Effect::Post(Request::DeleteModel { id, model_url })]
    }

    pub(super) fn take_chore(&mut self, id: RequestId) -> Option<Chore> {
        let chores = &mut self.engine.chores;
        let index = chores.iter().position(|(chore, _)| *chore == id)?;
        Some(chores.remove(index).1)
    }

    pub(super) fn on_chore(&mut self, chore: Chore, result: Result<Outcome, Fault>) -> Vec<Effect> {
        match (chore, result) {
            (_, Ok(Outcome::Storage(report))) => {
                self.environment.storage = Some(report);
                Vec::new()
            }
            // What the settings show stays as it was.
            (Chore::Storage, _) => Vec::new(),
            (Chore::Delete(url), result) => {
                self.notice = Some(match result {
                    Ok(Outcome::Deleted { bytes }) => Notice::ModelDeleted { bytes: bytes.get() },
                    Ok(other) => Notice::DeleteFailed {
                        detail: format!("the worker answered {other:?}"),
                    },
                    Err(fault) => Notice::DeleteFailed {
                        detail: fault.detail,
                    },
                });
                let mut effects = self.ask_storage();
                if url == self.model_url && self.engine.phase == Phase::Starting {
                    effects.extend(self.inspect());
                }
                effects
            }
        }
    }
}
