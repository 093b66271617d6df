//! Chats that leave the app as files and come back, and the end of everything. `docs/CHATS.md` describes the format.

mod date;
mod export;
mod import;

pub(super) use date::date;
pub use export::{EXPORT_FORMAT, EXPORT_VERSION};

use std::collections::HashMap;

use protocol::supervisor;

use super::{
    Action, Change, Chat, ChatHead, ChatId, Chats, DbRequest, Effect, ImportReport, Notice, Phase,
    ReadPurpose, State, StoredChat, Turn, limits,
};
use crate::strings;

/// What is known of a chat's turns.
enum Known {
    /// All of them.
    Whole(Vec<Turn>),
    /// The newest ones.
    Part(Vec<Turn>),
    /// None.
    Nothing,
}

impl State {
    pub(super) fn on_transfer(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::ExportAll => self.read_all(ReadPurpose::ExportAll),
            Action::ExportChat(id) => self.read_all(ReadPurpose::ExportChat(id)),
            Action::SaveFailed(detail) => {
                self.notice = Some(Notice::ExportFailed { detail });
                Vec::new()
            }
            Action::PickImport if self.can_edit() => vec![Effect::PickFile],
            Action::Import(file) if self.can_edit() => {
                let result = file.and_then(|text| import::read(&text));
                match result {
                    Ok(file) => self.merge_chats(file),
                    Err(detail) => {
                        self.notice = Some(Notice::ImportFailed { detail });
                        Vec::new()
                    }
                }
            }
            Action::EraseEverything if self.can_edit() => self.erase(),
            _ => Vec::new(),
        }
    }

    fn read_all(&mut self, purpose: ReadPurpose) -> Vec<Effect> {
        let in_memory = match purpose {
            ReadPurpose::ExportAll => self
                .chats
                .list
                .iter()
                .all(|head| self.turns_in_memory(head.id).is_some()),
            ReadPurpose::ExportChat(id) => self.turns_in_memory(id).is_some(),
        };
        // A database that takes nothing more can often still be read.
        if in_memory || !self.can_save() {
            return self.export(purpose, Vec::new());
        }
        vec![Effect::Db(DbRequest::ReadAll(purpose))]
    }

    /// What was to be exported can't be read: what lives in memory goes into the file all the same, above all what the
    /// database never got.
    pub(super) fn export_unread(&mut self, purpose: ReadPurpose, detail: &str) -> Vec<Effect> {
        self.note(&format!("chats could not be read for a file: {detail}"));
        self.export(purpose, Vec::new())
    }

    /// Makes the file. What lives in memory is newer than what was read. Nothing is said to be a chat whose turns are not
    /// known: such a file could not be imported, or would replace what is whole elsewhere.
    pub(super) fn export(&mut self, purpose: ReadPurpose, read: Vec<StoredChat>) -> Vec<Effect> {
        let mut read: HashMap<_, _> = read
            .into_iter()
            .map(|chat| (chat.head.id, chat.turns))
            .collect();
        let wanted: Vec<ChatHead> = match purpose {
            ReadPurpose::ExportAll => self.chats.list.clone(),
            ReadPurpose::ExportChat(id) => self.chats.find(id).cloned().into_iter().collect(),
        };
        let mut chats = Vec::new();
        let mut incomplete = 0;
        for head in wanted {
            let known = self.known_turns(head.id, read.remove(&head.id));
            incomplete += u32::from(!matches!(known, Known::Whole(_)));
            match known {
                Known::Whole(turns) => chats.push(StoredChat { head, turns }),
                Known::Part(turns) => {
                    let id = head.id.of_a_part();
                    let head = ChatHead { id, ..head };
                    chats.push(StoredChat { head, turns });
                }
                Known::Nothing => {}
            }
        }
        self.file_of(purpose, &chats, incomplete)
    }

    /// The file with these chats, and a word on those that are not in it.
    fn file_of(
        &mut self,
        purpose: ReadPurpose,
        chats: &[StoredChat],
        incomplete: u32,
    ) -> Vec<Effect> {
        if incomplete > 0 {
            self.notice = Some(if chats.is_empty() {
                let detail = strings::CHATS_UNREADABLE.to_owned();
                Notice::ExportFailed { detail }
            } else {
                Notice::ExportedInPart { incomplete }
            });
        }
        let file = match (purpose, chats) {
            (_, []) if incomplete > 0 => return Vec::new(),
            (ReadPurpose::ExportAll, chats) => export::all(chats, self.clock.wall_millis),
            (ReadPurpose::ExportChat(_), [chat]) => Ok(export::one(chat)),
            (ReadPurpose::ExportChat(_), _) => return Vec::new(),
        };
        match file {
            Ok(file) => {
                if let Effect::SaveFile { text, .. } = &file
                    && purpose == ReadPurpose::ExportAll
                    && !limits::is_readable(text.len() as f64)
                {
                    let bytes = text.len() as u64;
                    self.notice = Some(Notice::ExportTooLarge { bytes });
                }
                vec![file]
            }
            Err(error) => {
                let detail = error.to_string();
                self.notice = Some(Notice::ExportFailed { detail });
                Vec::new()
            }
        }
    }

    /// What is known of a chat's turns: those in memory, or else those that were read, with what the database may not hold.
    fn known_turns(&self, id: ChatId, read: Option<Vec<Turn>>) -> Known {
        let open = &self.chats.open;
        let is_open = open.head.id == id && !open.loading;
        let is_read = read.is_some();
        let turns = match self.turns_in_memory(id) {
            Some(turns) => turns.clone(),
            None => self.as_changed(id, read.unwrap_or_default()),
        };
        // Turns are numbered from 1: without the first one more is missing than can be seen.
        let begins_at_the_start = turns.first().is_some_and(|turn| turn.number <= 1);
        if turns.is_empty() {
            Known::Nothing
        } else if is_open || is_read || begins_at_the_start {
            Known::Whole(turns)
        } else {
            Known::Part(turns)
        }
    }

    /// Takes chats of a file: new ones, and those that were used later than ours.
    fn merge_chats(&mut self, file: import::File) -> Vec<Effect> {
        let mut report = ImportReport {
            rejected: file.rejected,
            ..ImportReport::default()
        };
        for chat in file.chats {
            let known = self
                .chats
                .find(chat.head.id)
                .map(|head| head.updated_millis);
            match known {
                Some(updated)
                    if updated >= chat.head.updated_millis || self.is_running(chat.head.id) =>
                {
                    report.unchanged += 1;
                    continue;
                }
                Some(_) => report.updated += 1,
                None => report.added += 1,
            }
            self.take_chat(chat);
        }
        self.sort_chats();
        self.notice = Some(Notice::Imported(report));
        Vec::new()
    }

    fn is_running(&self, id: ChatId) -> bool {
        self.chats.open.head.id == id && self.running().is_some()
    }

    fn take_chat(&mut self, chat: StoredChat) {
        let StoredChat { head, turns } = chat;
        let id = head.id;
        if self.undo.as_ref().is_some_and(|undo| undo.head.id == id) {
            self.forget_undo();
        }
        self.save(Change::PutChat(head.clone()));
        self.save(Change::DeleteTurnsFrom {
            chat: id,
            number: 0,
        });
        for turn in &turns {
            let turn = turn.clone();
            self.save_new(Change::PutTurn { chat: id, turn });
        }
        self.shelf.remove(&id);
        if self.chats.open.head.id == id {
            self.chats.open = Chat::empty(head.clone());
            self.chats.open.turns = self.with_keys(turns);
        } else if self.environment.database.is_in_memory_only() {
            self.shelf.insert(id, turns);
        }
        self.chats.list.retain(|listed| listed.id != id);
        self.chats.list.push(head);
    }

    fn erase(&mut self) -> Vec<Effect> {
        let id = ChatId(self.random.next());
        self.chats = Chats {
            list: Vec::new(),
            open: Chat::empty(ChatHead::new(id, self.clock.wall_millis)),
        };
        self.shelf.clear();
        self.undo = None;
        self.notice = None;
        self.drop_writes();
        let fault = protocol::Fault::new(
            protocol::FaultCode::BadRequest,
            "everything is being erased",
        );
        let mut effects = self.settle_checks(&fault);
        self.forget_worker();
        self.engine.offer = None;
        self.engine.fault = None;
        self.engine.agreed = false;
        self.engine.download_paused = false;
        self.engine.stopping = false;
        self.engine.recovering = false;
        self.engine.phase = Phase::Starting;
        self.erasing = true;
        // The worker's connection would keep its database from being deleted.
        effects.extend(self.supervise(supervisor::Event::Discard));
        effects.push(Effect::Erase);
        effects
    }

    pub(super) fn erased(&mut self, result: Result<(), String>) -> Vec<Effect> {
        self.erasing = false;
        match result {
            Ok(()) => vec![Effect::Reload],
            Err(detail) => {
                self.notice = Some(Notice::EraseFailed { detail });
                let mut effects = vec![Effect::Db(DbRequest::Open)];
                effects.extend(self.supervise(supervisor::Event::Start));
                effects
            }
        }
    }
}
