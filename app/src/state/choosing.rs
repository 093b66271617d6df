//! Another model than the one that runs: looked up by an address, out of files, or one that is stored. And a stored one as a file.

use protocol::{Fault, ModelOffer, Outcome, Request, RequestId, StoredModel, is_of_files};

use super::loading::Chore;
use super::{Action, Effect, Notice, Phase, Screen, State};

/// What became of an address that the person wrote, or of files that were chosen.
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
            Action::ChoosePrecision(url) => self.choose_precision(url),
            Action::PickModelFiles if self.can_choose() => vec![Effect::PickModelFiles],
            Action::FilesChosen(files) => self.open_files(files),
            Action::SaveModel(url) => self.save_model(url),
            Action::UseModel(url) => self.use_model(url),
            _ => Vec::new(),
        }
    }

    fn look_up(&mut self, address: &str) -> Vec<Effect> {
        let address = address.trim();
        if address.is_empty() || !self.can_choose() {
            return Vec::new();
        }
        address.clone_into(&mut self.engine.look_address);
        let id = self.begin_look();
        let model_url = address.to_owned();
        let budget = self.tell_budget().into_iter();
        budget
            .chain([Effect::Post(Request::Inspect { id, model_url })])
            .collect()
    }

    /// Has another precision of what is offered looked at: of what was looked up, or else of the model of a first visit.
    fn choose_precision(&mut self, url: String) -> Vec<Effect> {
        let has = |offer: &ModelOffer| offer.precisions.iter().any(|known| known.model_url == url);
        if !self.can_choose() {
            return Vec::new();
        }
        if matches!(&self.engine.look, Some(Look::Found(offer)) if has(offer)) {
            return self.look_up(&url);
        }
        if self.engine.phase != Phase::Offer || !self.engine.offer.as_ref().is_some_and(has) {
            return Vec::new();
        }
        self.model_url = url;
        self.inspect()
    }

    /// Looks again at what has no room, since there is more of it now.
    pub(super) fn look_for_room(&mut self) -> Vec<Effect> {
        let lacks = |offer: &ModelOffer| offer.missing_bytes.get() > 0;
        let mut effects = Vec::new();
        let address = self.engine.look_address.clone();
        if matches!(&self.engine.look, Some(Look::Found(offer)) if lacks(offer)) {
            effects.extend(self.look_up(&address));
        }
        if self.engine.phase == Phase::Offer && self.engine.offer.as_ref().is_some_and(lacks) {
            effects.extend(self.inspect());
        }
        effects
    }

    fn begin_look(&mut self) -> RequestId {
        let id = self.engine.next_id();
        // Only the last answer counts.
        self.engine
            .chores
            .retain(|(_, chore)| *chore != Chore::Look);
        self.engine.chores.push((id, Chore::Look));
        self.engine.look = Some(Look::Asking);
        self.engine.looks_again = false;
        self.hosts.problem = None;
        id
    }

    /// Has the worker look at files. What they are is told in the settings, wherever they were dropped.
    fn open_files(&mut self, files: u32) -> Vec<Effect> {
        if files == 0 {
            return Vec::new();
        }
        if !self.can_choose() {
            self.notice = Some(Notice::FilesLeft);
            return vec![Effect::DropFiles];
        }
        let mut effects = match self.screen {
            Screen::Settings => Vec::new(),
            Screen::Chat | Screen::Diagnostics => self.act(Action::OpenSettings),
        };
        self.engine.look_address.clear();
        let id = self.begin_look();
        effects.extend(self.tell_budget());
        effects.push(Effect::Post(Request::OpenFiles { id, files }));
        effects
    }

    /// Has the worker make one file of a model.
    fn save_model(&mut self, model_url: String) -> Vec<Effect> {
        if !self.can_choose() || self.saved_model().is_some() {
            return Vec::new();
        }
        let id = self.engine.next_id();
        let chore = Chore::Save(model_url.clone());
        self.engine.chores.push((id, chore));
        vec![Effect::Post(Request::SaveModel { id, model_url })]
    }

    /// The model that is being made one file of.
    #[must_use]
    pub fn saved_model(&self) -> Option<&str> {
        let chores = &mut self.engine.chores.iter();
        chores.find_map(|(_, chore)| match chore {
            Chore::Save(url) => Some(&**url),
            _ => None,
        })
    }

    pub(super) fn on_saved(&mut self, result: Result<Outcome, Fault>) -> Vec<Effect> {
        let detail = match result {
            Ok(Outcome::Saved { name, .. }) => return vec![Effect::SaveMade { name }],
            Ok(Outcome::Cancelled) => return Vec::new(),
            Ok(other) => format!("the worker answered {other:?}"),
            Err(fault) => fault.detail,
        };
        self.notice = Some(Notice::ExportFailed { detail });
        Vec::new()
    }

    /// Whether the model that is loaded comes out of files, and not over a network.
    #[must_use]
    pub fn is_of_files(&self) -> bool {
        is_of_files(&self.model_url)
    }

    pub(super) fn on_looked(&mut self, result: Result<Outcome, Fault>) -> Vec<Effect> {
        self.engine.look = match result {
            Ok(Outcome::Inspected(offer)) => Some(Look::Found(offer)),
            Err(fault) => Some(Look::Failed(fault)),
            Ok(_) => None,
        };
        match &self.engine.look {
            // What could go is told with it.
            Some(Look::Found(offer)) if offer.missing_bytes.get() > 0 => self.ask_storage(),
            _ => Vec::new(),
        }
    }

    /// Address of the model that is loaded.
    #[must_use]
    pub fn running_url(&self) -> Option<&str> {
        self.engine.model.as_ref().map(|_| self.model_url.as_str())
    }

    /// Whether a model can be had: one out of files that is not stored completely needs them at hand.
    #[must_use]
    pub fn can_use(&self, url: &str) -> bool {
        let is_at_hand =
            matches!(&self.engine.look, Some(Look::Found(offer)) if offer.model_url == url);
        let models = self.environment.storage.iter().flat_map(|it| &it.models);
        let is_partial = |model: &StoredModel| model.model_url == url && !model.complete;
        is_at_hand || !is_of_files(url) || !models.into_iter().any(is_partial)
    }

    /// Has the worker load another model, which frees the one before it first.
    fn use_model(&mut self, url: String) -> Vec<Effect> {
        let is_running = self.engine.model.is_some() && self.model_url == url;
        if is_running || !self.can_choose() || !self.can_use(&url) {
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
        let mut effects = vec![Effect::Persist];
        // Files have to be copied first: a page that is closed before that could not go on without them.
        if !is_of_files(&url) {
            effects.push(Effect::RememberModel(url));
        }
        effects.extend(self.load());
        effects
    }
}
