//! The page's state, without a page: what was said, what the worker is doing, and what to do next.
//!
//! [`State`] is a plain struct. [`State::on`] takes an [`Action`] (the person did something, the worker said something,
//! time went by) and returns [`Effect`]s; the binary of this crate performs them and draws the state with Leptos. So
//! every story of the page is tested natively.

mod catalogue;
mod drafts;
pub mod facts;
pub mod keys;
pub mod listing;
pub mod markdown;
mod state;
pub mod strings;
mod switches;

pub use catalogue::{KnownModel, known_models};
pub use drafts::{Drafts, Place};
pub use state::limits;
pub use state::{
    Action, Answer, Change, Chat, ChatHead, ChatId, ChatIdError, Chats, Check, CheckState, Clock,
    Copying, Database, DbEvent, DbRequest, Details, Diagnosis, EXPORT_FORMAT, EXPORT_VERSION,
    Effect, Engine, Entry, Environment, Finish, Flight, HostProblem, Hosts, ImportReport, Learnt,
    Look, MAX_ENTRIES, Manager, ModelCheck, Notice, Opening, Phase, Preferences, Progress, Queued,
    QueuedModel, Rate, ReadPurpose, Recorder, Resume, SAVING_TOKENS_PER_SECOND, Screen, Sentinel,
    Setback, State, Step, StoredChat, TICK_MILLIS, TextSize, Theme, Trial, Turn, UNDO_MILLIS, Undo,
};
pub use switches::Switches;
