//! The browser, as far as the page needs it beside its worker and its database.

mod address;
mod announcer;
mod chosen;
mod dropped;
mod erase;
mod files;
mod hosts;
mod locks;
mod queue;
mod surroundings;
mod wake;

use std::rc::Rc;

use app::{Action, Clock, Effect, Opening, Screen, Switches};
use js_sys::Promise;
use leptos::prelude::{document, window};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{StorageEstimate, StorageManager, Url};

use crate::handles::Handles;
use crate::page::Listener;
use locks::EngineLock;
use wake::ScreenLock;

/// What the browser does for the page.
pub(crate) struct Browser {
    listener: Listener,
    handles: Rc<Handles>,
    lock: Rc<EngineLock>,
    screen: ScreenLock,
}

impl Browser {
    /// Tells `listener` of whatever happens around the page.
    pub(crate) fn start(listener: &Listener, handles: &Rc<Handles>) -> Self {
        surroundings::listen(listener);
        dropped::listen(listener, handles);
        address::listen(listener);
        announcer::prepare();
        hosts::read(listener);
        Self {
            listener: Rc::clone(listener),
            handles: Rc::clone(handles),
            lock: EngineLock::new(Rc::clone(listener)),
            screen: ScreenLock::default(),
        }
    }

    /// Performs an effect that concerns the browser.
    pub(crate) fn perform(&self, effect: Effect) {
        match effect {
            Effect::ClaimEngine { steal } => self.lock.claim(steal),
            Effect::Persist => self.keeps_data(StorageManager::persist),
            Effect::AskPersisted => self.keeps_data(StorageManager::persisted),
            Effect::Address { diagnostics } => address::show(diagnostics),
            Effect::RememberModel(url) => chosen::remember(&url),
            Effect::ForgetModel(url) => chosen::forget(&url),
            Effect::RememberQueue(models) => queue::remember(&models),
            Effect::RecallQueue => {
                // Whoever asked is still busy.
                let tell = Rc::clone(&self.listener);
                spawn_local(async move { tell(Action::QueueRecalled(queue::recall())) });
            }
            Effect::AllowHost(host) => hosts::allow(&self.listener, &host),
            Effect::ForgetHost(host) => hosts::forget(&self.listener, &host),
            Effect::Resume(resume) => hosts::keep(&resume),
            Effect::WakeLock(wanted) => self.screen.set(wanted),
            Effect::Announce(words) => announcer::say(&words),
            Effect::Copy { number, text } => files::copy(&self.listener, number, text),
            Effect::SaveFile { name, mime, text } => {
                files::save(&self.listener, &name, mime, &text)
            }
            Effect::SaveMade { name } => {
                files::save_made(&self.listener, &name, self.handles.made())
            }
            Effect::PickFile => files::pick(&self.listener),
            Effect::DropFiles => drop(self.handles.chosen()),
            Effect::PickModelFiles => files::pick_model(&self.listener, &self.handles),
            // A page that cannot be loaded again stays as it is.
            Effect::Reload => drop(window().location().reload()),
            _ => {}
        }
    }

    /// Deletes everything that this app ever stored, and tells what came of it.
    pub(crate) fn erase(&self) {
        let tell = Rc::clone(&self.listener);
        spawn_local(async move {
            let result = erase::everything().await;
            tell(Action::Erased(result));
        });
    }

    /// Asks the browser to keep our data when room gets scarce, or whether it does.
    fn keeps_data(&self, ask: fn(&StorageManager) -> Result<Promise, JsValue>) {
        let Some(storage) = storage() else { return };
        let tell = Rc::clone(&self.listener);
        spawn_local(async move {
            let Ok(asked) = ask(&storage) else { return };
            if let Ok(answer) = JsFuture::from(asked).await {
                tell(Action::Persisted(answer.is_truthy()));
            }
        });
    }
}

/// The browser's storage, absent on pages that are not secure.
fn storage() -> Option<StorageManager> {
    let navigator = window().navigator();
    let storage = js_sys::Reflect::get(&navigator, &"storage".into()).ok()?;
    storage.is_object().then(|| navigator.storage())
}

/// How many bytes the browser still lets us store, when it says.
pub(crate) async fn room_left() -> Option<f64> {
    let estimate = JsFuture::from(storage()?.estimate().ok()?).await.ok()?;
    let estimate: StorageEstimate = wasm_bindgen::JsCast::unchecked_into(estimate);
    Some(estimate.get_quota()? - estimate.get_usage().unwrap_or(0.0))
}

/// Path of the folder that the app lies in. Copies of it at other paths of the same host share its storage, so names of what
/// belongs to this copy alone carry it.
pub(crate) fn folder() -> Option<String> {
    let base = document().base_uri().ok()??;
    let folder = Url::new_with_base("./", &base).ok()?;
    Some(folder.pathname())
}

/// What the page knows when it was just opened.
pub(crate) fn opening() -> Opening {
    let parameters = address_parameters();
    let is_named = |(name, value): &(String, String)| name == "model" && !value.is_empty();
    let remembered = match parameters.iter().any(is_named) {
        true => None,
        false => chosen::remembered(),
    };
    let switches = Switches::read(parameters);
    let usual_url = absolute(&switches.model).unwrap_or_else(|| switches.model.clone());
    let model_url = remembered.unwrap_or_else(|| usual_url.clone());
    Opening {
        switches,
        model_url,
        usual_url,
        queue: queue::recall(),
        screen: if address::names_diagnostics() {
            Screen::Diagnostics
        } else {
            Screen::Chat
        },
        environment: surroundings::environment(),
        clock: clock(),
        seed: random(),
        resume: hosts::take(),
    }
}

/// The time.
pub(crate) fn clock() -> Clock {
    Clock {
        wall_millis: js_sys::Date::now(),
        steady_millis: window()
            .performance()
            .map_or_else(js_sys::Date::now, |performance| performance.now()),
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

/// The absolute URL of a folder, with a slash at the end, or of a GGUF file. What names its server is an address already.
fn absolute(model: &str) -> Option<String> {
    if model.contains("://") {
        return None;
    }
    let base = document().base_uri().ok()??;
    let path = if model.ends_with(".gguf") {
        model.to_owned()
    } else {
        format!("{}/", model.trim_end_matches('/'))
    };
    Url::new_with_base(&path, &base).ok().map(|url| url.href())
}

/// A random number. `Math.random` is enough for chat numbers and seeds: nothing secret hangs on them.
fn random() -> u64 {
    let half = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
    half() << 32 | half()
}
