//! The state and how it changes.

mod action;
mod answering;
mod chats;
mod chatting;
mod effect;
mod engine;
mod environment;
pub mod limits;
mod notice;
mod preferences;
mod random;
mod select;
mod turn;
mod worker;

pub use action::{Action, Check};
pub use chats::{Chat, ChatHead, ChatId, ChatIdError, Chats, StoredChat, Undo};
pub use effect::{Change, DbEvent, DbRequest, Effect, ReadPurpose};
pub use engine::{Engine, Phase, Rate};
pub use environment::{Clock, Database, Environment};
pub use notice::{ImportReport, Notice};
pub use preferences::{Preferences, TextSize, Theme};
pub use turn::{Answer, Finish, Turn};

use crate::Switches;
use random::Random;

/// Milliseconds between two [`Action::Tick`]s.
pub const TICK_MILLIS: u32 = 500;
/// How often a dead worker is replaced without an answer or a loaded model in between.
const MAX_RESTARTS: u32 = 3;
/// Ticks of a running page without a word from the worker after which it counts as dead: 90 s. Long enough for a slow device
/// to compile the worker itself.
const MAX_SILENT_TICKS: u32 = 180;
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
    /// What the person chose for all chats.
    pub preferences: Preferences,
    /// Where the page runs.
    pub environment: Environment,
    /// The chat that was just deleted, while it can be brought back.
    pub undo: Option<Undo>,
    /// Something the person should read once.
    pub notice: Option<Notice>,
    /// Whether everything is being erased; nothing else is heard meanwhile.
    pub erasing: bool,
    switches: Switches,
    model_url: String,
    random: Random,
    clock: Clock,
    last_key: u32,
}

/// What is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Screen {
    /// The conversation.
    #[default]
    Chat,
    /// The settings.
    Settings,
}

/// What a page knows when it was just opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// What the address asks for.
    pub switches: Switches,
    /// Absolute URL of the package.
    pub model_url: String,
    /// Where the page runs.
    pub environment: Environment,
    /// The time.
    pub clock: Clock,
    /// A random number.
    pub seed: u64,
}

impl State {
    /// The state of a page that was just opened, and what it does first.
    #[must_use]
    pub fn new(opening: Opening) -> (Self, Vec<Effect>) {
        let mut random = Random::new(opening.seed);
        let head = ChatHead::new(ChatId(random.next()), opening.clock.wall_millis);
        let state = Self {
            screen: Screen::Chat,
            chats: Chats {
                list: Vec::new(),
                open: Chat::empty(head),
            },
            engine: Engine::new(),
            preferences: Preferences::default(),
            environment: opening.environment,
            undo: None,
            notice: None,
            erasing: false,
            switches: opening.switches,
            model_url: opening.model_url,
            random,
            clock: opening.clock,
            last_key: 0,
        };
        (state, vec![Effect::Spawn])
    }

    /// Takes what happened and says what to do.
    #[must_use]
    pub fn on(&mut self, action: Action) -> Vec<Effect> {
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
            Action::OpenSettings
            | Action::CloseSettings
            | Action::SetTheme(_)
            | Action::SetTextSize(_)
            | Action::ToggleSidebar
            | Action::SetSidebar(_)
            | Action::DismissInstallHint
            | Action::DismissNotice => self.on_preference(action),
            Action::Copy(text) => vec![Effect::Copy(text)],
            Action::Event(event) => self.on_event(event),
            Action::WorkerError(detail) => self.worker_error(detail),
            Action::Tick(clock) => self.tick(clock),
            Action::Retry => self.retry(),
            Action::Check { key, check } => self.check(key, check),
            Action::Online(online) => {
                self.environment.online = online;
                Vec::new()
            }
            Action::UpdateReady => {
                self.environment.update_ready = true;
                Vec::new()
            }
            Action::Persisted(persisted) => {
                self.environment.persisted = Some(persisted);
                Vec::new()
            }
            Action::ApplyUpdate if self.can_update() => vec![Effect::ApplyUpdate],
            _ => Vec::new(),
        }
    }

    fn on_preference(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::OpenSettings => self.screen = Screen::Settings,
            Action::CloseSettings => self.screen = Screen::Chat,
            Action::SetTheme(theme) => self.preferences.theme = theme,
            Action::SetTextSize(size) => self.preferences.text_size = size,
            Action::ToggleSidebar => self.preferences.sidebar ^= true,
            Action::SetSidebar(shown) => self.preferences.sidebar = shown,
            Action::DismissInstallHint => self.preferences.install_hint_dismissed = true,
            Action::DismissNotice => self.notice = None,
            _ => {}
        }
        Vec::new()
    }
}
