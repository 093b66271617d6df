//! The hosts that a person has allowed, as the page keeps them for the service worker, and what the worker's policy stops.

use std::cell::RefCell;

use gloo::timers::future::TimeoutFuture;
use js_sys::Reflect;
use protocol::Origin;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, Response, Url};

use super::scope;
use crate::hosts::{Forbidden, Hosts};
use crate::race::first;

/// The cache, whose name has the app's folder behind this, and the name of the list in it; `app/src/platform/hosts.rs` and
/// `public/sw.js` use the same.
const CACHE: &str = "tern-hosts";
const LIST: &str = "allowed-hosts";
/// Milliseconds that the browser may take to give the list. Without it only the hub is asked.
const READ_MILLIS: u32 = 2000;
/// Milliseconds within which a violation of the policy is told behind the request's failure.
const TOLD_MILLIS: u32 = 100;
/// Most violations that are remembered.
const MAX_STOPPED: usize = 16;

thread_local! {
    static HOSTS: RefCell<Hosts> = RefCell::default();
    /// What the policy has stopped: origins, with the policy's text.
    static STOPPED: RefCell<Vec<(String, String)>> = const { RefCell::new(Vec::new()) };
}

/// Reads the list, and listens for what the policy stops.
pub(super) async fn prepare() {
    listen();
    let own = scope().location().origin();
    let read = async {
        let list = allowed().await.unwrap_or_else(|error| {
            log::warn!("the list of allowed hosts could not be read: {error:?}");
            Vec::new()
        });
        HOSTS.set(Hosts::new(own.clone(), list));
    };
    HOSTS.set(Hosts::new(own.clone(), Vec::new()));
    first(read, TimeoutFuture::new(READ_MILLIS)).await;
}

fn listen() {
    let listener = Closure::<dyn Fn(JsValue)>::new(|event: JsValue| {
        let text = |name: &str| {
            let value = Reflect::get(&event, &name.into()).ok();
            value
                .and_then(|value| value.as_string())
                .unwrap_or_default()
        };
        if text("effectiveDirective") != "connect-src" {
            return;
        }
        let blocked = text("blockedURI");
        let stopped = (origin(&blocked).unwrap_or(blocked), text("originalPolicy"));
        STOPPED.with_borrow_mut(|list| {
            list.truncate(MAX_STOPPED - 1);
            list.insert(0, stopped);
        });
    });
    let added = scope().add_event_listener_with_callback(
        "securitypolicyviolation",
        listener.as_ref().unchecked_ref(),
    );
    if let Err(error) = added {
        log::warn!("violations of the policy are not heard: {error:?}");
    }
    // The scope lives as long as the worker.
    listener.forget();
}

async fn allowed() -> Result<Vec<Origin>, JsValue> {
    let scope = scope();
    // The binding claims that it is always there; it is not on pages that are not secure.
    if !Reflect::get(&scope, &"caches".into())?.is_object() {
        return Ok(Vec::new());
    }
    let folder = Url::new_with_base("./", &scope.location().href())?;
    let name = format!("{CACHE} {}", folder.pathname());
    let cache: Cache = JsFuture::from(scope.caches()?.open(&name))
        .await?
        .unchecked_into();
    let list = Url::new_with_base(LIST, &folder.href())?.href();
    let found = JsFuture::from(cache.match_with_str(&list)).await?;
    let Ok(response) = found.dyn_into::<Response>() else {
        return Ok(Vec::new());
    };
    let text = JsFuture::from(response.text()?).await?.as_string();
    let list: Vec<String> = serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
    let list = list.iter().filter_map(|text| Origin::parse(text));
    Ok(list.take(protocol::MAX_HOSTS).collect())
}

/// Checks where a request goes, before it is made.
pub(super) fn check(url: &str) -> Result<(), Forbidden> {
    let origin = origin(url).ok_or_else(|| Forbidden::Name(url.to_owned()))?;
    HOSTS.with_borrow(|hosts| hosts.check(&origin))
}

/// Checks where an answer came from in the end. A policy would not have let it come.
pub(super) fn check_answer(url: &str, response: &Response) -> Result<(), Forbidden> {
    if !response.redirected() {
        return Ok(());
    }
    check(&response.url()).map_err(|_| Forbidden::Redirect {
        from: origin(url).unwrap_or_default(),
        to: origin(&response.url()),
    })
}

/// Whether the policy was it that made a request fail.
pub(super) async fn stopped(url: &str) -> Option<Forbidden> {
    let origin = origin(url)?;
    let find = || {
        STOPPED.with_borrow_mut(|list| {
            let index = list.iter().position(|(stopped, _)| *stopped == origin)?;
            Some(list.remove(index).1)
        })
    };
    let mut policy = find();
    if policy.is_none() {
        // The event may come behind the failure.
        TimeoutFuture::new(TOLD_MILLIS).await;
        policy = find();
    }
    policy.map(|policy| Hosts::stopped(&origin, &policy))
}

fn origin(url: &str) -> Option<String> {
    Url::new(url).ok().map(|url| url.origin())
}
