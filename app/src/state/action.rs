//! What can happen.

use protocol::SamplingSettings;

use super::{ChatId, Clock, DbEvent, HostProblem, QueuedModel, TextSize, Theme, Trial};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    // ---- what the person does with a conversation
    /// Asks. Ignored unless [`crate::State::can_send`].
    Send {
        /// The question.
        text: String,
    },
    /// Wants the answer to end.
    Stop,
    /// Wants another answer to the last question, in place of the one that is there.
    Regenerate,
    /// Wants an answer that broke off to go on behind its last token; see [`crate::State::can_continue`].
    Continue,
    /// Asks a question in other words. It replaces the question and everything behind it.
    EditAndResend {
        /// Key of the turn.
        key: u32,
        /// The new question.
        text: String,
    },
    /// Wants text in the clipboard.
    Copy(String),

    // ---- chats
    /// Starts an empty chat. It is listed and stored with its first question.
    NewChat,
    /// Looks at another chat. An answer that runs is put aside, to be continued.
    OpenChat(ChatId),
    /// Gives a chat a title. An empty one brings back the title made from the first question.
    RenameChat {
        /// Which chat.
        id: ChatId,
        /// The title.
        title: String,
    },
    /// Deletes a chat; for some seconds [`Action::UndoDelete`] brings it back.
    DeleteChat(ChatId),
    /// Brings the chat in [`crate::State::undo`] back.
    UndoDelete,
    /// Sets the open chat's instructions to the model; empty = none.
    SetSystemPrompt(String),
    /// Sets the open chat's sampling. Values out of range are brought into it ([`crate::limits`]); the seed is ignored.
    SetSampling(SamplingSettings),
    /// Goes back to the sampling that the model's package suggests.
    ResetSampling,

    // ---- the model
    /// Downloads the offered model and starts it.
    Download,
    /// Lets a download rest.
    PauseDownload,
    /// Lets a download go on that rests, or that waits before its next attempt.
    ResumeDownload,
    /// Stops a download; what has arrived is kept, and the offer is there again.
    CancelDownload,
    /// Wants another try after a failure.
    Retry,
    /// Takes the engine away from the other tab that has it.
    UseHere,
    /// Deletes a stored model by its URL.
    DeleteModel(String),
    /// Wants to know what lies at an address; ignored unless [`crate::State::can_choose`]. See [`crate::Engine::look`].
    LookUp(String),
    /// Wants the model that is offered in another precision, by the address that the offer has for it; ignored unless
    /// [`crate::State::can_choose`].
    ChoosePrecision(String),
    /// Wants to choose files that are a model; ignored unless [`crate::State::can_choose`].
    PickModelFiles,
    /// So many files were chosen, or dropped onto the page. They are looked at as an address is.
    FilesChosen(u32),
    /// Wants a stored model as one file, by its URL; ignored unless [`crate::State::can_choose`].
    SaveModel(String),
    /// Wants another model in place of the one that runs: one that was looked up or is stored, by its URL. It is downloaded if
    /// need be. Ignored unless [`crate::State::can_choose`].
    UseModel(String),

    // ---- other models
    /// Wants a model downloaded for later, behind those that wait already.
    QueueModel(QueuedModel),
    /// Lets a model of the queue rest, by its URL. What has come of it is kept.
    PauseQueued(String),
    /// Lets it go on, or tries again what has failed.
    ResumeQueued(String),
    /// Takes it out of the queue. What has come of it is kept.
    RemoveQueued(String),
    /// The queue as the last tab has left it that had the engine.
    QueueRecalled(Vec<QueuedModel>),
    /// Wants every stored file of a model compared, by its URL.
    CheckModel(String),
    /// Wants a check to end.
    CancelCheck,
    /// Wants to know everything about a stored model, by its URL; ignored unless [`crate::State::can_choose`].
    DescribeModel(String),
    /// Lets models be fetched from a server, by its origin; ignored unless [`crate::State::can_change_hosts`].
    AllowHost(String),
    /// No longer lets models be fetched from a server; ignored unless [`crate::State::can_change_hosts`].
    ForgetHost(String),

    // ---- screens and preferences
    /// Opens the settings.
    OpenSettings,
    /// Goes back to the conversation.
    CloseSettings,
    /// Opens the diagnostics.
    OpenDiagnostics,
    /// Goes back to where the diagnostics were opened.
    CloseDiagnostics,
    /// Wants something tried; ignored unless [`crate::State::can_try`].
    Try(Trial),
    /// Wants what is tried to end.
    CancelTrial,
    /// Wants to see what follows from a lost device; ignored unless [`crate::State::can_lose_device`].
    LoseDevice,
    /// Wants the diagnostics as a text file.
    SaveDiagnosis,
    /// Chooses the colours.
    SetTheme(Theme),
    /// Chooses the size of text.
    SetTextSize(TextSize),
    /// Chooses whether answers are made slower than the device can, so that it needs less energy.
    SaveEnergy(bool),
    /// Shows or hides the list of chats.
    ToggleSidebar,
    /// Shows or hides the list of chats.
    SetSidebar(bool),
    /// Never wants to see the hint on installing again.
    DismissInstallHint,
    /// Has read [`crate::State::notice`].
    DismissNotice,

    // ---- all chats
    /// Wants to choose a file with chats.
    PickImport,
    /// A file with chats was chosen; its text, or why it could not be read.
    Import(Result<String, String>),
    /// Wants all chats as one JSON file.
    ExportAll,
    /// Wants one chat as Markdown.
    ExportChat(ChatId),
    /// A file could not be given to the person, in the browser's words.
    SaveFailed(String),
    /// Wants chats, preferences, models and caches gone.
    EraseEverything,

    // ---- the world
    /// Time went by: a tick of [`crate::TICK_MILLIS`].
    Tick(Clock),
    /// The address changed: whether it names the diagnostics.
    Address {
        /// Whether it does.
        diagnostics: bool,
    },
    /// The page was hidden or shown.
    Visibility {
        /// Whether nobody sees the page.
        hidden: bool,
    },
    /// The connection to the network came or went.
    Online(bool),
    /// The clipboard has the text of this number.
    Copied(u32),
    /// The clipboard took no text, in the browser's words.
    CopyFailed(String),
    /// Another tab has changed the chats in the database.
    ChatsChanged,
    /// Another version of the app is ready.
    UpdateReady,
    /// Wants the other version; ignored unless [`crate::State::can_update`].
    ApplyUpdate,
    /// The servers that are allowed.
    HostsRead(Vec<String>),
    /// The servers that are allowed now, or why nothing was changed.
    HostsStored(Result<Vec<String>, HostProblem>),
    /// The browser's word on whether it keeps our data.
    Persisted(bool),
    /// The lock on the engine was given to this tab (`true`), or is held by another tab (`false`).
    EngineLock(bool),
    /// The database said something.
    Db(DbEvent),
    /// Everything was erased, or what could not be.
    Erased(Result<(), String>),

    // ---- the worker and tests
    /// The worker said something.
    Event(protocol::Event),
    /// The worker failed outside its own code, in the browser's words.
    WorkerError(String),
    /// A test wants a check.
    Check {
        /// Number under which it wants the result.
        key: u32,
        /// Which one.
        check: Check,
    },
}

/// A check inside the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Compile every kernel in every variant.
    Variants,
    /// Compare prefill with decode.
    Prefill {
        /// Prompt lengths.
        lengths: Vec<u32>,
        /// Where the cache is cut.
        truncate: u32,
    },
    /// Measure a made-up model of a published shape; needs no model.
    Shape(protocol::ShapeJob),
}
