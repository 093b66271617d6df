//! Servers that the person has allowed, beside the app's own and the hub.
//!
//! The list is kept where the service worker reads it: the policy that it serves the worker with is what lets a server through.
//! A worker keeps the policy that it began with, so every change ends with one load of the page, which goes on where it was.

use protocol::{FaultCode, MAX_HOSTS, Origin};
use serde::{Deserialize, Serialize};

use super::{Action, ChatId, Effect, Look, Phase, Screen, State};

/// The allowed servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts {
    /// Their origins, sorted.
    pub allowed: Vec<String>,
    /// Whether a change is on its way.
    pub changing: bool,
    /// Why the last change was not made.
    pub problem: Option<HostProblem>,
}

/// Why a server could not be allowed, or not be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostProblem {
    /// No service worker would serve the policy: a private window, a browser that has none.
    NoServiceWorker,
    /// There are as many as there can be.
    TooMany,
    /// The browser did not keep the list.
    Storage {
        /// Technical line.
        detail: String,
    },
}

/// What a page that is loaded again on purpose goes on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The chat on the screen.
    pub chat: ChatId,
    /// Whether the settings were open.
    pub settings: bool,
    /// The address that was looked up.
    pub address: String,
    /// Whether it is to be looked up again.
    pub look: bool,
    /// The model that the person has agreed to download.
    pub agreed: Option<String>,
}

impl State {
    /// Whether a server can be allowed or removed now: the page is loaded again for it.
    #[must_use]
    pub fn can_change_hosts(&self) -> bool {
        let is_idle = matches!(
            self.engine.phase,
            Phase::Ready | Phase::Offer | Phase::Failed
        );
        is_idle && !self.hosts.changing && self.saved_model().is_none()
    }

    /// The server that the person would have to allow for what was asked for last, on the screen that shows it.
    #[must_use]
    pub fn host_to_allow(&self) -> Option<&str> {
        let looked = match &self.engine.look {
            Some(Look::Failed(fault)) if self.screen == Screen::Settings => Some(fault),
            _ => None,
        };
        let fault = looked.or(self.engine.fault.as_ref())?;
        let host = fault.host.as_deref()?;
        let can_be = fault.code == FaultCode::HostNotAllowed && Origin::parse(host).is_some();
        can_be.then_some(host)
    }

    pub(super) fn on_hosts(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::HostsRead(allowed) => self.hosts.allowed = allowed,
            Action::AllowHost(host) if self.can_change_hosts() => return self.allow(&host),
            Action::ForgetHost(host) if self.can_change_hosts() => {
                self.hosts.changing = true;
                return vec![Effect::ForgetHost(host)];
            }
            Action::HostsStored(Ok(allowed)) => {
                self.hosts.allowed = allowed;
                let resume = self.resume();
                return vec![Effect::Resume(resume), Effect::Reload];
            }
            Action::HostsStored(Err(problem)) => {
                self.hosts.changing = false;
                self.hosts.problem = Some(problem);
            }
            _ => {}
        }
        Vec::new()
    }

    fn allow(&mut self, host: &str) -> Vec<Effect> {
        let Some(origin) = Origin::parse(host) else {
            return Vec::new();
        };
        if self.hosts.allowed.len() >= MAX_HOSTS {
            self.hosts.problem = Some(HostProblem::TooMany);
            return Vec::new();
        }
        self.hosts.changing = true;
        self.hosts.problem = None;
        self.note(&format!("{origin} is allowed"));
        vec![Effect::AllowHost(origin.as_str().to_owned())]
    }

    fn resume(&self) -> Resume {
        let engine = &self.engine;
        let is_refused = |look: &Look| matches!(look, Look::Failed(fault) if fault.host.is_some());
        Resume {
            chat: self.chats.open.head.id,
            settings: self.screen == Screen::Settings,
            address: engine.look_address.clone(),
            look: engine.look.as_ref().is_some_and(is_refused),
            agreed: engine.agreed.then(|| self.model_url.clone()),
        }
    }

    /// Takes up what a page left that was loaded again on purpose.
    pub(super) fn take_up(&mut self, resume: Resume) {
        self.chats.open.head.id = resume.chat;
        self.resumes_chat = true;
        if resume.settings && self.screen == Screen::Chat {
            self.screen = Screen::Settings;
        }
        self.engine.look_address = resume.address;
        self.engine.looks_again = resume.look;
        self.engine.look = resume.look.then_some(Look::Asking);
        self.engine.agreed = resume.agreed.is_some_and(|url| url == self.model_url);
    }

    /// Looks up again what was looked up before the page was loaded again, as soon as that is possible.
    pub(super) fn with_look(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        if self.engine.looks_again && self.can_choose() {
            self.engine.looks_again = false;
            let address = self.engine.look_address.clone();
            effects.extend(self.on_choosing(Action::LookUp(address)));
        }
        effects
    }
}
