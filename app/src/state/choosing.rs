//! Another model than the one that runs: looked up by an address, or one that is stored.

use protocol::{Fault, ModelOffer, Outcome, Request};

use super::loading::Chore;
use super::{Action, Effect, Phase, Screen, State};

/// What became of an address that the person wrote.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// The worker looks what lies there.
    Asking,
    /// A model.
    Found(ModelOffer),
    /// Nothing that can be used, and why.
    Failed(Fault),
}

impl State {
    /// Whether another model can be looked up and chosen now.
    #[must_use]
    pub fn can_choose(&self) -> bool {
        let is_idle = matches!(
            self.engine.phase,
            Phase::Ready | Phase::Offer | Phase::Failed
        );
        is_idle && self.engine.greeted && self.engine.supervisor.is_listening()
    }

    pub(super) fn on_choosing(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::LookUp(address) => self.look_up(&address),
            Action::UseModel(url) => self.use_model(url),
            _ => Vec::new(),
        }
    }

    fn look_up(&mut self, address: &str) -> Vec<Effect> {
        let address = address.trim();
        if address.is_empty() || !self.can_choose() {
            return Vec::new();
        }
        let id = self.engine.next_id();
        // Only the last answer counts.
        self.engine
            .chores
            .retain(|(_, chore)| *chore != Chore::Look);
        self.engine.chores.push((id, Chore::Look));
        self.engine.look = Some(Look::Asking);
        let model_url = address.to_owned();
        vec![Effect::Post(Request::Inspect { id, model_url })]
    }

    pub(super) fn on_looked(&mut self, result: Result<Outcome, Fault>) {
        self.engine.look = match result {
            Ok(Outcome::Inspected(offer)) => Some(Look::Found(offer)),
            Err(fault) => Some(Look::Failed(fault)),
            Ok(_) => None,
        };
    }

    /// Has the worker load another model, which frees the one before it first.
    fn use_model(&mut self, url: String) -> Vec<Effect> {
        let is_running = self.engine.model.is_some() && self.model_url == url;
        if is_running || !self.can_choose() {
            return Vec::new();
        }
        let offer = match self.engine.look.take() {
            Some(Look::Found(offer)) if offer.model_url == url => Some(offer),
            _ => None,
        };
        self.note(&format!("another model is chosen: {url}"));
        self.model_url.clone_from(&url);
        self.engine.model = None;
        self.engine.offer = offer;
        self.engine.fault = None;
        self.engine.agreed = true;
        self.engine.download_paused = false;
        self.must_ask = false;
        self.screen = Screen::Chat;
        let mut effects = vec![Effect::RememberModel(url), Effect::Persist];
        effects.extend(self.load());
        effects
    }
}
