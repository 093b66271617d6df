//! Models beside the one that runs: what is to be downloaded, what is being checked, and what a sheet shows of one.
//!
//! Downloads and checks are work in the background. The worker does one thing after the other, so there is at most one such request,
//! and it yields: whenever anything else is asked of the worker, the request in the background is cancelled at once, which costs
//! nothing that has come. It is begun again when nothing else is asked for.

mod background;
mod check;
mod queue;

use protocol::{Fault, LoadProgress, ModelDetails, Outcome, Request, RequestId};

pub use check::{CheckState, ModelCheck};
pub use queue::{Queued, QueuedModel};

use super::loading::Chore;
use super::{Action, Effect, Phase, State};

/// What is known of models beside the one that runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Manager {
    /// What is to be downloaded, in order.
    pub queue: Vec<Queued>,
    /// The model that is checked, or was checked last.
    pub check: Option<ModelCheck>,
    /// The model whose details were asked for last.
    pub details: Option<Details>,
    /// What the worker is doing in the background.
    pub(super) running: Option<Running>,
    /// The queue as later visits find it.
    pub(super) told: Vec<QueuedModel>,
}

/// The details of a model, or that they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Address of the model.
    pub model_url: String,
    /// What the worker said; absent before.
    pub result: Option<Result<ModelDetails, Fault>>,
}

/// A request in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::state) struct Running {
    id: RequestId,
    work: Work,
    /// Whether it was cancelled, to be begun again or not.
    is_ending: bool,
}

/// What it is for, by the address of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::state) enum Work {
    Download(String),
    Check(String),
}

impl State {
    pub(super) fn on_manager(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::QueueModel(model) => self.queue_model(model),
            Action::PauseQueued(url) => self.pause_queued(&url),
            Action::ResumeQueued(url) => self.resume_queued(&url),
            Action::RemoveQueued(url) => self.remove_queued(&url),
            Action::QueueRecalled(models) => {
                self.recall_queue(models);
                Vec::new()
            }
            Action::CheckModel(url) => self.check_model(url),
            Action::CancelCheck => self.cancel_check(),
            Action::DescribeModel(url) => self.describe_model(url),
            _ => Vec::new(),
        }
    }

    /// Whether the queue may be changed here, and stored models be checked: not while another tab has the engine.
    #[must_use]
    pub fn can_manage(&self) -> bool {
        self.engine.phase != Phase::Elsewhere
    }

    fn describe_model(&mut self, model_url: String) -> Vec<Effect> {
        if !self.can_choose() {
            return Vec::new();
        }
        let id = self.engine.next_id();
        let chore = Chore::Describe(model_url.clone());
        self.engine.chores.push((id, chore));
        self.manager.details = Some(Details {
            model_url: model_url.clone(),
            result: None,
        });
        vec![Effect::Post(Request::DescribeModel { id, model_url })]
    }

    pub(super) fn on_described(&mut self, model_url: &str, result: Result<Outcome, Fault>) {
        let details = self.manager.details.as_mut();
        let Some(details) = details.filter(|details| details.model_url == model_url) else {
            return;
        };
        details.result = match result {
            Ok(Outcome::ModelDescribed(model)) => Some(Ok(model)),
            Err(fault) => Some(Err(fault)),
            Ok(_) => None,
        };
    }

    /// Whether the loaded model, or the one that is being loaded, is this one.
    #[must_use]
    pub fn is_in_use(&self, model_url: &str) -> bool {
        let is_wanted = self.engine.model.is_some() || self.engine.phase == Phase::Loading;
        is_wanted && self.model_url == model_url
    }

    /// How far work in the background is.
    pub(super) fn on_work_progress(&mut self, id: RequestId, progress: LoadProgress) -> bool {
        let Some(running) = self.manager.running.as_ref() else {
            return false;
        };
        if running.id != id {
            return false;
        }
        match &running.work {
            Work::Download(url) => {
                let mut queue = self.manager.queue.iter_mut();
                let queued = queue.find(|queued| queued.model.model_url == *url);
                if let Some(queued) = queued {
                    queued.tell(progress);
                }
            }
            Work::Check(url) => {
                let check = self.manager.check.as_mut();
                if let Some(check) = check.filter(|check| check.model_url == *url) {
                    check.state = CheckState::Running(Some(progress));
                }
            }
        }
        if self.clock.steady_millis >= self.engine.trouble_until {
            self.engine.trouble = None;
        }
        true
    }
}
