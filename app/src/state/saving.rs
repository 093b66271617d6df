//! What is written to the database, and what the database says.
//!
//! Changes are collected while an action is worked on and written before any other effect of it, so that a question is on
//! its way to the disk before the worker hears of it. Changes that could not be written are kept and tried again.

use std::collections::VecDeque;

use super::{Change, Chat, ChatHead, ChatId, Database, DbEvent, DbRequest, Effect, State, Turn};

/// How long a failed write waits for another try.
const RETRY_MILLIS: f64 = 10_000.0;

/// Changes on their way to the database.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Saving {
    /// Collected while an action is worked on.
    pending: Vec<Change>,
    /// Sent to the database, which has not answered yet.
    sent: VecDeque<Vec<Change>>,
    /// Could not be written, and whatever came behind it.
    unwritten: Vec<Change>,
    /// When `unwritten` is tried again, on the steady clock.
    retry_at: f64,
    /// Whether there is no database at all.
    is_closed: bool,
    /// Number of tokens of the running answer that were stored.
    stored_tokens: usize,
    /// Whether another tab may have changed the chats that this one has read.
    pub(super) is_foreign: bool,
    /// Whether another tab has said so since they were read last.
    pub(super) is_outdated: bool,
}

impl State {
    /// Puts the writes of this action in front of its other effects.
    pub(super) fn with_writes(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        let changes = std::mem::take(&mut self.saving.pending);
        if changes.is_empty() {
            return effects;
        }
        if self.saving.unwritten.is_empty() {
            // Behind a write that is repeated: the database answers in the order in which it was asked.
            let is_write = |effect: &Effect| matches!(effect, Effect::Db(DbRequest::Write(_)));
            let at = effects
                .iter()
                .rposition(is_write)
                .map_or(0, |last| last + 1);
            let write = self.write(changes);
            effects.insert(at, write);
        } else {
            // Later changes must not overtake earlier ones.
            self.keep_unwritten(changes);
        }
        effects
    }

    fn write(&mut self, changes: Vec<Change>) -> Effect {
        self.saving.sent.push_back(changes.clone());
        Effect::Db(DbRequest::Write(changes))
    }

    pub(super) fn save(&mut self, change: Change) {
        if self.can_save() {
            merge(&mut self.saving.pending, change);
        }
    }

    /// While the database can't even be opened there is nowhere to write to.
    pub(super) const fn can_save(&self) -> bool {
        !self.saving.is_closed && !self.erasing
    }

    /// Like [`Self::save`], for one of many changes that replace nothing.
    pub(super) fn save_new(&mut self, change: Change) {
        if self.can_save() {
            self.saving.pending.push(change);
        }
    }

    /// Stores the last turn of the open chat.
    pub(super) fn save_last_turn(&mut self) {
        let open = &self.chats.open;
        if let Some(turn) = open.turns.last() {
            self.saving.stored_tokens = turn.answer.ids.len();
            let (chat, turn) = (open.head.id, turn.clone());
            self.save(Change::PutTurn { chat, turn });
        }
    }

    /// Stores the title and settings of the open chat, if it is a stored one.
    pub(super) fn save_open_head(&mut self) {
        let head = self.chats.open.head.clone();
        if let Some(listed) = self
            .chats
            .list
            .iter_mut()
            .find(|listed| listed.id == head.id)
        {
            listed.clone_from(&head);
            self.save(Change::PutChat(head));
        }
    }

    pub(super) fn drop_writes(&mut self) {
        self.saving = Saving::default();
    }

    /// Stores a running answer that grew, and tries failed writes again.
    pub(super) fn save_on_tick(&mut self) -> Vec<Effect> {
        if self.environment.hidden {
            return Vec::new();
        }
        let grown = self
            .running()
            .is_some_and(|turn| turn.answer.ids.len() != self.saving.stored_tokens);
        if grown {
            self.save_last_turn();
        }
        if self.saving.unwritten.is_empty() || self.clock.steady_millis < self.saving.retry_at {
            return Vec::new();
        }
        let mut changes = std::mem::take(&mut self.saving.unwritten);
        for change in std::mem::take(&mut self.saving.pending) {
            merge(&mut changes, change);
        }
        vec![self.write(changes)]
    }

    /// What is not known to be in the database, in order.
    pub(super) fn on_the_way(&self) -> impl Iterator<Item = &Change> {
        let saving = &self.saving;
        let sent = saving.sent.iter().flatten();
        sent.chain(&saving.unwritten).chain(&saving.pending)
    }

    fn keep_unwritten(&mut self, changes: Vec<Change>) {
        for change in changes {
            merge(&mut self.saving.unwritten, change);
        }
    }

    pub(super) fn on_db(&mut self, event: DbEvent) -> Vec<Effect> {
        match event {
            // Whether this tab may change what it read, and whether a sentinel in it is of a tab that lives, is not known yet.
            opened @ DbEvent::Opened { .. } if self.engine.waits_for_lock => {
                self.unheard = Some(opened);
                Vec::new()
            }
            DbEvent::Opened {
                chats,
                preferences,
                flight,
            } => {
                let was_open = self.environment.database == Database::Open;
                // Only the first time with the engine: later it is this page's own.
                if self.can_edit() && !self.recorder.is_known {
                    self.take_flight(flight.unwrap_or_default());
                }
                self.environment.database = Database::Open;
                self.saving.is_closed = false;
                if let Some(preferences) = preferences {
                    self.preferences = preferences;
                }
                let mut effects = self.opened(chats, was_open);
                effects.extend(self.tell_rate());
                effects.extend(self.load_late());
                effects
            }
            DbEvent::Failed { detail } => {
                self.note(&format!("the database failed: {detail}"));
                self.environment.database = Database::Failed { detail };
                self.shelve_unwritten();
                self.saving = Saving {
                    is_closed: true,
                    ..Saving::default()
                };
                self.chats.open.loading = false;
                self.load_late()
            }
            DbEvent::ExportFailed { purpose, detail } => self.export_unread(purpose, &detail),
            DbEvent::Turns { chat, turns } => {
                let turns = self.as_changed(chat, turns);
                self.title_again(chat, &turns);
                self.take_turns(chat, turns);
                Vec::new()
            }
            DbEvent::Everything { purpose, chats } => self.export(purpose, chats),
            DbEvent::Written => {
                self.saving.sent.pop_front();
                if self.saving.unwritten.is_empty() && !self.saving.is_closed {
                    self.environment.database = Database::Open;
                }
                Vec::new()
            }
            DbEvent::WriteFailed { full, detail } => {
                self.write_failed(full, detail);
                Vec::new()
            }
        }
    }

    /// It is known now which tab has the engine, for which what the database said first had to wait.
    pub(super) fn hear_database(&mut self) -> Vec<Effect> {
        let opened = self.unheard.take();
        opened.map_or_else(Vec::new, |opened| self.on_db(opened))
    }

    /// Keeps what was not written. Writes behind it may still succeed, but they are repeated behind it in their order, so
    /// that the earlier one does not undo them.
    fn write_failed(&mut self, full: bool, detail: String) {
        let Some(mut changes) = self.saving.sent.pop_front() else {
            return;
        };
        changes.extend(self.saving.sent.iter().flatten().cloned());
        changes.append(&mut self.saving.unwritten);
        self.keep_unwritten(changes);
        self.note(&format!("a write failed: {detail}"));
        self.saving.retry_at = self.clock.steady_millis + RETRY_MILLIS;
        self.environment.database = if full {
            Database::Full { detail }
        } else {
            Database::Failed { detail }
        };
    }

    /// Shows a stored chat, from the shelf or from the database.
    pub(super) fn read_chat(&mut self, head: ChatHead) -> Vec<Effect> {
        let id = head.id;
        self.chats.open = Chat::empty(head);
        if let Some(turns) = self.shelf.remove(&id) {
            self.chats.open.turns = self.with_keys(turns);
            return Vec::new();
        }
        if !self.can_save() {
            return Vec::new();
        }
        self.chats.open.loading = true;
        vec![Effect::Db(DbRequest::ReadTurns(id))]
    }

    /// Keeps the open chat's turns in memory when the database may not hold them.
    pub(super) fn shelve(&mut self) {
        let open = &mut self.chats.open;
        if self.environment.database.is_in_memory_only() && !open.turns.is_empty() {
            let turns = std::mem::take(&mut open.turns);
            self.shelf.insert(open.head.id, turns);
        }
    }

    pub(super) fn sort_chats(&mut self) {
        self.chats
            .list
            .sort_by(|a, b| b.updated_millis.total_cmp(&a.updated_millis));
    }

    /// Everything of a chat that lives in memory: its turns, if it is open or on the shelf.
    pub(super) fn turns_in_memory(&self, id: ChatId) -> Option<&Vec<Turn>> {
        let open = &self.chats.open;
        if open.head.id == id && !open.loading {
            return Some(&open.turns);
        }
        self.shelf.get(&id)
    }
}

/// Adds a change. One that it makes pointless goes, so that a long answer waits as one change and not as hundreds.
fn merge(changes: &mut Vec<Change>, change: Change) {
    changes.retain(|earlier| !replaces(&change, earlier));
    changes.push(change);
}

fn replaces(change: &Change, earlier: &Change) -> bool {
    match (change, earlier) {
        (Change::PutChat(head), Change::PutChat(other)) => head.id == other.id,
        (
            Change::PutTurn { chat, turn },
            Change::PutTurn {
                chat: other,
                turn: earlier,
            },
        ) => chat == other && turn.number == earlier.number,
        (Change::PutPreferences(_), Change::PutPreferences(_))
        | (Change::PutFlight(_), Change::PutFlight(_)) => true,
        (Change::DeleteChat(id), Change::PutChat(head)) => *id == head.id,
        (Change::DeleteTurnsFrom { chat, number }, Change::PutTurn { chat: other, turn }) => {
            chat == other && turn.number >= *number
        }
        (
            Change::DeleteChat(id),
            Change::PutTurn { chat, .. } | Change::DeleteTurnsFrom { chat, .. },
        ) => id == chat,
        _ => false,
    }
}
