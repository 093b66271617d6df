//! A stored model whose files are compared again.

use protocol::{Fault, LoadProgress, Outcome};

use super::super::{Effect, State};
use super::Work;

/// A check of a stored model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCheck {
    /// Address of the model.
    pub model_url: String,
    /// What became of it.
    pub state: CheckState,
}

/// What became of a check.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckState {
    /// It is begun as soon as nothing else is asked of the worker.
    Waiting,
    /// Files are being read.
    Running(Option<LoadProgress>),
    /// What was found.
    Done(protocol::VerifyReport),
    /// It could not be made.
    Failed(Fault),
}

impl CheckState {
    /// Whether it is still to come to its end.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Waiting | Self::Running(_))
    }
}

impl State {
    pub(super) fn check_model(&mut self, model_url: String) -> Vec<Effect> {
        let check = self.manager.check.as_ref();
        let is_busy = check.is_some_and(|check| check.state.is_open());
        if is_busy || !self.can_manage() {
            return Vec::new();
        }
        self.manager.check = Some(ModelCheck {
            model_url,
            state: CheckState::Waiting,
        });
        // A download that runs makes room for it.
        self.end_work().into_iter().collect()
    }

    pub(super) fn cancel_check(&mut self) -> Vec<Effect> {
        self.manager.check.take_if(|check| check.state.is_open());
        let running = self.manager.running.as_ref();
        if running.is_some_and(|running| matches!(running.work, Work::Check(_))) {
            return self.end_work().into_iter().collect();
        }
        Vec::new()
    }

    pub(super) fn on_checked(
        &mut self,
        model_url: &str,
        result: Result<Outcome, Fault>,
    ) -> Vec<Effect> {
        let check = self.manager.check.as_mut();
        let Some(check) = check.filter(|check| check.model_url == model_url) else {
            return Vec::new();
        };
        check.state = match result {
            Ok(Outcome::Verified(report)) => CheckState::Done(report),
            Err(fault) => CheckState::Failed(fault),
            // Something else came first.
            Ok(_) => CheckState::Waiting,
        };
        let line = match &check.state {
            CheckState::Done(report) => format!(
                "checked {model_url}: {} files, {} repaired, {} broken",
                report.files,
                report.repaired.len(),
                report.broken.len()
            ),
            CheckState::Failed(fault) => format!("not checked: {model_url}: {}", fault.detail),
            CheckState::Waiting | CheckState::Running(_) => return Vec::new(),
        };
        self.note(&line);
        self.end_trouble();
        self.ask_storage()
    }

    /// The check that is to be begun.
    pub(super) fn next_check(&self) -> Option<String> {
        let check = self.manager.check.as_ref();
        let waiting = check.filter(|check| check.state == CheckState::Waiting);
        waiting.map(|check| check.model_url.clone())
    }

    /// A check that was under way begins again with the next worker.
    pub(super) fn renew_check(&mut self) {
        let check = self.manager.check.as_mut();
        if let Some(check) = check.filter(|check| check.state.is_open()) {
            check.state = CheckState::Waiting;
        }
    }
}
