//! Chats: new, open, rename, delete, settings.

use super::{Action, Chat, ChatHead, ChatId, Effect, Phase, State};

impl State {
    pub(super) fn on_chatting(&mut self, action: Action) -> Vec<Effect> {
        if action == Action::NewChat && matches!(self.engine.phase, Phase::Ready | Phase::Failed) {
            let id = ChatId(self.random.next());
            self.chats.open = Chat::empty(ChatHead::new(id, self.clock.wall_millis));
            if self.engine.phase == Phase::Ready {
                self.engine.fault = None;
            }
        }
        Vec::new()
    }
}
