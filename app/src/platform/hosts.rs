//! The list of servers that the person has allowed. It lies in a cache, because that is where both the service worker and the
//! app's worker can read it; and what the page goes on with when it was loaded again for a change of it.

use std::rc::Rc;

use app::{Action, HostProblem, Resume};
use gloo::timers::callback::Timeout;
use js_sys::{Array, Function, Promise, Reflect};
use leptos::prelude::window;
use protocol::{MAX_HOSTS, Origin};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{CacheStorage, Response, ServiceWorkerRegistration, Storage};

use crate::page::Listener;

/// The cache, whose name has the app's folder behind this, and the list in it; `public/sw.js` and `worker/src/web/hosts.rs` use
/// the same.
const CACHE: &str = "tern-hosts";
const LIST: &str = "allowed-hosts";
/// How often, and after how many milliseconds each, a service worker is waited for that is being installed.
const WAITS: u32 = 20;
const WAIT_MILLIS: u32 = 250;

/// Reads the list.
pub(super) fn read(listener: &Listener) {
    let tell = Rc::clone(listener);
    spawn_local(async move {
        // Where it can't be read there is none.
        let list = allowed().await.unwrap_or_default();
        if !list.is_empty() {
            tell(Action::HostsRead(names(&list)));
        }
    });
}

/// Adds a server.
pub(super) fn allow(listener: &Listener, host: &str) {
    let Some(origin) = Origin::parse(host) else {
        return;
    };
    change(listener, true, move |list| list.push(origin));
}

/// Takes a server away.
pub(super) fn forget(listener: &Listener, host: &str) {
    let host = host.to_owned();
    change(listener, false, move |list| {
        list.retain(|origin| origin.as_str() != host);
    });
}

fn change(listener: &Listener, is_served: bool, change: impl FnOnce(&mut Vec<Origin>) + 'static) {
    let tell = Rc::clone(listener);
    spawn_local(async move {
        let changed = async {
            if is_served && !has_service_worker().await {
                return Err(HostProblem::NoServiceWorker);
            }
            let stored = |error: JsValue| HostProblem::Storage {
                detail: format!("{error:?}"),
            };
            let mut list = allowed().await.map_err(stored)?;
            change(&mut list);
            list.sort();
            list.dedup();
            if list.len() > MAX_HOSTS {
                return Err(HostProblem::TooMany);
            }
            let list = names(&list);
            write(&list).await.map_err(stored)?;
            Ok(list)
        };
        tell(Action::HostsStored(changed.await));
    });
}

fn names(list: &[Origin]) -> Vec<String> {
    list.iter()
        .map(|origin| origin.as_str().to_owned())
        .collect()
}

fn caches() -> Result<CacheStorage, JsValue> {
    let there = Reflect::get(&window(), &"caches".into())?;
    if !there.is_object() {
        return Err("the browser offers no caches here".into());
    }
    Ok(there.unchecked_into())
}

/// Calls a function of the cache and waits for what comes of it.
async fn ask_cache(function: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let cache = JsFuture::from(caches()?.open(&cache_name())).await?;
    let function: Function = Reflect::get(&cache, &function.into())?.dyn_into()?;
    let arguments: Array = arguments.iter().collect();
    let promise: Promise = function.apply(&cache, &arguments)?.dyn_into()?;
    JsFuture::from(promise).await
}

/// The name of the cache.
pub(super) fn cache_name() -> String {
    format!("{CACHE} {}", super::folder().unwrap_or_default())
}

async fn allowed() -> Result<Vec<Origin>, JsValue> {
    // To open a cache makes one.
    if JsFuture::from(caches()?.has(&cache_name()))
        .await?
        .is_falsy()
    {
        return Ok(Vec::new());
    }
    let found = ask_cache("match", &[LIST.into()]).await?;
    let Ok(response) = found.dyn_into::<Response>() else {
        return Ok(Vec::new());
    };
    let text = JsFuture::from(response.text()?).await?.as_string();
    let list: Vec<String> = serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
    Ok(list.iter().filter_map(|text| Origin::parse(text)).collect())
}

async fn write(list: &[String]) -> Result<(), JsValue> {
    let json = serde_json::to_string(list).map_err(|error| error.to_string())?;
    let response = Response::new_with_opt_str(Some(&json))?;
    ask_cache("put", &[LIST.into(), response.into()]).await?;
    Ok(())
}

/// Whether there is a service worker that will serve this page when it is loaded again. On a first visit it may still be
/// storing the app.
async fn has_service_worker() -> bool {
    for _ in 0..WAITS {
        match registration().await {
            Ok(Some(registration)) if registration.active().is_some() => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
        let wait = Promise::new(&mut |resolve, _| {
            Timeout::new(WAIT_MILLIS, move || {
                let _woken = resolve.call0(&JsValue::NULL);
            })
            .forget();
        });
        let _waited = JsFuture::from(wait).await;
    }
    false
}

async fn registration() -> Result<Option<ServiceWorkerRegistration>, JsValue> {
    let navigator = window().navigator();
    if !Reflect::get(&navigator, &"serviceWorker".into())?.is_object() {
        return Err(JsValue::UNDEFINED);
    }
    let asked = navigator.service_worker().get_registration();
    Ok(JsFuture::from(asked).await?.dyn_into().ok())
}

/// The store and the name of the note for the next load of this page.
fn store() -> Option<(Storage, String)> {
    let store = window().session_storage().ok()??;
    Some((store, format!("tern-resume {}", super::folder()?)))
}

/// Leaves a note for the next load. Without it the page begins as ever.
pub(super) fn keep(resume: &Resume) {
    if let Some((store, name)) = store()
        && let Ok(json) = serde_json::to_string(resume)
    {
        let _kept = store.set_item(&name, &json);
    }
}

/// Takes the note that the last load has left, once.
pub(super) fn take() -> Option<Resume> {
    let (store, name) = store()?;
    let json = store.get_item(&name).ok()??;
    let _taken = store.remove_item(&name);
    serde_json::from_str(&json).ok()
}
