//! What a page that was just opened knows and does.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Random;
use super::saving::Saving;
use super::{
    Chat, ChatHead, ChatId, Chats, Clock, Copying, DbRequest, Diagnosis, Effect, Engine,
    Environment, Hosts, Learnt, Manager, Preferences, QueuedModel, Recorder, Resume, Screen, State,
};
use crate::Switches;

/// What a page knows when it was just opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// What the address asks for.
    pub switches: Switches,
    /// Absolute URL of the package.
    pub model_url: String,
    /// The model that the address alone leads to: what is left when the other one, out of files, is gone.
    pub usual_url: String,
    /// Models that are to be downloaded.
    pub queue: Vec<QueuedModel>,
    /// What the address wants to see first.
    pub screen: Screen,
    /// Where the page runs.
    pub environment: Environment,
    /// The time.
    pub clock: Clock,
    /// A random number.
    pub seed: u64,
    /// What an earlier load of this page has left to go on with.
    pub resume: Option<Resume>,
}

impl State {
    /// The state of a page that was just opened, and what it does first.
    #[must_use]
    pub fn new(opening: Opening) -> (Self, Vec<Effect>) {
        let mut random = Random::new(opening.seed);
        let head = ChatHead::new(ChatId(random.next()), opening.clock.wall_millis);
        let mut state = Self {
            screen: opening.screen,
            chats: Chats {
                list: Vec::new(),
                open: Chat::empty(head),
            },
            engine: Engine::new(),
            manager: Manager::default(),
            diagnosis: Diagnosis::default(),
            preferences: Preferences::default(),
            environment: opening.environment,
            hosts: Hosts::default(),
            undo: None,
            copying: Copying::default(),
            notice: None,
            erasing: false,
            switches: opening.switches,
            model_url: opening.model_url,
            usual_url: opening.usual_url,
            random,
            clock: opening.clock,
            last_key: 0,
            untitled: BTreeSet::new(),
            resumes_chat: false,
            shelf: BTreeMap::new(),
            saving: Saving::default(),
            unheard: None,
            announced: 0,
            awake: false,
            recorder: Recorder::default(),
            sentinel: None,
            hidden_sentinel: None,
            learnt: Learnt::default(),
            kills: 0,
            must_ask: false,
            has_answered: false,
            lost_at: None,
        };
        state.recall_queue(opening.queue);
        state.note(&format!("page opened, build {}", protocol::BUILD));
        if let Some(resume) = opening.resume {
            state.take_up(resume);
        }
        let claim = Effect::ClaimEngine { steal: false };
        (state, vec![claim, Effect::Db(DbRequest::Open)])
    }
}
