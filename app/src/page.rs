//! The page's middle: takes actions, lets the state change, has the effects performed.

use std::rc::Rc;

use app::{Action, Effect, State, TICK_MILLIS};
use leptos::prelude::*;
use leptos::reactive::graph::{Subscriber as _, ToAnySubscriber as _};

use crate::bridge::Bridge;
use crate::db::Db;
use crate::debug::{self, Checks};
use crate::handles::Handles;
use crate::platform::{self, Browser};
use crate::pwa::{self, Pwa};

/// What every component gets: the state to read, and a way to say what the person did.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) state: RwSignal<State>,
    listener: StoredValue<Listener, LocalStorage>,
}

/// A memo that is forgotten with the view that made it. A signal of reactive_graph (0.2.16) keeps whom it has to tell for ever, also
/// those that are gone: one that goes must take itself off the list.
pub(crate) fn memo<T: PartialEq + Send + Sync + 'static>(
    compute: impl Fn() -> T + Send + Sync + 'static,
) -> Memo<T> {
    let memo = ArcMemo::new(move |_| compute());
    let observer = memo.to_any_subscriber();
    on_cleanup(move || observer.clear_sources(&observer));
    memo.into()
}

/// Takes what happened.
pub(crate) type Listener = Rc<dyn Fn(Action)>;

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
        memo(move || self.state.with(&part))
    }
}

/// Connects state, worker, browser and tests. What comes with the page begins its work, once the page is drawn.
pub(crate) fn start() -> (Page, impl FnOnce() + 'static) {
    let (state, effects) = State::new(platform::opening());
    let state = RwSignal::new(state);
    let performer = Rc::new(Performer::default());
    let listener: Listener = {
        let performer = Rc::clone(&performer);
        Rc::new(move |action| {
            let taken = state.try_update(|state| {
                state.look_at_clock(platform::clock());
                state.on(action)
            });
            if let Some(effects) = taken {
                performer.perform(effects);
            }
        })
    };
    performer.connect(&listener);
    let ticking = Rc::clone(&listener);
    gloo::timers::callback::Interval::new(TICK_MILLIS, move || {
        ticking(Action::Tick(platform::clock()));
    })
    .forget();
    let asked = Rc::clone(&listener);
    let with_state = move |look: &mut dyn FnMut(&State)| state.with_untracked(|state| look(state));
    let begin = move || {
        pwa::drawn();
        if let Err(error) =
            debug::install(&performer.checks, with_state, move |action| asked(action))
        {
            leptos::logging::warn!("window.__tern could not be made: {error:?}");
        }
        // The worker is a large download and a long compilation: it waits until people see something.
        pwa::after_paint(move || performer.perform(effects));
    };
    let page = Page {
        state,
        listener: StoredValue::new_local(listener),
    };
    (page, begin)
}

/// Performs effects, each by the part of the page that can.
#[derive(Default)]
struct Performer {
    checks: Rc<Checks>,
    parts: std::cell::OnceCell<Parts>,
}

/// The parts of the page that do something and tell what came of it.
struct Parts {
    bridge: Bridge,
    db: Db,
    pwa: Rc<Pwa>,
    browser: Browser,
}

impl Performer {
    fn connect(&self, listener: &Listener) {
        let heard = Rc::clone(listener);
        let told = Rc::clone(listener);
        let handles = Rc::new(Handles::default());
        let parts = Parts {
            bridge: Bridge::new(Rc::clone(&handles), move |action| heard(action)),
            db: Db::new(Rc::clone(listener)),
            pwa: Pwa::start(move |action| told(action)),
            browser: Browser::start(listener, &handles),
        };
        if self.parts.set(parts).is_err() {
            unreachable!("the parts are connected once");
        }
    }

    fn perform(&self, effects: Vec<Effect>) {
        let Some(parts) = self.parts.get() else {
            return;
        };
        for effect in effects {
            match effect {
                Effect::Settle { key, result } => self.checks.settle(key, result),
                Effect::Spawn | Effect::Retire | Effect::Terminate | Effect::Post(_) => {
                    parts.bridge.perform(effect);
                }
                Effect::Db(request) => parts.db.perform(request),
                Effect::ApplyUpdate => parts.pwa.apply_update(),
                Effect::Heal => pwa::heal(),
                Effect::Erase => {
                    parts.db.close();
                    parts.browser.erase();
                }
                effect => parts.browser.perform(effect),
            }
        }
    }
}
