//! What the browser tells: time, visibility, network, updates; and what the person set for all chats.

use protocol::supervisor;
use protocol::{FaultCode, Request};

use super::{
    Action, Change, Clock, DbRequest, Effect, Finish, Notice, Phase, Screen, State, UNDO_MILLIS,
    Undo,
};

impl State {
    pub(super) fn on_surroundings(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Visibility { hidden: true } => return self.hide(),
            Action::Visibility { hidden: false } => return self.show(),
            Action::Online(online) => {
                self.environment.online = online;
                if online {
                    self.retry_queue();
                }
                let fault = self.engine.fault.as_ref().map(|fault| fault.code);
                let is_of_network = matches!(fault, Some(FaultCode::Network | FaultCode::WebPage));
                // What failed for want of a network need not wait for the person.
                if online && self.engine.phase == Phase::Failed && is_of_network {
                    return self.retry();
                }
                return self.on_connection();
            }
            Action::Copied(number) => self.copying.done = number,
            Action::CopyFailed(detail) => self.notice = Some(Notice::CopyFailed { detail }),
            Action::ChatsChanged => return self.chats_changed(),
            Action::UpdateReady => self.environment.update_ready = true,
            Action::ApplyUpdate if self.can_update() => return vec![Effect::ApplyUpdate],
            Action::Persisted(persisted) => self.environment.persisted = Some(persisted),
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn on_preference(&mut self, action: Action) -> Vec<Effect> {
        let before = self.preferences;
        let preferences = &mut self.preferences;
        match action {
            Action::OpenSettings => {
                self.screen = Screen::Settings;
                return self.ask_storage();
            }
            Action::CloseSettings => self.screen = Screen::Chat,
            Action::SetTheme(theme) => preferences.theme = theme,
            Action::SetTextSize(size) => preferences.text_size = size,
            Action::SaveEnergy(saves) => preferences.saves_energy = saves,
            Action::ToggleSidebar => preferences.sidebar ^= true,
            Action::SetSidebar(shown) => preferences.sidebar = shown,
            Action::DismissInstallHint => preferences.install_hint_dismissed = true,
            Action::DismissNotice => self.notice = None,
            _ => {}
        }
        if self.preferences != before {
            self.save(Change::PutPreferences(self.preferences));
        }
        self.tell_rate().into_iter().collect()
    }

    /// Tells the worker how fast answers may be, if it does not know. A new one makes them as fast as it can.
    pub(super) fn tell_rate(&mut self) -> Option<Effect> {
        if !self.engine.greeted {
            return None;
        }
        let tokens_per_second = self.preferences.tokens_per_second();
        let known = std::mem::replace(&mut self.engine.told_rate, tokens_per_second);
        (tokens_per_second != known)
            .then_some(Effect::Post(Request::LimitRate { tokens_per_second }))
    }

    pub(super) fn tick(&mut self, clock: Clock) -> Vec<Effect> {
        self.clock = clock;
        if self
            .undo
            .as_ref()
            .is_some_and(|undo| undo.until_millis <= clock.steady_millis)
        {
            self.forget_undo();
        }
        self.measure_download();
        self.save_recorder_on_tick();
        let mut effects = self.save_on_tick();
        effects.extend(self.supervise(supervisor::Event::Tick));
        effects
    }

    pub(super) const fn undo_until(&self) -> f64 {
        self.clock.steady_millis + UNDO_MILLIS
    }

    /// The deleted chat goes for good.
    pub(super) fn forget_undo(&mut self) {
        if let Some(Undo { head, .. }) = self.undo.take() {
            self.shelf.remove(&head.id);
            self.save(Change::DeleteChat(head.id));
        }
    }

    /// Nobody looks. The system may stop the page any moment and forbids it the GPU, so the answer pauses where it is.
    fn hide(&mut self) -> Vec<Effect> {
        if self.environment.hidden {
            return Vec::new();
        }
        self.environment.hidden = true;
        // The browser drops the lock of a hidden page by itself.
        self.awake = false;
        self.note("nobody looks");
        self.unmark_while_hidden();
        let mut effects = self.cancel_trial();
        effects.extend(self.supervise(supervisor::Event::Hidden));
        if self.engine.phase == Phase::Answering {
            effects.extend(
                self.break_off()
                    .map(|id| Effect::Post(Request::Cancel { id })),
            );
            if self.engine.stopping {
                self.end_answer(Finish::Cancelled);
                self.engine.phase = self.idle_phase();
            } else {
                self.engine.phase = Phase::Paused;
                self.save_last_turn();
            }
        }
        effects.push(Effect::Db(DbRequest::Rest));
        effects
    }

    /// Somebody looks again: the paused answer goes on behind its last token.
    fn show(&mut self) -> Vec<Effect> {
        if !self.environment.hidden {
            return Vec::new();
        }
        self.environment.hidden = false;
        let mut effects = vec![Effect::Db(DbRequest::Wake)];
        // A page that was frozen has not heard of other tabs' changes.
        effects.extend(self.chats_changed());
        effects.extend(self.supervise(supervisor::Event::Visible));
        if self.engine.phase == Phase::Paused {
            if self.engine.model.is_some() {
                effects.extend(self.generate());
            } else {
                self.engine.phase = Phase::Answering;
            }
        }
        self.note("somebody looks again");
        self.mark_again();
        effects
    }

    /// Keeps the screen on while an answer or a download runs in sight.
    pub(super) fn with_wake_lock(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        let wanted = !self.environment.hidden
            && match self.engine.phase {
                Phase::Answering => true,
                Phase::Loading => !self.engine.download_paused,
                _ => self.is_fetching_any(),
            };
        if wanted != self.awake && (wanted || !self.environment.hidden) {
            self.awake = wanted;
            effects.push(Effect::WakeLock(wanted));
        }
        effects
    }
}
