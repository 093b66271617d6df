//! The page, drawn from the state.

mod composer;
mod conversation;
mod fault;
mod header;

use std::cell::OnceCell;
use std::rc::Rc;

use app::{Action, Effect, State, Switches};
use leptos::prelude::*;
use web_sys::Url;

use crate::bridge::Bridge;
use crate::debug::{self, Checks};
use composer::Composer;
use conversation::Conversation;
use header::Header;

/// Milliseconds of a tick.
const TICK_MILLIS: u32 = 1000;

/// What every component gets: the state to read, and a way to say what the person did.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) state: RwSignal<State>,
    listener: StoredValue<Rc<dyn Fn(Action)>, LocalStorage>,
}

impl Page {
    /// Lets the state take an action.
    pub(crate) fn act(self, action: Action) {
        let listener = self.listener.get_value();
        listener(action);
    }

    /// A part of the state that draws anew only when it changes.
    pub(crate) fn part<T: PartialEq + Send + Sync + 'static>(
        self,
        part: impl Fn(&State) -> T + Send + Sync + 'static,
    ) -> Memo<T> {
        Memo::new(move |_| self.state.with(&part))
    }
}

/// Draws the page and starts the worker.
pub(crate) fn mount() {
    let switches = Switches::read(address_parameters());
    let model_url = absolute(&switches.model).unwrap_or_else(|| switches.model.clone());
    let (state, effects) = State::new(switches, model_url);
    mount_to_body(move || {
        let page = start(state, effects);
        view! {
            <div class="page">
                <Header page />
                <Conversation page />
                <Composer page />
            </div>
        }
    });
}

/// Connects state, worker and tests.
fn start(state: State, effects: Vec<Effect>) -> Page {
    let state = RwSignal::new(state);
    let checks = Rc::new(Checks::default());
    let bridge: Rc<OnceCell<Bridge>> = Rc::default();
    let perform = {
        let (checks, bridge) = (Rc::clone(&checks), Rc::clone(&bridge));
        move |effects: Vec<Effect>| {
            for effect in effects {
                match (effect, bridge.get()) {
                    (Effect::Settle { key, result }, _) => checks.settle(key, result),
                    (effect, Some(bridge)) => bridge.perform(effect),
                    (_, None) => {}
                }
            }
        }
    };
    let listener: Rc<dyn Fn(Action)> = {
        let perform = perform.clone();
        Rc::new(move |action| {
            if let Some(effects) = state.try_update(|state| state.on(action)) {
                perform(effects);
            }
        })
    };
    let heard = Rc::clone(&listener);
    if bridge
        .set(Bridge::new(move |action| heard(action)))
        .is_err()
    {
        unreachable!("the bridge is set here only");
    }
    perform(effects);

    let ticking = Rc::clone(&listener);
    gloo::timers::callback::Interval::new(TICK_MILLIS, move || ticking(Action::Tick)).forget();
    let asked = Rc::clone(&listener);
    let with_state = move |look: &mut dyn FnMut(&State)| state.with_untracked(|state| look(state));
    if let Err(error) = debug::install(&checks, with_state, move |action| asked(action)) {
        leptos::logging::warn!("window.__tern could not be made: {error:?}");
    }
    Page {
        state,
        listener: StoredValue::new_local(listener),
    }
}

/// Names and values of the address's parameters.
fn address_parameters() -> Vec<(String, String)> {
    let Some(url) = window()
        .location()
        .href()
        .ok()
        .and_then(|href| Url::new(&href).ok())
    else {
        return Vec::new();
    };
    let Ok(Some(pairs)) = js_sys::try_iter(&url.search_params()) else {
        return Vec::new();
    };
    pairs
        .filter_map(|pair| {
            let pair = js_sys::Array::from(&pair.ok()?);
            Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
        })
        .collect()
}

/// The absolute URL of a folder, with a slash at the end.
fn absolute(folder: &str) -> Option<String> {
    let base = document().base_uri().ok()??;
    let folder = format!("{}/", folder.trim_end_matches('/'));
    Url::new_with_base(&folder, &base)
        .ok()
        .map(|url| url.href())
}

/// A random number.
pub(crate) fn random() -> u32 {
    (js_sys::Math::random() * f64::from(u32::MAX)) as u32
}
