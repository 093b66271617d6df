//! Chats as they are stored, read at the start and again when another tab has changed them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Chat, ChatHead, ChatId, DbRequest, Effect, Finish, Phase, State, Turn};

impl State {
    /// Another tab has changed the chats. Only a tab that can't change them itself needs to be told: it reads them again, as
    /// soon as somebody looks.
    pub(super) fn chats_changed(&mut self) -> Vec<Effect> {
        self.saving.is_outdated = self.engine.phase == Phase::Elsewhere;
        self.read_again()
    }

    /// Reads the chats again if they are outdated and can be seen.
    pub(super) fn read_again(&mut self) -> Vec<Effect> {
        let is_wanted = self.engine.phase == Phase::Elsewhere
            && self.saving.is_outdated
            && !self.environment.hidden
            && self.can_save();
        if !is_wanted {
            return Vec::new();
        }
        self.saving.is_outdated = false;
        vec![Effect::Db(DbRequest::Open)]
    }

    /// Takes the list of chats as stored. Chats that were deleted before the page was closed go now.
    pub(super) fn opened(&mut self, mut stored: Vec<ChatHead>, was_open: bool) -> Vec<Effect> {
        // What was changed after the list was asked for is not in it yet.
        for change in self.on_the_way() {
            match change {
                Change::PutChat(head) => {
                    stored.retain(|listed| listed.id != head.id);
                    stored.push(head.clone());
                }
                Change::DeleteChat(id) => stored.retain(|listed| listed.id != *id),
                _ => {}
            }
        }
        let (deleted, mut list): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|head| head.deleted);
        if self.can_edit() {
            for head in deleted {
                self.save(Change::DeleteChat(head.id));
            }
        }
        if !was_open {
            // Questions may have been asked before the database was there.
            let is_new = |head: &&ChatHead| !list.iter().any(|listed| listed.id == head.id);
            let asked: Vec<ChatHead> = self.chats.list.iter().filter(is_new).cloned().collect();
            list.extend(asked);
        }
        self.chats.list = list;
        self.sort_chats();
        self.read_open_chat()
    }

    /// Reads the open chat, or the one used last when there is none. One that is on the screen stays there meanwhile, as
    /// long as nothing can be asked.
    fn read_open_chat(&mut self) -> Vec<Effect> {
        let is_elsewhere = self.engine.phase == Phase::Elsewhere;
        let is_shown = !self.chats.open.turns.is_empty();
        if is_shown && !self.saving.is_foreign {
            return Vec::new();
        }
        self.saving.is_foreign = is_elsewhere;
        let open = self.chats.open.head.id;
        let last = || self.chats.list.first().filter(|_| !self.resumes_chat);
        let found = self.chats.find(open).or_else(last);
        match found.cloned() {
            Some(head) if is_elsewhere && is_shown && head.id == open => {
                self.chats.open.head = head;
                vec![Effect::Db(DbRequest::ReadTurns(open))]
            }
            Some(head) => self.read_chat(head),
            // The other tab has deleted it, and all others.
            None if is_shown => {
                let id = ChatId(self.random.next());
                let head = ChatHead::new(id, self.clock.wall_millis);
                self.chats.open = Chat::empty(head);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Takes the turns, as [`Self::as_changed`] gives them, of the chat on the screen.
    pub(super) fn take_turns(&mut self, chat: ChatId, turns: Vec<Turn>) {
        let is_awaited = self.chats.open.loading || self.saving.is_foreign;
        if self.chats.open.head.id == chat && is_awaited {
            let shown = std::mem::take(&mut self.chats.open.turns);
            let mut turns = self.with_keys(turns);
            // What has not changed keeps its elements.
            for (turn, shown) in turns
                .iter_mut()
                .zip(&shown)
                .take_while(|(a, b)| is_same(a, b))
            {
                turn.key = shown.key;
            }
            self.chats.open.turns = turns;
            self.chats.open.loading = false;
        }
    }

    /// A chat's turns as the database gave them, with what it may not hold yet: a write may have failed, to be repeated.
    pub(super) fn as_changed(&self, id: ChatId, stored: Vec<Turn>) -> Vec<Turn> {
        let mut turns: BTreeMap<u32, Turn> =
            stored.into_iter().map(|turn| (turn.number, turn)).collect();
        for change in self.on_the_way() {
            match change {
                Change::PutTurn { chat, turn } if *chat == id => {
                    turns.insert(turn.number, turn.clone());
                }
                Change::DeleteTurnsFrom { chat, number } if *chat == id => {
                    turns.split_off(number);
                }
                Change::DeleteChat(chat) if *chat == id => turns.clear(),
                _ => {}
            }
        }
        turns.into_values().collect()
    }

    /// Keeps in memory what the database will never get.
    pub(super) fn shelve_unwritten(&mut self) {
        let put = |change: &Change| match change {
            Change::PutTurn { chat, .. } => Some(*chat),
            _ => None,
        };
        let chats: BTreeSet<ChatId> = self.on_the_way().filter_map(put).collect();
        for id in chats {
            if self.turns_in_memory(id).is_none() {
                let turns = self.as_changed(id, Vec::new());
                self.shelf.insert(id, turns);
            }
        }
        let open = self.chats.open.head.id;
        if self.chats.open.loading
            && let Some(turns) = self.shelf.remove(&open)
        {
            self.chats.open.turns = self.with_keys(turns);
        }
    }

    /// Stored turns with keys of this page. An answer that was running when it was stored was interrupted.
    pub(super) fn with_keys(&mut self, mut turns: Vec<Turn>) -> Vec<Turn> {
        for turn in &mut turns {
            turn.key = self.next_key();
            turn.answer.finish.get_or_insert(Finish::Interrupted);
        }
        turns
    }
}

/// Whether two turns are the same on the screen.
fn is_same(one: &Turn, other: &Turn) -> bool {
    let (a, b) = (&one.answer, &other.answer);
    one.number == other.number
        && one.question == other.question
        && (a.text == b.text && a.finish == b.finish)
}
