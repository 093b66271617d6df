//! The state and how it changes.

mod action;
mod announce;
mod answering;
mod budget;
mod chats;
mod chatting;
mod choosing;
mod diagnosis;
mod download;
mod effect;
mod engine;
mod environment;
mod hosts;
pub mod limits;
mod loading;
mod manager;
mod notice;
mod opening;
mod preferences;
mod random;
mod reading;
mod recorder;
mod saving;
mod select;
mod sentinel;
mod supervise;
mod surroundings;
mod transfer;
mod turn;
mod worker;

use std::collections::{BTreeMap, BTreeSet};

pub use action::{Action, Check};
pub use budget::Learnt;
pub use chats::{Chat, ChatHead, ChatId, ChatIdError, Chats, StoredChat, Undo};
pub use choosing::Look;
pub use diagnosis::{Diagnosis, Progress, Trial};
pub use effect::{Change, DbEvent, DbRequest, Effect, ReadPurpose};
pub use engine::{Engine, Phase, Rate};
pub use environment::{Clock, Database, Environment};
pub use hosts::{HostProblem, Hosts, Resume};
pub use manager::{CheckState, Details, Manager, ModelCheck, Queued, QueuedModel};
pub use notice::{ImportReport, Notice, Setback};
pub use opening::Opening;
pub use preferences::{Preferences, SAVING_TOKENS_PER_SECOND, TextSize, Theme};
pub use recorder::{Entry, Flight, MAX_ENTRIES, Recorder};
pub use sentinel::{Sentinel, Step};
pub use transfer::{EXPORT_FORMAT, EXPORT_VERSION};
pub use turn::{Answer, Finish, Turn};

use crate::Switches;
use random::Random;

/// Milliseconds between two [`Action::Tick`]s. A running answer is stored with every tick.
pub const TICK_MILLIS: u32 = protocol::supervisor::Policy::TICK_MILLIS;
/// How long a deleted chat can be brought back.
pub const UNDO_MILLIS: f64 = 8000.0;

/// Everything that the page knows. Views read it; it changes through [`State::on`] only.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What is on the screen.
    pub screen: Screen,
    /// The chats.
    pub chats: Chats,
    /// The model and its worker.
    pub engine: Engine,
    /// Models beside the one that runs.
    pub manager: Manager,
    /// What was found out on request.
    pub diagnosis: Diagnosis,
    /// What the person chose for all chats.
    pub preferences: Preferences,
    /// Where the page runs.
    pub environment: Environment,
    /// Servers that the person has allowed.
    pub hosts: Hosts,
    /// The chat that was just deleted, while it can be brought back.
    pub undo: Option<Undo>,
    /// What was put into the clipboard.
    pub copying: Copying,
    /// Something the person should read once.
    pub notice: Option<Notice>,
    /// Whether everything is being erased; nothing else is heard meanwhile.
    pub erasing: bool,
    switches: Switches,
    model_url: String,
    usual_url: String,
    random: Random,
    clock: Clock,
    last_key: u32,
    /// Chats whose title was taken away, and whose first question is being read to be the title.
    untitled: BTreeSet<ChatId>,
    /// Whether the chat on the screen is the one of before the page was loaded again, be it a new one.
    resumes_chat: bool,
    /// Turns of chats that are not open and that the database may not hold.
    shelf: BTreeMap<ChatId, Vec<Turn>>,
    saving: saving::Saving,
    /// What the database said before it was known which tab has the engine.
    unheard: Option<DbEvent>,
    /// Up to which byte the running answer has been read out.
    announced: usize,
    /// Whether the screen is kept on.
    awake: bool,
    recorder: Recorder,
    /// What is being done that has ended pages before.
    sentinel: Option<Sentinel>,
    /// The same, while nobody looks.
    hidden_sentinel: Option<Sentinel>,
    /// What models have taken of this device.
    learnt: Learnt,
    /// How many pages in a row ended in such a step.
    kills: u32,
    /// Whether that is too many to go on without asking.
    must_ask: bool,
    /// Whether the model has made a token in this page.
    has_answered: bool,
    /// Since when device or worker are missing.
    lost_at: Option<f64>,
}

/// Texts on their way to the clipboard, by their numbers, so that the button behind one can tell what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copying {
    /// The text that was put there last, as far as it is known.
    pub done: u32,
    /// The text that was asked for last.
    pub asked: u32,
}

/// What is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Screen {
    /// The conversation.
    #[default]
    Chat,
    /// The settings.
    Settings,
    /// What device and app can do, and what happened lately.
    Diagnostics,
}

impl State {
    /// Takes what happened and says what to do, in order.
    #[must_use]
    pub fn on(&mut self, action: Action) -> Vec<Effect> {
        if self.erasing {
            return match action {
                Action::Erased(result) => self.erased(result),
                Action::Tick(clock) => {
                    self.clock = clock;
                    Vec::new()
                }
                _ => Vec::new(),
            };
        }
        let before = self.screen;
        let effects = self.act(action);
        let effects = self.with_look(effects);
        let effects = self.with_questions(effects);
        let effects = self.with_address(before, effects);
        let effects = self.with_background(effects);
        self.save_recorder();
        let effects = self.with_writes(effects);
        self.with_wake_lock(effects)
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Send { .. }
            | Action::Stop
            | Action::Regenerate
            | Action::Continue
            | Action::EditAndResend { .. } => self.on_answering(action),
            Action::NewChat
            | Action::OpenChat(_)
            | Action::RenameChat { .. }
            | Action::DeleteChat(_)
            | Action::UndoDelete
            | Action::SetSystemPrompt(_)
            | Action::SetSampling(_)
            | Action::ResetSampling => self.on_chatting(action),
            Action::Download
            | Action::PauseDownload
            | Action::ResumeDownload
            | Action::CancelDownload
            | Action::Retry
            | Action::UseHere
            | Action::EngineLock(_)
            | Action::DeleteModel(_) => self.on_loading(action),
            Action::LookUp(_)
            | Action::ChoosePrecision(_)
            | Action::PickModelFiles
            | Action::FilesChosen(_)
            | Action::SaveModel(_)
            | Action::UseModel(_) => self.on_choosing(action),
            Action::QueueModel(_)
            | Action::PauseQueued(_)
            | Action::ResumeQueued(_)
            | Action::RemoveQueued(_)
            | Action::QueueRecalled(_)
            | Action::CheckModel(_)
            | Action::CancelCheck
            | Action::DescribeModel(_) => self.on_manager(action),
            Action::AllowHost(_)
            | Action::ForgetHost(_)
            | Action::HostsRead(_)
            | Action::HostsStored(_) => self.on_hosts(action),
            Action::OpenSettings
            | Action::CloseSettings
            | Action::SetTheme(_)
            | Action::SetTextSize(_)
            | Action::SaveEnergy(_)
            | Action::ToggleSidebar
            | Action::SetSidebar(_)
            | Action::DismissInstallHint
            | Action::DismissNotice => self.on_preference(action),
            Action::PickImport
            | Action::Import(_)
            | Action::ExportAll
            | Action::ExportChat(_)
            | Action::SaveFailed(_)
            | Action::EraseEverything
            | Action::Erased(_) => self.on_transfer(action),
            Action::OpenDiagnostics
            | Action::CloseDiagnostics
            | Action::Address { .. }
            | Action::Try(_)
            | Action::CancelTrial
            | Action::LoseDevice
            | Action::SaveDiagnosis => self.on_diagnosis(action),
            Action::Db(event) => self.on_db(event),
            Action::Event(event) => self.on_event(event),
            Action::WorkerError(detail) => self.worker_error(detail),
            Action::Tick(clock) => self.tick(clock),
            Action::Check { key, check } => self.check(key, check),
            Action::Copy(text) => {
                self.copying.asked += 1;
                let number = self.copying.asked;
                vec![Effect::Copy { number, text }]
            }
            Action::Visibility { .. }
            | Action::Online(_)
            | Action::ChatsChanged
            | Action::Copied(_)
            | Action::CopyFailed(_)
            | Action::UpdateReady
            | Action::ApplyUpdate
            | Action::Persisted(_) => self.on_surroundings(action),
        }
    }

    /// It is now this time. Ticks bring the time too, but what happens between them may be worth knowing more closely.
    pub const fn look_at_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    const fn next_key(&mut self) -> u32 {
        self.last_key += 1;
        self.last_key
    }
}
