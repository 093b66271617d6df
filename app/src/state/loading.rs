//! The way to a model: the lock, the look at what is stored, the offer, the download.

use protocol::supervisor;
use protocol::{Fault, FaultCode, Outcome, Request, RequestId, is_of_files};

use super::engine::Job;
use super::{Action, Database, DbRequest, Effect, Finish, Notice, Phase, State, Step};

/// Something the worker does beside loading and answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chore {
    /// Lists the stored models.
    Storage,
    /// Deletes the model of this URL.
    Delete(String),
    /// Looks what lies at an address, or what files are.
    Look,
    /// Makes one file of the model of this URL.
    Save(String),
    /// Says what is known of the model of this URL.
    Describe(String),
}

impl State {
    pub(super) fn on_loading(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::EngineLock(true) => self.lock_given(),
            Action::EngineLock(false) => self.lock_elsewhere(),
            Action::UseHere if self.engine.phase == Phase::Elsewhere => {
                self.engine.was_taken = true;
                vec![Effect::ClaimEngine { steal: true }]
            }
            Action::Download if self.engine.phase == Phase::Offer => {
                self.engine.agreed = true;
                self.must_ask = false;
                let mut effects = vec![Effect::Persist];
                effects.extend(self.load());
                effects
            }
            Action::CancelDownload | Action::PauseDownload | Action::ResumeDownload => {
                self.on_download(&action)
            }
            Action::Retry => self.retry(),
            Action::DeleteModel(url) => self.delete_model(url),
            _ => Vec::new(),
        }
    }

    fn lock_given(&mut self) -> Vec<Effect> {
        let is_first = std::mem::take(&mut self.engine.waits_for_lock);
        let mut effects = match self.engine.phase {
            Phase::Starting if is_first => self.supervise(supervisor::Event::Start),
            // The other tab may have written meanwhile.
            Phase::Elsewhere => {
                self.engine.phase = Phase::Starting;
                let mut effects = self.supervise(supervisor::Event::Start);
                effects.push(Effect::Db(DbRequest::Open));
                effects.push(Effect::RecallQueue);
                effects
            }
            _ => Vec::new(),
        };
        effects.extend(self.hear_database());
        effects
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
        self.leave_flight();
        self.saving.is_foreign = true;
        self.engine.fault = None;
        self.engine.recovering = false;
        self.engine.phase = Phase::Elsewhere;
        effects.extend(self.supervise(supervisor::Event::Shutdown));
        effects.extend(self.hear_database());
        effects
    }

    /// The database has said what it had to say, for which loading had to wait.
    pub(super) fn load_late(&mut self) -> Vec<Effect> {
        if std::mem::take(&mut self.engine.waits_for_database) {
            self.load()
        } else {
            Vec::new()
        }
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

    pub(super) fn inspect(&mut self) -> Vec<Effect> {
        let id = self.engine.begin(Job::Inspect);
        self.engine.model = None;
        self.engine.phase = Phase::Starting;
        let model_url = self.model_url.clone();
        let budget = self.tell_budget().into_iter();
        budget
            .chain([Effect::Post(Request::Inspect { id, model_url })])
            .collect()
    }

    /// Asks for the model. An answer that waits for it keeps its phase.
    pub(super) fn load(&mut self) -> Vec<Effect> {
        let may_be_read = !matches!(self.environment.database, Database::Failed { .. });
        if may_be_read && !self.recorder.is_known {
            // What ended an earlier page is not known yet.
            self.engine.waits_for_database = true;
            return Vec::new();
        }
        if self.asks_first() {
            return Vec::new();
        }
        // A download ends no page, but people close one that takes long: its upload is marked when it begins.
        let offer = self.engine.offer.as_ref();
        if offer.is_none_or(|offer| offer.complete) {
            self.mark(Step::Load);
        }
        let id = self.engine.begin(Job::Load);
        self.engine.model = None;
        self.end_progress();
        if !matches!(self.engine.phase, Phase::Answering | Phase::Paused) {
            self.engine.phase = Phase::Loading;
        }
        let (model_url, settings) = (self.model_url.clone(), self.settings());
        let load = Effect::Post(Request::Load {
            id,
            model_url,
            settings,
        });
        let online = self.tell_online();
        let budget = self.tell_budget();
        online
            .into_iter()
            .chain(budget)
            .chain([load])
            .chain(self.rest(id))
            .collect()
    }

    /// What the look at the stored model gave.
    pub(super) fn on_inspected(&mut self, offer: protocol::ModelOffer) -> Vec<Effect> {
        let is_complete = offer.complete;
        self.engine.offer = Some(offer);
        self.engine.request = None;
        self.engine.recovering = false;
        self.end_trouble();
        if is_complete {
            return self.load();
        }
        self.engine.phase = Phase::Offer;
        let offer = self.engine.offer.as_ref();
        // What could go is told with it.
        if offer.is_some_and(|offer| offer.missing_bytes.get() > 0) {
            return self.ask_storage();
        }
        Vec::new()
    }

    pub(super) fn on_loaded(&mut self, info: protocol::ModelInfo) -> Vec<Effect> {
        self.learn_from_load(&info);
        let engine = &mut self.engine;
        engine.request = None;
        engine.agreed = true;
        if engine.supervisor.level() == 0 {
            engine.full_context = info.context;
        }
        let times = info.times;
        let line = format!(
            "model loaded in {:.0} ms: device {:.0}, read {:.0}, upload {:.0}, prepare {:.0}",
            info.load_millis,
            times.device_millis,
            times.read_millis,
            times.upload_millis,
            times.prepare_millis
        );
        let test = info.self_test.clone();
        let context = info.context;
        if let Some(offer) = engine.offer.as_mut() {
            // Another load of it downloads nothing.
            offer.complete |= info.cached;
        }
        engine.model = Some(info);
        self.note(&line);
        self.tell_smaller(context);
        self.note_self_test(&test);
        self.unmark();
        self.end_progress();
        self.engine.download_paused = false;
        let generation = self.engine.supervisor.generation();
        let mut effects = self.supervise(supervisor::Event::Loaded(generation));
        if self.is_of_files() {
            effects.push(Effect::RememberModel(self.model_url.clone()));
        }
        match self.engine.phase {
            Phase::Answering => effects.extend(self.generate()),
            // It goes on when somebody looks.
            Phase::Paused => {}
            _ => {
                self.engine.phase = Phase::Ready;
                self.engine.recovering = false;
                self.note_recovered("the model is back");
            }
        }
        if self.engine.device.is_none() {
            let id = self.engine.next_id();
            effects.push(Effect::Post(Request::DescribeDevice { id }));
        }
        effects
    }

    /// A load was cancelled: what has arrived is stored, and the rest is offered again.
    pub(super) fn on_load_cancelled(&mut self) -> Vec<Effect> {
        self.engine.agreed = false;
        self.engine.recovering = false;
        self.unmark();
        self.end_progress();
        self.engine.download_paused = false;
        self.inspect()
    }

    pub(super) fn retry(&mut self) -> Vec<Effect> {
        match self.engine.phase {
            Phase::Failed => {
                let fault = self.engine.fault.take();
                if fault.is_some_and(|fault| fault.code == FaultCode::Killed) {
                    self.must_ask = false;
                }
                if self.engine.greeted {
                    return self.begin();
                }
                self.engine.phase = Phase::Starting;
                self.supervise(supervisor::Event::Retry)
            }
            // Whoever wants to need not wait.
            _ if self.engine.supervisor.waits_until().is_some() => {
                self.supervise(supervisor::Event::Retry)
            }
            Phase::Ready if self.engine.fault.is_some() => self.retry_answer(),
            _ => Vec::new(),
        }
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

    /// Deletes a model, now or as soon as there is a worker. While the model is being brought back after a loss that ends an
    /// answer; a healthy one is stopped first by whoever wants that.
    fn delete_model(&mut self, model_url: String) -> Vec<Effect> {
        let engine = &self.engine;
        let is_idle = matches!(engine.phase, Phase::Ready | Phase::Offer | Phase::Failed);
        let is_possible = engine.recovering || is_idle && engine.greeted;
        if !is_possible {
            return Vec::new();
        }
        let mut effects = self.remove_queued(&model_url);
        if model_url == self.model_url {
            effects.extend(self.put_aside());
            // A load that is under way would only delay it.
            if let Some(id) = self.engine.request.take() {
                effects.push(Effect::Post(Request::Cancel { id }));
            }
            self.unmark();
            self.engine.model = None;
            self.engine.offer = None;
            self.engine.fault = None;
            self.engine.agreed = false;
            self.engine.download_paused = false;
            self.engine.recovering = false;
            self.engine.phase = Phase::Starting;
        }
        if self.engine.greeted && self.engine.supervisor.is_listening() {
            effects.extend(self.post_deletion(model_url));
        } else {
            self.engine.deletion = Some(model_url);
        }
        effects
    }

    pub(super) fn post_deletion(&mut self, model_url: String) -> Vec<Effect> {
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
            (Chore::Look, result) => self.on_looked(result),
            (Chore::Save(_), result) => self.on_saved(result),
            (Chore::Describe(url), result) => {
                self.on_described(&url, result);
                Vec::new()
            }
            (_, Ok(Outcome::Storage(report))) => {
                self.environment.storage = Some(report);
                Vec::new()
            }
            // What the settings show stays as it was.
            (Chore::Storage, _) => Vec::new(),
            (Chore::Delete(url), result) => {
                let is_deleted = matches!(result, Ok(Outcome::Deleted { .. }));
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
                if is_deleted && is_of_files(&url) {
                    effects.push(Effect::ForgetModel(url.clone()));
                }
                if url == self.model_url && self.engine.phase == Phase::Starting {
                    if is_deleted && is_of_files(&url) {
                        // No address leads back to it.
                        self.model_url.clone_from(&self.usual_url);
                    }
                    effects.extend(self.inspect());
                }
                effects.extend(self.look_for_room());
                effects
            }
        }
    }
}
