//! What a page that was just opened knows and does.

use std::collections::BTreeMap;

use super::random::Random;
use super::saving::Saving;
use super::{
    Chat, ChatHead, ChatId, Chats, Clock, DbRequest, Effect, Engine, Environment, Preferences,
    Screen, State,
};
use crate::Switches;

/// What a page knows when it was just opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// What the address asks for.
    pub switches: Switches,
    /// Absolute URL of the package.
    pub model_url: String,
    /// Where the page runs.
    pub environment: Environment,
    /// The time.
    pub clock: Clock,
    /// A random number.
    pub seed: u64,
}

impl State {
    /// The state of a page that was just opened, and what it does first.
    #[must_use]
    pub fn new(opening: Opening) -> (Self, Vec<Effect>) {
        let mut random = Random::new(opening.seed);
        let head = ChatHead::new(ChatId(random.next()), opening.clock.wall_millis);
        let state = Self {
            screen: Screen::Chat,
            chats: Chats {
                list: Vec::new(),
                open: Chat::empty(head),
            },
            engine: Engine::new(),
            preferences: Preferences::default(),
            environment: opening.environment,
            undo: None,
            notice: None,
            erasing: false,
            switches: opening.switches,
            model_url: opening.model_url,
            random,
            clock: opening.clock,
            last_key: 0,
            shelf: BTreeMap::new(),
            saving: Saving::default(),
            announced: 0,
            awake: false,
        };
        let claim = Effect::ClaimEngine { steal: false };
        (state, vec![claim, Effect::Db(DbRequest::Open)])
    }
}
