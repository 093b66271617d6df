//! Chats: new, open, rename, delete, settings.

use super::{
    Action, Change, Chat, ChatHead, ChatId, DbRequest, Effect, Phase, Screen, State, Turn, Undo,
    limits,
};

impl State {
    pub(super) fn on_chatting(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::OpenChat(id) => return self.open_chat(id),
            // Another tab may change the chats; here they can only be read.
            _ if !self.can_edit() => {}
            Action::NewChat => return self.new_chat(),
            Action::RenameChat { id, title } => return self.rename(id, &title),
            Action::DeleteChat(id) => return self.delete(id),
            Action::UndoDelete => self.undo_delete(),
            Action::SetSystemPrompt(prompt) => {
                limits::cut(&prompt, limits::MAX_SYSTEM_PROMPT)
                    .clone_into(&mut self.chats.open.head.system_prompt);
                self.save_open_head();
            }
            Action::SetSampling(wanted) => {
                let sampling = limits::clamp(wanted, self.suggested_sampling());
                self.chats.open.head.sampling = Some(sampling);
                self.save_open_head();
            }
            Action::ResetSampling => {
                self.chats.open.head.sampling = None;
                self.save_open_head();
            }
            _ => {}
        }
        Vec::new()
    }

    fn new_chat(&mut self) -> Vec<Effect> {
        self.screen = Screen::Chat;
        let effects = self.put_aside();
        self.shelve();
        self.forget_fault();
        let id = ChatId(self.random.next());
        self.chats.open = Chat::empty(ChatHead::new(id, self.clock.wall_millis));
        effects
    }

    fn open_chat(&mut self, id: ChatId) -> Vec<Effect> {
        let Some(head) = self.chats.find(id).cloned() else {
            return Vec::new();
        };
        self.screen = Screen::Chat;
        if self.chats.open.head.id == id {
            return Vec::new();
        }
        let mut effects = self.put_aside();
        self.shelve();
        self.forget_fault();
        effects.extend(self.read_chat(head));
        effects
    }

    /// A failed answer's words are not for another chat.
    fn forget_fault(&mut self) {
        if self.engine.phase == Phase::Ready {
            self.engine.fault = None;
        }
    }

    fn rename(&mut self, id: ChatId, title: &str) -> Vec<Effect> {
        let title = one_line(title, limits::MAX_TITLE);
        if !title.is_empty() {
            self.untitled.remove(&id);
            self.set_title(id, title, true);
            return Vec::new();
        }
        let turns = self.turns_in_memory(id);
        match turns.map(|turns| automatic_title(turns)) {
            Some(Some(title)) => self.set_title(id, title, false),
            Some(None) => {}
            // Its first question has to be read before it can be the title.
            None if self.can_save() => {
                self.untitled.insert(id);
                let is_being_read = self.chats.open.head.id == id;
                if !is_being_read {
                    return vec![Effect::Db(DbRequest::ReadTurns(id))];
                }
            }
            None => {}
        }
        Vec::new()
    }

    /// The turns of a chat were read, whose title was waiting for them.
    pub(super) fn title_again(&mut self, id: ChatId, turns: &[Turn]) {
        if !self.untitled.remove(&id) || !self.can_edit() {
            return;
        }
        if let Some(title) = automatic_title(turns) {
            self.set_title(id, title, false);
        }
    }

    fn set_title(&mut self, id: ChatId, title: String, titled: bool) {
        let Some(head) = self.chats.list.iter_mut().find(|head| head.id == id) else {
            return;
        };
        head.title = title;
        head.titled = titled;
        let head = head.clone();
        if self.chats.open.head.id == id {
            self.chats.open.head.clone_from(&head);
        }
        self.save(Change::PutChat(head));
    }

    fn delete(&mut self, id: ChatId) -> Vec<Effect> {
        let Some(index) = self.chats.list.iter().position(|head| head.id == id) else {
            return Vec::new();
        };
        self.forget_undo();
        let mut effects = Vec::new();
        if self.chats.open.head.id == id {
            effects = self.new_chat_in_place_of_deleted();
        }
        let mut head = self.chats.list.remove(index);
        // Deleted is what the database knows at once, so that the chat does not come back when the page is closed now.
        head.deleted = true;
        self.save(Change::PutChat(head.clone()));
        self.undo = Some(Undo {
            head,
            until_millis: self.undo_until(),
        });
        effects
    }

    /// Leaves the open chat, keeping its turns at hand for undo.
    fn new_chat_in_place_of_deleted(&mut self) -> Vec<Effect> {
        let screen = self.screen;
        let effects = self.put_aside();
        let open = &mut self.chats.open;
        if !open.loading {
            let turns = std::mem::take(&mut open.turns);
            self.shelf.insert(open.head.id, turns);
        }
        let _nothing_runs = self.new_chat();
        self.screen = screen;
        effects
    }

    fn undo_delete(&mut self) {
        let Some(Undo { mut head, .. }) = self.undo.take() else {
            return;
        };
        head.deleted = false;
        self.save(Change::PutChat(head.clone()));
        self.chats.list.push(head.clone());
        self.sort_chats();
        // Whoever undoes wants to see it back.
        if self.chats.open.turns.is_empty()
            && let Some(turns) = self.shelf.remove(&head.id)
        {
            self.chats.open = Chat::empty(head);
            self.chats.open.turns = self.with_keys(turns);
        }
    }

    /// The open chat is used: it gets its title, and the first place in the list.
    pub(super) fn touch_open_chat(&mut self) {
        let open = &mut self.chats.open;
        if !open.head.titled
            && let Some(title) = automatic_title(&open.turns)
        {
            open.head.title = title;
        }
        open.head.updated_millis = self.clock.wall_millis;
        let head = open.head.clone();
        self.chats.list.retain(|listed| listed.id != head.id);
        self.chats.list.insert(0, head.clone());
        self.save(Change::PutChat(head));
    }
}

/// The title that a chat has when the person gave none.
fn automatic_title(turns: &[Turn]) -> Option<String> {
    let first = turns.first()?;
    Some(one_line(&first.question, limits::MAX_TITLE))
}

/// Text on one line, of at most `n_chars` characters, cut between words where possible.
pub(super) fn one_line(text: &str, n_chars: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let word_length = word.chars().count();
        if length == 0 && word_length > n_chars {
            line.extend(word.chars().take(n_chars.saturating_sub(1)));
            line.push('…');
            return line;
        }
        if length + word_length + usize::from(length > 0) > n_chars.saturating_sub(1) && length > 0
        {
            line.push('…');
            return line;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        length += word_length;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn titles_are_cut_between_words() {
        let rows = [
            ("", ""),
            ("  Hello \n you ", "Hello you"),
            ("one two three", "one two…"),
            ("incomprehensibilities", "incompreh…"),
            ("äöüäöüäöüäöü", "äöüäöüäöü…"),
        ];
        for (text, title) in rows {
            assert_eq!(one_line(text, 10), title);
            assert!(one_line(text, 10).chars().count() <= 10);
        }
    }
}
