//! What views ask of the state.

use protocol::{FaultCode, Retry, SamplingSettings};

use super::{Answer, Chat, Phase, State, Turn, limits};
use crate::strings;

impl State {
    /// The turn that is being answered.
    #[must_use]
    pub fn running(&self) -> Option<&Turn> {
        self.chats
            .open
            .turns
            .last()
            .filter(|turn| turn.answer.finish.is_none())
    }

    /// A turn of the open chat by its key.
    #[must_use]
    pub fn turn(&self, key: u32) -> Option<&Turn> {
        self.chats.open.turn(key)
    }

    /// One line on what is going on.
    #[must_use]
    pub fn status(&self) -> String {
        let engine = &self.engine;
        let trouble = |line: String| {
            if engine.download_paused {
                return strings::DOWNLOAD_PAUSED.to_owned();
            }
            match engine.trouble {
                Some(trouble) => strings::trouble(trouble).to_owned(),
                None => line,
            }
        };
        if let Some(seconds) = self.counted_down() {
            return strings::waiting(seconds);
        }
        match engine.phase {
            Phase::Starting | Phase::Loading if engine.recovering => {
                trouble(strings::RESTARTING.to_owned())
            }
            Phase::Starting => trouble(strings::STARTING.to_owned()),
            Phase::Offer => strings::OFFER.to_owned(),
            Phase::Loading => trouble(strings::loading(engine.progress)),
            Phase::Ready => engine.model.as_ref().map_or_else(
                || strings::READY.to_owned(),
                |model| strings::ready(&model.name),
            ),
            Phase::Answering if engine.recovering => trouble(strings::RECOVERING.to_owned()),
            Phase::Answering => match self.running().map(|turn| &turn.answer) {
                Some(Answer {
                    prefill: Some((done, total)),
                    ..
                }) => strings::prefill(*done, *total),
                Some(answer) if answer.ids.is_empty() => strings::THINKING.to_owned(),
                _ if self.is_slowed() => strings::SLOWED.to_owned(),
                _ => strings::ANSWERING.to_owned(),
            },
            Phase::Paused => strings::PAUSED.to_owned(),
            Phase::Failed => strings::FAILED.to_owned(),
            Phase::Elsewhere => strings::ELSEWHERE.to_owned(),
        }
    }

    /// Whether the running answer comes slower than it could, because the device has become slow.
    #[must_use]
    pub fn is_slowed(&self) -> bool {
        let engine = &self.engine;
        engine.slowed.is_some() && engine.slowed == engine.request
    }

    /// Seconds that the status counts down.
    fn counted_down(&self) -> Option<u64> {
        let is_waiting = self.engine.recovering && self.engine.phase != Phase::Paused;
        self.seconds_to_wait().filter(|_| is_waiting)
    }

    /// Whether a wait is counted down that the person may end with [`crate::Action::Retry`].
    #[must_use]
    pub fn can_try_now(&self) -> bool {
        self.counted_down().is_some()
    }

    /// The state's name for tests.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        let engine = &self.engine;
        match engine.phase {
            Phase::Failed => "failed",
            Phase::Answering | Phase::Starting | Phase::Loading if engine.recovering => {
                "recovering"
            }
            Phase::Starting | Phase::Loading => "loading",
            Phase::Offer => "offer",
            Phase::Ready => "ready",
            Phase::Answering => "busy",
            Phase::Paused => "paused",
            Phase::Elsewhere => "elsewhere",
        }
    }

    /// What the person may do about [`super::Engine::fault`], if anything.
    #[must_use]
    pub fn advice(&self) -> Option<Retry> {
        self.engine
            .fault
            .as_ref()
            .map(|fault| fault.retry)
            .filter(|retry| *retry != Retry::Never)
    }

    /// Whether another model would help against [`super::Engine::fault`].
    #[must_use]
    pub fn wants_another_model(&self) -> bool {
        let code = self.engine.fault.as_ref().map(|fault| fault.code);
        self.engine.model.is_none()
            && matches!(
                code,
                Some(
                    FaultCode::BadAddress
                        | FaultCode::LimitsTooSmall
                        | FaultCode::OutOfMemory
                        | FaultCode::NotFound
                        | FaultCode::Refused
                        | FaultCode::WebPage
                        | FaultCode::BadModel
                        | FaultCode::Unsupported
                        | FaultCode::BadFiles
                        | FaultCode::FilesGone
                        | FaultCode::NoChat
                        | FaultCode::Text
                )
            )
    }

    /// Whether a question can be asked now. While the model is being brought back it can: the question waits.
    #[must_use]
    pub fn can_send(&self) -> bool {
        let is_on_its_way = matches!(self.engine.phase, Phase::Starting | Phase::Loading);
        // A model that was never here may have to be downloaded first, for which it takes a word.
        let is_back_soon = self.engine.recovering && self.engine.agreed && is_on_its_way;
        // What is on the screen may be older than what another tab has stored, until it is read again.
        let is_known = !self.chats.open.loading && !self.saving.is_foreign;
        (self.engine.phase == Phase::Ready || is_back_soon) && is_known
    }

    /// Whether the last question can get another answer now.
    #[must_use]
    pub fn can_regenerate(&self) -> bool {
        self.can_send() && !self.chats.open.turns.is_empty()
    }

    /// Whether the last answer broke off and the loaded model can go on with it.
    #[must_use]
    pub fn can_continue(&self) -> bool {
        let model = self.engine.model.as_ref().map(|model| model.name.as_str());
        self.can_send()
            && self.chats.open.turns.last().is_some_and(|turn| {
                let answer = &turn.answer;
                answer.finish.is_some_and(super::Finish::is_continuable)
                    && (answer.ids.is_empty() || model == Some(answer.model.as_str()))
            })
    }

    /// Whether chats may be changed here: not while another tab has the engine.
    #[must_use]
    pub fn can_edit(&self) -> bool {
        self.engine.phase != Phase::Elsewhere
    }

    /// Whether another version of the app is ready and nothing would be interrupted by switching to it.
    #[must_use]
    pub fn can_update(&self) -> bool {
        self.environment.update_ready
            && !self.is_fetching_any()
            && !matches!(
                self.engine.phase,
                Phase::Answering | Phase::Paused | Phase::Loading
            )
    }

    /// The sampling that the model's package suggests.
    #[must_use]
    pub fn suggested_sampling(&self) -> SamplingSettings {
        self.engine
            .model
            .as_ref()
            .and_then(|model| model.sampling)
            .unwrap_or_default()
    }

    /// The open chat's sampling as the settings show it: chosen or suggested.
    #[must_use]
    pub fn sampling(&self) -> SamplingSettings {
        let suggested = self.suggested_sampling();
        // What was chosen in an earlier version may be out of today's ranges.
        let chosen = self.chats.open.head.sampling;
        chosen.map_or(suggested, |chosen| limits::clamp(chosen, suggested))
    }

    /// How much of the context the open chat takes: tokens in use after the last answer, and in all.
    #[must_use]
    pub fn context_use(&self) -> Option<(u32, u32)> {
        let total = self.engine.model.as_ref()?.context;
        let usage = self.chats.open.turns.last()?.answer.usage?;
        Some((usage.context_tokens, total))
    }
}

impl Chat {
    /// A turn by its key.
    #[must_use]
    pub fn turn(&self, key: u32) -> Option<&Turn> {
        let index = self.turns.binary_search_by_key(&key, |turn| turn.key);
        self.turns.get(index.ok()?)
    }
}
