//! Chats that leave the app as files and come back, and the end of everything. `docs/CHATS.md` describes the format.

mod date;
mod export;
mod import;

pub(super) use date::date;
pub use export::{EXPORT_FORMAT, EXPORT_VERSION};

use protocol::supervisor;

use super::{
    Action, Change, Chat, ChatHead, ChatId, Chats, Database, DbRequest, Effect, ImportReport,
    Notice, Phase, ReadPurpose, State, StoredChat,
};

impl State {
    pub(super) fn on_transfer(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::ExportAll => self.read_all(ReadPurpose::ExportAll),
            Action::ExportChat(id) => self.read_all(ReadPurpose::ExportChat(id)),
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
        if in_memory || matches!(self.environment.database, Database::Failed { .. }) {
            return self.export(purpose, Vec::new());
        }
        vec![Effect::Db(DbRequest::ReadAll(purpose))]
    }

    /// Makes the file. What lives in memory is newer than what was read.
    pub(super) fn export(&mut self, purpose: ReadPurpose, read: Vec<StoredChat>) -> Vec<Effect> {
        let mut read: std::collections::HashMap<_, _> =
            read.into_iter().map(|chat| (chat.head.id, chat)).collect();
        let mut whole = |head: &ChatHead| StoredChat {
            head: head.clone(),
            turns: match self.turns_in_memory(head.id) {
                Some(turns) => turns.clone(),
                None => read
                    .remove(&head.id)
                    .map_or_else(Vec::new, |chat| chat.turns),
            },
        };
        let now = self.clock.wall_millis;
        let file = match purpose {
            ReadPurpose::ExportAll => {
                let chats: Vec<_> = self.chats.list.iter().map(&mut whole).collect();
                export::all(&chats, now)
            }
            ReadPurpose::ExportChat(id) => match self.chats.find(id) {
                Some(head) => Ok(export::one(&whole(head))),
                None => return Vec::new(),
            },
        };
        match file {
            Ok(file) => vec![file],
            Err(error) => {
                let detail = error.to_string();
                self.notice = Some(Notice::ExportFailed { detail });
                Vec::new()
            }
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
