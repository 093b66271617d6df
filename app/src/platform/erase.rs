//! The end of everything that this app ever stored.

use gloo::timers::callback::Timeout;
use js_sys::{Array, Promise, Reflect};
use leptos::prelude::window;
use rexie::Rexie;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{CacheStorage, ServiceWorkerRegistration};

use crate::db::DATABASE;

/// The worker's database of models.
const MODELS: &str = "tern-models";
/// How the names of notes begin that are ours. On shared hosts other apps may live beside this one.
const PREFIX: &str = "tern";
/// How long a database may take to go. Another tab that does not let go of it would hold it up for ever.
const DELETE_MILLIS: u32 = 10_000;

/// Deletes it.
///
/// # Errors
/// What could not be deleted, in technical words.
pub(super) async fn everything() -> Result<(), String> {
    let mut problems = Vec::new();
    for name in [DATABASE, MODELS] {
        if let Err(problem) = database(name).await {
            problems.push(problem);
        }
    }
    if let Err(error) = caches().await {
        problems.push(format!("caches: {error:?}"));
    }
    if let Err(error) = service_worker().await {
        problems.push(format!("service worker: {error:?}"));
    }
    notes();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("; "))
    }
}

/// Deletes a database. The deletion goes on behind a timeout: a future of rexie must not be dropped while it runs.
async fn database(name: &'static str) -> Result<(), String> {
    let mut settle = None;
    let done = Promise::new(&mut |resolve, _| settle = Some(resolve));
    let Some(settle) = settle else {
        return Err(format!("database {name}: the browser has no promises"));
    };
    let late = settle.clone();
    let timeout = Timeout::new(DELETE_MILLIS, move || {
        let words =
            format!("not deleted within {DELETE_MILLIS} ms, is the app open in another tab?");
        let _told = late.call1(&JsValue::NULL, &words.into());
    });
    spawn_local(async move {
        let words = match Rexie::delete(name).await {
            Ok(()) => JsValue::NULL,
            Err(error) => format!("{error}").into(),
        };
        let _told = settle.call1(&JsValue::NULL, &words);
    });
    let words = JsFuture::from(done).await.unwrap_or_else(|error| error);
    drop(timeout);
    match words.as_string() {
        Some(words) => Err(format!("database {name}: {words}")),
        None => Ok(()),
    }
}

async fn caches() -> Result<(), JsValue> {
    let window = window();
    let there = Reflect::get(&window, &"caches".into())?;
    if !there.is_object() {
        return Ok(());
    }
    let caches: CacheStorage = there.unchecked_into();
    // As sw.js names them. Another copy of the app on this host keeps its own.
    let folder = super::folder().unwrap_or_default();
    let ours = format!("tern-shell {folder} ");
    let hosts = super::hosts::cache_name();
    let names = Array::from(&JsFuture::from(caches.keys()).await?);
    for name in names.iter().filter_map(|name| name.as_string()) {
        if name.starts_with(&ours) || name == hosts {
            JsFuture::from(caches.delete(&name)).await?;
        }
    }
    Ok(())
}

/// The service worker of this page goes too; the next load registers it anew, with a fresh copy of the app.
async fn service_worker() -> Result<(), JsValue> {
    let navigator = window().navigator();
    let there = Reflect::get(&navigator, &"serviceWorker".into())?;
    if !there.is_object() {
        return Ok(());
    }
    let asked = navigator.service_worker().get_registration();
    let registration = JsFuture::from(asked).await?;
    if let Ok(registration) = registration.dyn_into::<ServiceWorkerRegistration>() {
        JsFuture::from(registration.unregister()?).await?;
    }
    Ok(())
}

/// Small notes beside the databases.
fn notes() {
    let window = window();
    let stores = [window.local_storage(), window.session_storage()];
    for store in stores.into_iter().filter_map(Result::ok).flatten() {
        let length = store.length().unwrap_or(0);
        let names: Vec<String> = (0..length)
            .filter_map(|index| store.key(index).ok().flatten())
            .filter(|name| name.starts_with(PREFIX))
            .collect();
        for name in names {
            let _removed = store.remove_item(&name);
        }
    }
}
