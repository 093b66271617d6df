//! The one request in the background: when it is begun, and what it yields to.

use protocol::{Fault, FaultCode, Outcome, Request, RequestId};

use super::super::{Effect, Phase, State};
use super::{CheckState, Running, Work};

impl State {
    /// Begins work in the background when nothing else is asked of the worker, and ends it when something is.
    pub(in crate::state) fn with_background(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        self.forget_what_is_used();
        let is_own = |id: RequestId| {
            let running = self.manager.running.as_ref();
            running.is_some_and(|running| running.id == id)
        };
        let is_asked = effects.iter().any(|effect| match effect {
            Effect::Post(request) => request.id().is_some_and(|id| !is_own(id)),
            _ => false,
        });
        let may_work = self.may_work() && !is_asked;
        if self.manager.running.is_some() {
            if !may_work {
                effects.extend(self.end_work());
            }
        } else if may_work {
            effects.extend(self.begin_work());
        }
        if self.can_manage() {
            effects.extend(self.remember_queue());
        }
        effects
    }

    /// A model that runs, or is being loaded, need not be downloaded for later.
    fn forget_what_is_used(&mut self) {
        let is_used = |state: &Self, index: usize| {
            let queued = state.manager.queue.get(index);
            queued.is_some_and(|queued| state.is_in_use(&queued.model.model_url))
        };
        for index in (0..self.manager.queue.len()).rev() {
            if is_used(self, index) {
                self.manager.queue.remove(index);
            }
        }
    }

    /// Whether the worker has nothing else to do.
    fn may_work(&self) -> bool {
        let engine = &self.engine;
        let is_idle = matches!(engine.phase, Phase::Ready | Phase::Offer | Phase::Failed);
        is_idle
            && engine.greeted
            && engine.supervisor.is_listening()
            && engine.request.is_none()
            && engine.chores.is_empty()
            && engine.checks.is_empty()
            && engine.deletion.is_none()
            && self.diagnosis.running.is_none()
    }

    fn begin_work(&mut self) -> Vec<Effect> {
        // A person waits for a check.
        let (work, model_url) = match (self.next_check(), self.next_download()) {
            (Some(url), _) => (Work::Check(url.clone()), url),
            (None, Some(url)) => (Work::Download(url.clone()), url),
            (None, None) => return Vec::new(),
        };
        let mut effects: Vec<Effect> = self.tell_online().into_iter().collect();
        let id = self.engine.next_id();
        effects.push(Effect::Post(match &work {
            Work::Check(_) => {
                if let Some(check) = self.manager.check.as_mut() {
                    check.state = CheckState::Running(None);
                }
                Request::VerifyModel { id, model_url }
            }
            Work::Download(_) => {
                self.count_begin(&model_url);
                Request::Download { id, model_url }
            }
        }));
        self.manager.running = Some(Running {
            id,
            work,
            is_ending: false,
        });
        effects
    }

    /// Cancels the request in the background, if there is one. It is begun again if it is still wanted then.
    pub(super) fn end_work(&mut self) -> Option<Effect> {
        let running = self.manager.running.as_mut()?;
        if std::mem::replace(&mut running.is_ending, true) {
            return None;
        }
        Some(Effect::Post(Request::Cancel { id: running.id }))
    }

    /// What a request was for, if it was one in the background. It has ended.
    pub(in crate::state) fn take_work(&mut self, id: RequestId) -> Option<Work> {
        let running = self.manager.running.take_if(|running| running.id == id);
        running.map(|running| running.work)
    }

    pub(in crate::state) fn on_worked(
        &mut self,
        work: Work,
        result: Result<Outcome, Fault>,
    ) -> Vec<Effect> {
        match (work, result) {
            (Work::Check(url), result) => self.on_checked(&url, result),
            (Work::Download(url), Ok(Outcome::Downloaded { .. })) => self.on_fetched(&url, Ok(())),
            (Work::Download(url), Err(fault)) => self.on_fetched(&url, Err(fault)),
            // Something else came first.
            (Work::Download(_), Ok(_)) => Vec::new(),
        }
    }

    /// The worker has died of something, perhaps of what it did in the background: that is not begun again by itself.
    pub(in crate::state) fn blame_work(&mut self, fault: &Fault) {
        if !matches!(fault.code, FaultCode::Trap | FaultCode::Silent) {
            return;
        }
        let Some(running) = self.manager.running.take() else {
            return;
        };
        match running.work {
            Work::Check(url) => {
                let check = self.manager.check.as_mut();
                if let Some(check) = check.filter(|check| check.model_url == url) {
                    check.state = CheckState::Failed(fault.clone());
                }
            }
            Work::Download(url) => self.fail_queued(&url, fault.clone()),
        }
    }

    /// The worker is gone, and with it what it did.
    pub(in crate::state) fn forget_work(&mut self) {
        self.manager.running = None;
        self.renew_check();
        let details = &mut self.manager.details;
        details.take_if(|details| details.result.is_none());
    }
}
