//! What there is to be done.

use protocol::{Fault, Outcome, Request};

use super::{ChatHead, ChatId, Flight, Preferences, QueuedModel, Resume, StoredChat, Turn};

/// Something to be done. Effects of one action are performed in their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask for the lock that only one tab can have; answered by [`crate::Action::EngineLock`], also when it changes later.
    ClaimEngine {
        /// Whether to take it from the tab that has it.
        steal: bool,
    },
    /// Start a worker. There is none.
    Spawn,
    /// Ask the worker to give its device back and to end; answered by [`protocol::Event::Retired`].
    Retire,
    /// End the worker. Nothing that it still says is heard.
    Terminate,
    /// Send a request to the worker.
    Post(Request),
    /// Give the result of a check to whoever asked.
    Settle {
        /// Its number.
        key: u32,
        /// The result.
        result: Result<Box<Outcome>, Fault>,
    },
    /// Read or write chats and preferences.
    Db(DbRequest),
    /// Ask the browser to keep our data; answered by [`crate::Action::Persisted`].
    Persist,
    /// Ask the browser whether it keeps our data already; answered by [`crate::Action::Persisted`].
    AskPersisted,
    /// Have the address name the diagnostics, or no longer.
    Address {
        /// Whether it does.
        diagnostics: bool,
    },
    /// Keep the screen on, or no longer.
    WakeLock(bool),
    /// Have a screen reader say this when it has time.
    Announce(String),
    /// Load this model in later visits whose address names none.
    RememberModel(String),
    /// Have later visits find these models to be downloaded.
    RememberQueue(Vec<QueuedModel>),
    /// Read the models that are to be downloaded; answered by [`crate::Action::QueueRecalled`].
    RecallQueue,
    /// Let later visits begin with the usual model, if they would begin with this one.
    ForgetModel(String),
    /// Put text into the clipboard; answered by [`crate::Action::Copied`] or [`crate::Action::CopyFailed`].
    Copy {
        /// Its number.
        number: u32,
        /// The text.
        text: String,
    },
    /// Give the person a file; answered by [`crate::Action::SaveFailed`] if that fails.
    SaveFile {
        /// Its name.
        name: String,
        /// Its type.
        mime: &'static str,
        /// What is in it.
        text: String,
    },
    /// Give the person the file that came with the worker's last word; answered by [`crate::Action::SaveFailed`] if that fails.
    SaveMade {
        /// Its name.
        name: String,
    },
    /// Let the person choose a file; answered by [`crate::Action::Import`].
    PickFile,
    /// Let go of the files that were chosen last: nobody opens them.
    DropFiles,
    /// Let the person choose the files of a model; answered by [`crate::Action::FilesChosen`].
    PickModelFiles,
    /// Switch to the version of the app that is ready.
    ApplyUpdate,
    /// Delete both databases and all caches; answered by [`crate::Action::Erased`].
    Erase,
    /// Allow a server; answered by [`crate::Action::HostsStored`].
    AllowHost(String),
    /// Do not allow a server any longer; answered by [`crate::Action::HostsStored`].
    ForgetHost(String),
    /// Keep this for the next load of the page.
    Resume(Resume),
    /// Load the page again.
    Reload,
    /// Load page and worker again past all caches, once, since they are of different builds.
    Heal,
}

/// A request to the database.
#[derive(Debug, Clone, PartialEq)]
pub enum DbRequest {
    /// Open it and read the list of chats and the preferences: [`DbEvent::Opened`].
    Open,
    /// Read a chat's turns: [`DbEvent::Turns`].
    ReadTurns(ChatId),
    /// Read everything, for a purpose: [`DbEvent::Everything`].
    ReadAll(ReadPurpose),
    /// Make changes, all or none: [`DbEvent::Written`] or [`DbEvent::WriteFailed`].
    Write(Vec<Change>),
    /// Start nothing more until [`DbRequest::Wake`], and close once what was asked before is done: a request that is under way while
    /// the system suspends the page can wedge the database.
    Rest,
    /// Go on.
    Wake,
}

/// Why everything is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadPurpose {
    /// All chats go into a file.
    ExportAll,
    /// One chat becomes Markdown.
    ExportChat(ChatId),
}

/// One change of the database.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Store a chat's title and settings.
    PutChat(ChatHead),
    /// Store a turn.
    PutTurn {
        /// Of which chat.
        chat: ChatId,
        /// The turn.
        turn: Turn,
    },
    /// Delete a chat's turns with this number and above.
    DeleteTurnsFrom {
        /// Of which chat.
        chat: ChatId,
        /// The first number that goes.
        number: u32,
    },
    /// Delete a chat and its turns.
    DeleteChat(ChatId),
    /// Store the preferences.
    PutPreferences(Preferences),
    /// Store the flight recorder and the sentinel.
    PutFlight(Flight),
}

/// What the database says.
#[derive(Debug, Clone, PartialEq)]
pub enum DbEvent {
    /// It is open.
    Opened {
        /// All chats, in no order.
        chats: Vec<ChatHead>,
        /// What was stored; absent at the first start.
        preferences: Option<Preferences>,
        /// What an earlier page left behind.
        flight: Option<Flight>,
    },
    /// It can't be opened or read; chats live in memory from now on.
    Failed {
        /// Technical line.
        detail: String,
    },
    /// The turns of a chat, in order.
    Turns {
        /// Which chat.
        chat: ChatId,
        /// Its turns.
        turns: Vec<Turn>,
    },
    /// Everything there is.
    Everything {
        /// Why it was read.
        purpose: ReadPurpose,
        /// All chats with their turns.
        chats: Vec<StoredChat>,
    },
    /// Everything could not be read for a file.
    ExportFailed {
        /// Which file.
        purpose: ReadPurpose,
        /// Technical line.
        detail: String,
    },
    /// The oldest unanswered write is done.
    Written,
    /// The oldest unanswered write is not done.
    WriteFailed {
        /// Whether the disk is full or the quota used up.
        full: bool,
        /// Technical line.
        detail: String,
    },
}
