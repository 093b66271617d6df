//! What lies in the database, and the transactions that read and write it.

use std::collections::HashMap;
use std::rc::Rc;

use app::{
    Change, ChatHead, ChatId, DbEvent, DbRequest, Flight, Preferences, ReadPurpose, StoredChat,
    Turn,
};
use rexie::{KeyRange, ObjectStore, Rexie, Store, TransactionMode, TransactionResult};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use web_sys::IdbKeyRange;

use crate::bridge::to_js;
use crate::platform;

/// The database.
pub(crate) const DATABASE: &str = "tern-chats";
/// Version of what lies in it. A newer one is refused by the browser, so an old app never spoils it.
const VERSION: u32 = 1;
/// Heads of chats, by number.
const CHATS: &str = "chats";
/// Turns, by number of the chat and of the turn.
const TURNS: &str = "turns";
/// One record, of that name.
const PREFERENCES: &str = "preferences";
/// A record beside it: what outlives the page of the flight recorder.
const FLIGHT: &str = "flight";

/// Turns that are read in one piece: some milliseconds of work.
const SLICE_TURNS: usize = 32;

pub(super) type Result<T> = std::result::Result<T, Problem>;

/// Why the database did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Problem {
    /// It did not answer in time.
    #[error("the database did not answer within {millis} ms")]
    TooSlow {
        /// The time it had.
        millis: u32,
    },
    /// The disk is full, or our part of it.
    #[error("there is no room: {detail}")]
    Full {
        /// The browser's words.
        detail: String,
    },
    /// It was written by a newer version of the app.
    #[error("the database is newer than this version of the app: {detail}")]
    Newer {
        /// The browser's words.
        detail: String,
    },
    /// Anything else.
    #[error("the database failed: {detail}")]
    Failed {
        /// The browser's words.
        detail: String,
    },
}

impl Problem {
    /// Whether another try would give the same.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Newer { .. })
    }
}

impl From<rexie::Error> for Problem {
    fn from(error: rexie::Error) -> Self {
        // Rexie's own words are the same for all; its source says more. The name of the browser's exception in them is all
        // that there is to tell by.
        let detail = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        if detail.contains("QuotaExceeded") {
            Self::Full { detail }
        } else if detail.contains("VersionError") {
            Self::Newer { detail }
        } else {
            Self::Failed { detail }
        }
    }
}

impl From<JsValue> for Problem {
    fn from(error: JsValue) -> Self {
        Self::Failed {
            detail: format!("{error:?}"),
        }
    }
}

/// A turn with the number of its chat, so that all chats can be read in one go.
#[derive(Serialize, Deserialize)]
struct TurnRecord {
    chat: ChatId,
    #[serde(flatten)]
    turn: Turn,
}

pub(super) async fn open() -> Result<Rexie> {
    let builder = [CHATS, TURNS, PREFERENCES].into_iter().fold(
        Rexie::builder(DATABASE).version(VERSION),
        |builder, name| builder.add_object_store(ObjectStore::new(name)),
    );
    Ok(builder.build().await?)
}

pub(super) async fn answer(database: Rc<Rexie>, request: DbRequest) -> Result<DbEvent> {
    match request {
        DbRequest::Open => {
            let reading = database.transaction(&[CHATS, PREFERENCES], TransactionMode::ReadOnly)?;
            let kept = reading.store(PREFERENCES)?;
            let preferences = kept.get(PREFERENCES.into()).await?;
            let flight = kept.get(FLIGHT.into()).await?;
            Ok(DbEvent::Opened {
                chats: all::<ChatHead>(&reading.store(CHATS)?).await?,
                // Preferences that can't be read are worth less than an app that starts.
                preferences: preferences
                    .and_then(|value| serde_wasm_bindgen::from_value::<Preferences>(value).ok()),
                flight: flight
                    .and_then(|value| serde_wasm_bindgen::from_value::<Flight>(value).ok()),
            })
        }
        DbRequest::ReadTurns(chat) => Ok(DbEvent::Turns {
            chat,
            turns: turns(&database, chat).await?,
        }),
        DbRequest::ReadAll(purpose) => Ok(DbEvent::Everything {
            purpose,
            chats: match purpose {
                ReadPurpose::ExportAll => everything(&database).await?,
                ReadPurpose::ExportChat(id) => one(&database, id).await?,
            },
        }),
        DbRequest::Write(changes) => write(&database, changes).await,
        // These are not for the database itself.
        DbRequest::Rest | DbRequest::Wake => Ok(DbEvent::Written),
    }
}

/// All values of an object store. One that can't be read is left out: the others are worth more than an error.
async fn all<T: DeserializeOwned>(store: &Store) -> Result<Vec<T>> {
    let values = store.get_all(None, None).await?;
    Ok(read(values))
}

fn read<T: DeserializeOwned>(values: Vec<JsValue>) -> Vec<T> {
    values
        .into_iter()
        .filter_map(|value| serde_wasm_bindgen::from_value(value).ok())
        .collect()
}

/// The turns in a range, or all, in the order of their keys. Thousands take a while, so they come slice by slice: each is
/// an answer of the database, and thus a task, of its own.
async fn slices(store: &Store, range: Option<KeyRange>) -> Result<Vec<TurnRecord>> {
    let keys = store.get_all_keys(range, None).await?;
    let mut records = Vec::with_capacity(keys.len());
    for slice in keys.chunks(SLICE_TURNS) {
        let (Some(first), Some(last)) = (slice.first(), slice.last()) else {
            continue;
        };
        let range = KeyRange::bound(first, last, None, None).map_err(rexie::Error::from)?;
        records.extend(read::<TurnRecord>(store.get_all(Some(range), None).await?));
    }
    Ok(records)
}

async fn turns(database: &Rexie, chat: ChatId) -> Result<Vec<Turn>> {
    let reading = database.transaction(&[TURNS], TransactionMode::ReadOnly)?;
    let range = KeyRange::bound(&turn_key(chat, 0), &turn_key(chat, u32::MAX), None, None)
        .map_err(rexie::Error::from)?;
    // Keys are in the order of their numbers.
    let records = slices(&reading.store(TURNS)?, Some(range)).await?;
    Ok(records.into_iter().map(|record| record.turn).collect())
}

async fn one(database: &Rexie, id: ChatId) -> Result<Vec<StoredChat>> {
    let reading = database.transaction(&[CHATS], TransactionMode::ReadOnly)?;
    let value = reading.store(CHATS)?.get(chat_key(id)).await?;
    let Some(head) = value.and_then(|value| serde_wasm_bindgen::from_value(value).ok()) else {
        return Ok(Vec::new());
    };
    let turns = turns(database, id).await?;
    Ok(vec![StoredChat { head, turns }])
}

async fn everything(database: &Rexie) -> Result<Vec<StoredChat>> {
    let reading = database.transaction(&[CHATS, TURNS], TransactionMode::ReadOnly)?;
    let heads: Vec<ChatHead> = all(&reading.store(CHATS)?).await?;
    let records = slices(&reading.store(TURNS)?, None).await?;
    let mut turns: HashMap<ChatId, Vec<Turn>> = HashMap::new();
    for record in records {
        turns.entry(record.chat).or_default().push(record.turn);
    }
    let whole = |head: ChatHead| StoredChat {
        turns: turns.remove(&head.id).unwrap_or_default(),
        head,
    };
    Ok(heads.into_iter().map(whole).collect())
}

async fn write(database: &Rexie, changes: Vec<Change>) -> Result<DbEvent> {
    let stores = [CHATS, TURNS, PREFERENCES];
    let writing = database.transaction(&stores, TransactionMode::ReadWrite)?;
    let [chats, turns, preferences] = [
        writing.store(CHATS)?,
        writing.store(TURNS)?,
        writing.store(PREFERENCES)?,
    ];
    let asked = async {
        for change in changes {
            match change {
                Change::PutChat(head) => {
                    chats.put(&to_js(&head)?, Some(&chat_key(head.id))).await?;
                }
                Change::PutTurn { chat, turn } => {
                    let key = turn_key(chat, turn.number);
                    let record = TurnRecord { chat, turn };
                    turns.put(&to_js(&record)?, Some(&key)).await?;
                }
                Change::DeleteTurnsFrom { chat, number } => {
                    turns.delete(turn_range(chat, number)?).await?;
                }
                Change::DeleteChat(id) => {
                    turns.delete(turn_range(id, 0)?).await?;
                    chats.delete(chat_key(id)).await?;
                }
                Change::PutPreferences(chosen) => {
                    let key = JsValue::from_str(PREFERENCES);
                    preferences.put(&to_js(&chosen)?, Some(&key)).await?;
                }
                Change::PutFlight(flight) => {
                    let key = JsValue::from_str(FLIGHT);
                    preferences.put(&to_js(&flight)?, Some(&key)).await?;
                }
            }
        }
        Ok::<(), Problem>(())
    }
    .await;
    if let Err(problem) = asked {
        // All or nothing. That it is undone needs no proof: the browser does so too when it is not told.
        let _undone = writing.abort().await;
        return Err(problem);
    }
    match writing.done().await? {
        TransactionResult::Committed => Ok(DbEvent::Written),
        TransactionResult::Aborted => Err(aborted().await),
    }
}

/// Rexie does not tell why the browser aborted a transaction. A lack of room is the usual reason.
async fn aborted() -> Problem {
    let detail = "the transaction was aborted".to_owned();
    match platform::room_left().await {
        Some(bytes) if bytes < 2e6 => Problem::Full { detail },
        _ => Problem::Failed { detail },
    }
}

fn chat_key(id: ChatId) -> JsValue {
    JsValue::from_str(&id.to_string())
}

fn turn_key(chat: ChatId, number: u32) -> JsValue {
    JsValue::from_str(&format!("{chat}:{number:010}"))
}

/// The turns of a chat with this number and above. Rexie deletes by one key only, but hands on what it is given.
fn turn_range(chat: ChatId, number: u32) -> Result<JsValue> {
    let range = IdbKeyRange::bound(&turn_key(chat, number), &turn_key(chat, u32::MAX))?;
    Ok(range.into())
}
