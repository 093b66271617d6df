//! The browser, as far as the page needs it beside its worker and its database.

use app::{Clock, Environment, Opening, Switches};
use leptos::prelude::{document, window};
use web_sys::Url;

/// What the page knows when it was just opened.
pub(crate) fn opening() -> Opening {
    let switches = Switches::read(address_parameters());
    let model_url = absolute(&switches.model).unwrap_or_else(|| switches.model.clone());
    Opening {
        switches,
        model_url,
        environment: Environment::default(),
        clock: clock(),
        seed: random(),
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

/// The absolute URL of a folder, with a slash at the end.
fn absolute(folder: &str) -> Option<String> {
    let base = document().base_uri().ok()??;
    let folder = format!("{}/", folder.trim_end_matches('/'));
    Url::new_with_base(&folder, &base)
        .ok()
        .map(|url| url.href())
}

/// A random number. `Math.random` is enough for chat numbers and seeds: nothing secret hangs on them.
fn random() -> u64 {
    let half = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
    half() << 32 | half()
}
