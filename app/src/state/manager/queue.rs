//! What is to be downloaded, one model after the other.

use protocol::{ByteCount, Fault, FaultCode, LoadProgress};
use serde::{Deserialize, Serialize};

use super::super::{Effect, Notice, Phase, State};
use super::Work;

/// Most models that may wait.
const MAX_QUEUED: usize = 32;
/// Pages that may have begun a download and ended before it got anywhere. What ends pages is not begun for ever.
const MAX_BEGUN: u32 = 5;
/// Bytes after which a download has got somewhere.
const SOMEWHERE_BYTES: u64 = 8 << 20;

/// A model that is to be downloaded, as later visits find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedModel {
    /// Its address, as an offer has it.
    pub model_url: String,
    /// Its name.
    pub name: String,
    /// Bytes of the download, when known.
    #[serde(default)]
    pub bytes: Option<ByteCount>,
    /// Whether the person lets it rest.
    #[serde(default)]
    pub is_paused: bool,
    /// How many pages have begun it since it got somewhere.
    #[serde(default)]
    pub n_begun: u32,
}

/// A model that is to be downloaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    /// Which one.
    pub model: QueuedModel,
    /// How far it is, as far as this page knows.
    pub progress: Option<LoadProgress>,
    /// Why it did not come. It is not tried again before the person wants it, or the connection is back.
    pub fault: Option<Fault>,
    /// Whether this page has begun it.
    is_begun: bool,
}

impl Queued {
    const fn new(model: QueuedModel) -> Self {
        Self {
            model,
            progress: None,
            fault: None,
            is_begun: false,
        }
    }

    /// It is so far.
    pub(super) const fn tell(&mut self, progress: LoadProgress) {
        if progress.fetched_bytes.get() >= SOMEWHERE_BYTES {
            self.model.n_begun = 0;
        }
        self.progress = Some(progress);
    }

    /// Whether it is to be downloaded as soon as it is its turn.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        !self.model.is_paused && self.fault.is_none()
    }
}

impl State {
    /// Puts a model at the end of the queue. One that is there already goes on.
    pub(super) fn queue_model(&mut self, model: QueuedModel) -> Vec<Effect> {
        if !self.can_manage() || self.is_in_use(&model.model_url) {
            return Vec::new();
        }
        if self.queued(&model.model_url).is_some() {
            return self.resume_queued(&model.model_url);
        }
        if self.manager.queue.len() >= MAX_QUEUED || model.model_url.is_empty() {
            return Vec::new();
        }
        self.note(&format!("to be downloaded: {}", model.model_url));
        self.manager.queue.push(Queued::new(model));
        vec![Effect::Persist]
    }

    /// The entry of the queue for a model.
    #[must_use]
    pub fn queued(&self, model_url: &str) -> Option<&Queued> {
        let mut queue = self.manager.queue.iter();
        queue.find(|queued| queued.model.model_url == model_url)
    }

    /// Whether this model is being downloaded for later now.
    #[must_use]
    pub fn is_fetching(&self, model_url: &str) -> bool {
        let running = self.manager.running.as_ref();
        running.is_some_and(|running| running.work == Work::Download(model_url.to_owned()))
    }

    /// Whether any model is being downloaded for later now.
    pub(in crate::state) fn is_fetching_any(&self) -> bool {
        let running = self.manager.running.as_ref();
        running.is_some_and(|running| matches!(running.work, Work::Download(_)))
    }

    fn change_queued(&mut self, model_url: &str, change: impl FnOnce(&mut Queued)) -> bool {
        if !self.can_manage() {
            return false;
        }
        let mut queue = self.manager.queue.iter_mut();
        let queued = queue.find(|queued| queued.model.model_url == model_url);
        queued.map(change).is_some()
    }

    pub(super) fn pause_queued(&mut self, model_url: &str) -> Vec<Effect> {
        if !self.change_queued(model_url, |queued| queued.model.is_paused = true) {
            return Vec::new();
        }
        self.end_download_of(model_url)
    }

    pub(super) fn resume_queued(&mut self, model_url: &str) -> Vec<Effect> {
        self.change_queued(model_url, |queued| {
            queued.model.is_paused = false;
            queued.model.n_begun = 0;
            queued.fault = None;
        });
        Vec::new()
    }

    /// Takes a model out of the queue. What has come of it stays, and is listed with the stored models.
    pub(in crate::state) fn remove_queued(&mut self, model_url: &str) -> Vec<Effect> {
        if self.queued(model_url).is_none() || !self.can_manage() {
            return Vec::new();
        }
        let queue = &mut self.manager.queue;
        queue.retain(|queued| queued.model.model_url != model_url);
        let mut effects = self.end_download_of(model_url);
        effects.extend(self.ask_storage());
        effects
    }

    fn end_download_of(&mut self, model_url: &str) -> Vec<Effect> {
        if self.is_fetching(model_url) {
            self.end_work().into_iter().collect()
        } else {
            Vec::new()
        }
    }

    /// What another tab may have changed while it had the engine.
    pub(in crate::state) fn recall_queue(&mut self, models: Vec<QueuedModel>) {
        if self.engine.phase == Phase::Elsewhere {
            return;
        }
        self.manager.told.clone_from(&models);
        self.manager.queue = models.into_iter().map(Queued::new).collect();
        for queued in &mut self.manager.queue {
            queued.model.is_paused |= queued.model.n_begun >= MAX_BEGUN;
        }
    }

    /// A download is begun. Whatever follows, the next page knows that this one had.
    pub(super) fn count_begin(&mut self, model_url: &str) {
        self.change_queued(model_url, |queued| {
            if !std::mem::replace(&mut queued.is_begun, true) {
                queued.model.n_begun = queued.model.n_begun.saturating_add(1);
            }
        });
    }

    pub(super) fn fail_queued(&mut self, model_url: &str, fault: Fault) {
        self.note_now(&format!("not downloaded: {model_url}: {}", fault.detail));
        self.change_queued(model_url, |queued| queued.fault = Some(fault));
    }

    /// What came of a download.
    pub(super) fn on_fetched(&mut self, model_url: &str, result: Result<(), Fault>) -> Vec<Effect> {
        let queue = &mut self.manager.queue;
        let at = queue
            .iter()
            .position(|queued| queued.model.model_url == model_url);
        let Some(at) = at else { return Vec::new() };
        self.end_trouble();
        match result {
            Ok(()) => {
                let name = self.manager.queue.remove(at).model.name;
                self.note(&format!("downloaded for later: {model_url}"));
                self.notice = Some(Notice::ModelFetched { name });
            }
            Err(fault) => self.fail_queued(model_url, fault),
        }
        self.ask_storage()
    }

    /// Whatever failed for want of a connection is tried again.
    pub(in crate::state) fn retry_queue(&mut self) {
        for queued in &mut self.manager.queue {
            let is_of_network =
                |fault: &mut Fault| matches!(fault.code, FaultCode::Network | FaultCode::WebPage);
            queued.fault.take_if(is_of_network);
        }
    }

    /// The model that is to be downloaded next.
    pub(super) fn next_download(&self) -> Option<String> {
        let mut queue = self.manager.queue.iter();
        let next = queue.find(|queued| queued.is_waiting());
        next.map(|queued| queued.model.model_url.clone())
    }

    /// Has later visits find the queue as it is, if it has changed.
    pub(super) fn remember_queue(&mut self) -> Option<Effect> {
        let queue = self.manager.queue.iter();
        let models: Vec<_> = queue.map(|queued| queued.model.clone()).collect();
        if models == self.manager.told {
            return None;
        }
        self.manager.told.clone_from(&models);
        Some(Effect::RememberQueue(models))
    }
}
