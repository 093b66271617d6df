//! The model and the worker that runs it, as the page knows them.

use protocol::supervisor::{Policy, Supervisor};
use protocol::{
    Budget, DeviceReport, Fault, FetchTrouble, LoadProgress, ModelInfo, ModelOffer, RequestId,
    Settings,
};

use super::loading::Chore;
use super::{Look, Setback};

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The worker has not spoken yet, or looks what is stored.
    Starting,
    /// The model is not stored completely: the person is asked before it is downloaded. See [`Engine::offer`].
    Offer,
    /// The model is being loaded; downloaded first, if need be.
    Loading,
    /// A question can be asked.
    Ready,
    /// A question is being answered; a lost device or a dead worker may be replaced meanwhile.
    Answering,
    /// An answer waits until the page is visible again.
    Paused,
    /// Nothing goes on until the person does something. See [`Engine::fault`].
    Failed,
    /// Another tab has the engine. Chats can be read; [`crate::Action::UseHere`] takes it.
    Elsewhere,
}

/// The model and the worker that runs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    /// What is going on.
    pub phase: Phase,
    /// What went wrong last, until the person goes on.
    pub fault: Option<Fault>,
    /// What is known of the model before it is loaded.
    pub offer: Option<ModelOffer>,
    /// What became of an address that the person wrote, or of files that were chosen.
    pub look: Option<Look>,
    /// The address that was looked up last.
    pub look_address: String,
    /// Whether it is to be looked up again, as soon as that is possible.
    pub(super) looks_again: bool,
    /// How far loading is.
    pub progress: Option<LoadProgress>,
    /// How fast the download is; absent while that can't be said.
    pub rate: Option<Rate>,
    /// The loaded model.
    pub model: Option<ModelInfo>,
    /// What the worker runs on.
    pub device: Option<DeviceReport>,
    /// Whether a lost device or a dead worker is being replaced.
    pub recovering: bool,
    /// What was wrong with a file that will be fetched again.
    pub trouble: Option<FetchTrouble>,
    /// Until when that is so for certain: the other files that are fetched at the same time may come well.
    pub(super) trouble_until: f64,
    /// Whether the person lets the download rest.
    pub download_paused: bool,
    /// The answer of which the worker said that the device has become slow at it.
    pub(super) slowed: Option<RequestId>,
    /// What the worker believes about the connection.
    pub(super) told_online: bool,
    /// By what the worker judges models; absent = by the defaults.
    pub(super) told_budget: Option<(Budget, Settings)>,
    /// How many tokens a second the worker thinks that it may make.
    pub(super) told_rate: u32,
    pub(super) last_id: u32,
    /// The inspection, load or answer that the worker works on.
    pub(super) request: Option<RequestId>,
    /// Which of them it is.
    pub(super) job: Job,
    pub(super) checks: Vec<(RequestId, u32)>,
    /// Questions about storage and deletions under way.
    pub(super) chores: Vec<(RequestId, Chore)>,
    /// Whether the browser has not said yet which tab may have the engine.
    pub(super) waits_for_lock: bool,
    /// Whether the person had this tab take the engine from one that was running.
    pub(super) was_taken: bool,
    /// Whether the worker and the page have greeted each other.
    pub(super) greeted: bool,
    /// Whether the person has agreed to a download, so that a new worker need not ask again.
    pub(super) agreed: bool,
    /// Whether the person wants the running answer to end.
    pub(super) stopping: bool,
    /// Decides about lost devices and dead workers.
    pub(super) supervisor: Supervisor,
    /// What was lost last, in words for when nothing helps.
    pub(super) loss: Option<Fault>,
    /// What led to the configuration in use, if it is a smaller one.
    pub(super) setback: Setback,
    /// Up to which configuration the person was told.
    pub(super) told_level: u32,
    /// Context of the model when nothing is given up.
    pub(super) full_context: u32,
    /// Whether the model is to be loaded as soon as the database is open.
    pub(super) waits_for_database: bool,
    /// A model that is to be deleted as soon as there is a worker.
    pub(super) deletion: Option<String>,
    /// Fetched bytes and steady time when the rate was last looked at.
    pub(super) rate_mark: Option<(u64, f64)>,
}

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Starting,
            fault: None,
            offer: None,
            look: None,
            look_address: String::new(),
            looks_again: false,
            progress: None,
            rate: None,
            model: None,
            device: None,
            recovering: false,
            trouble: None,
            trouble_until: 0.0,
            download_paused: false,
            slowed: None,
            told_online: true,
            told_budget: None,
            told_rate: 0,
            last_id: 0,
            request: None,
            job: Job::Inspect,
            checks: Vec::new(),
            chores: Vec::new(),
            waits_for_lock: true,
            was_taken: false,
            greeted: false,
            agreed: false,
            stopping: false,
            supervisor: Supervisor::new(Policy::default()),
            loss: None,
            setback: Setback::default(),
            told_level: 0,
            full_context: 0,
            waits_for_database: false,
            deletion: None,
            rate_mark: None,
        }
    }

    /// Numbers a request that the worker is to work on, in place of what it worked on before.
    pub(super) const fn begin(&mut self, job: Job) -> RequestId {
        let id = self.next_id();
        self.request = Some(id);
        self.job = job;
        id
    }

    pub(super) const fn next_id(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }
}

/// How fast a download is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Bytes a second, smoothed.
    pub bytes_per_second: f64,
    /// Seconds until the end at this speed.
    pub seconds_left: f64,
}

/// What the worker works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Looks what is stored.
    Inspect,
    /// Loads the model.
    Load,
    /// Answers.
    Answer,
}
