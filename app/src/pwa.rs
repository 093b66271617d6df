//! The app as something installed: its start, its service worker, new versions of itself, and parts that do not fit together.
//!
//! A new version waits until the person agrees; the state decides when that may be asked. The service worker is
//! `public/sw.js`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use app::Action;
use gloo::events::EventListener;
use gloo::timers::callback::Timeout;
use leptos::prelude::{document, request_animation_frame, window};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    RegistrationOptions, RequestCache, RequestInit, ServiceWorker, ServiceWorkerContainer,
    ServiceWorkerRegistration, ServiceWorkerState, ServiceWorkerUpdateViaCache,
};

/// The service worker's file, beside the page.
const SERVICE_WORKER: &str = "sw.js";
/// What makes a waiting service worker take over.
const SKIP_WAITING: &str = "SKIP_WAITING";
/// An app on the home screen stays open for days, so it asks for new versions itself, when it is looked at, at most this often.
const CHECK_MILLIS: f64 = 60.0 * 60.0 * 1000.0;
/// Note of this tab when the page was loaded again because the worker was of another build.
const HEALED: &str = "tern-healed";
/// Not oftener than this: what one load did not heal, a second one right after it will not either.
const HEAL_MILLIS: f64 = 10.0 * 60.0 * 1000.0;
/// The id of what index.html shows before the app runs.
const BOOT: &str = "boot";
/// Files without a hash in their name, which the browser may have kept from another build.
const UNHASHED: [&str; 5] = [
    "./",
    "worker_loader.js",
    "worker.js",
    "worker_bg.wasm",
    "reader.js",
];

/// Takes what happened.
type Listener = Rc<dyn Fn(Action)>;

/// The app's versions. Nothing happens where there are no service workers (private windows, plain HTTP on a network).
pub(crate) struct Pwa {
    listener: Listener,
    registration: RefCell<Option<ServiceWorkerRegistration>>,
    /// Whether a service worker served this page, or has taken it over since.
    served: Cell<bool>,
    /// Whether the person wants the version that waits.
    applying: Cell<bool>,
    last_check: Cell<f64>,
}

impl Pwa {
    /// Registers the service worker once the page has been drawn, and tells `listener` of versions that are ready.
    pub(crate) fn start(listener: impl Fn(Action) + 'static) -> Rc<Self> {
        let pwa = Rc::new(Self {
            listener: Rc::new(listener),
            registration: RefCell::default(),
            served: Cell::new(false),
            applying: Cell::new(false),
            last_check: Cell::new(js_sys::Date::now()),
        });
        if let Some(container) = container() {
            pwa.served.set(container.controller().is_some());
            let here = Rc::clone(&pwa);
            EventListener::new(&container, "controllerchange", move |_| here.taken_over()).forget();
            let here = Rc::clone(&pwa);
            EventListener::new(&document(), "visibilitychange", move |_| {
                here.look_for_update()
            })
            .forget();
            let here = Rc::clone(&pwa);
            after_paint(move || spawn_local(here.register(container)));
        }
        pwa
    }

    /// Has the waiting version take over; the page is loaded again when it has.
    pub(crate) fn apply_update(&self) {
        let waiting = self
            .registration
            .borrow()
            .as_ref()
            .and_then(ServiceWorkerRegistration::waiting);
        let asked = waiting.is_some_and(|worker| worker.post_message(&SKIP_WAITING.into()).is_ok());
        if asked {
            self.applying.set(true);
        } else {
            // It has taken over already, for another tab.
            reload();
        }
    }

    async fn register(self: Rc<Self>, container: ServiceWorkerContainer) {
        let options = RegistrationOptions::new();
        options.set_update_via_cache(ServiceWorkerUpdateViaCache::None);
        let registered = JsFuture::from(container.register_with_options(SERVICE_WORKER, &options));
        // A browser may be told to block it, and then answer with nothing.
        let registered = registered.await.and_then(JsCast::dyn_into);
        let registration: ServiceWorkerRegistration = match registered {
            Ok(registration) => registration,
            Err(error) => {
                // The app works without; it only has to be fetched each time.
                leptos::logging::warn!("the service worker could not be registered: {error:?}");
                return;
            }
        };
        if registration.waiting().is_some() && container.controller().is_some() {
            self.tell_ready();
        }
        if let Some(worker) = registration.installing() {
            self.watch(&worker);
        }
        let here = Rc::clone(&self);
        let found = registration.clone();
        EventListener::new(&registration, "updatefound", move |_| {
            if let Some(worker) = found.installing() {
                here.watch(&worker);
            }
        })
        .forget();
        *self.registration.borrow_mut() = Some(registration);
    }

    /// Tells when a new version has been stored completely. The very first one is no update.
    fn watch(self: &Rc<Self>, worker: &ServiceWorker) {
        let (here, installing) = (Rc::clone(self), worker.clone());
        EventListener::new(worker, "statechange", move |_| {
            if installing.state() == ServiceWorkerState::Installed && here.served.get() {
                here.tell_ready();
            }
        })
        .forget();
    }

    /// Another service worker serves this page now.
    fn taken_over(&self) {
        if self.applying.get() {
            reload();
        } else if self.served.replace(true) {
            // Another tab wanted the new version. This one may be in the middle of an answer: it asks as well.
            self.tell_ready();
        }
    }

    fn look_for_update(&self) {
        let now = js_sys::Date::now();
        if document().hidden() || (now - self.last_check.get()).abs() < CHECK_MILLIS {
            return;
        }
        if let Some(registration) = self.registration.borrow().as_ref() {
            self.last_check.set(now);
            if let Ok(checked) = registration.update() {
                // Offline this fails, which is no news.
                spawn_local(async move { drop(JsFuture::from(checked).await) });
            }
        }
    }

    fn tell_ready(&self) {
        (self.listener)(Action::UpdateReady);
    }
}

/// Takes away what index.html showed until the page was drawn.
pub(crate) fn drawn() {
    if let Some(boot) = document().get_element_by_id(BOOT) {
        boot.remove();
    }
}

/// Runs `action` when what the page holds now has been drawn; at once where nobody looks and browsers draw nothing.
pub(crate) fn after_paint(action: impl FnOnce() + 'static) {
    // A frame's callback runs before the frame is drawn, a task that it starts after that.
    let later = move || drop(Timeout::new(0, action).forget());
    if document().hidden() {
        later();
    } else {
        request_animation_frame(later);
    }
}

/// Loads the page and the worker again past every cache, because they are of different builds. Once in a while only: if it
/// does not help, the page keeps showing the failure.
pub(crate) fn heal() {
    let now = js_sys::Date::now();
    let Some(notes) = window().session_storage().ok().flatten() else {
        return;
    };
    let last = notes.get_item(HEALED).ok().flatten();
    let recent = last
        .and_then(|text| text.parse::<f64>().ok())
        .is_some_and(|last| (now - last).abs() < HEAL_MILLIS);
    // Without a note there would be no end to it.
    if recent || notes.set_item(HEALED, &now.to_string()).is_err() {
        return;
    }
    spawn_local(async {
        for file in UNHASHED {
            let options = RequestInit::new();
            options.set_cache(RequestCache::Reload);
            let fetched = JsFuture::from(window().fetch_with_str_and_init(file, &options)).await;
            if fetched.is_err() {
                return;
            }
        }
        reload();
    });
}

fn reload() {
    if let Err(error) = window().location().reload() {
        leptos::logging::warn!("the page could not be loaded again: {error:?}");
    }
}

/// The browser's service workers; absent where it offers none.
fn container() -> Option<ServiceWorkerContainer> {
    // The binding claims that it is always there.
    js_sys::Reflect::get(&window().navigator(), &"serviceWorker".into())
        .ok()
        .filter(|container| !container.is_undefined())
        .map(JsCast::unchecked_into)
}
