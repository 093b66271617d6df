//! Subgroups for wgpu, and what the browser says about adapter and device.
//!
//! wgpu's web backend has no name for the feature `subgroups` (gfx-rs/wgpu issue 10146), so it never asks for it. Until
//! it does, `GPUAdapter.prototype.requestDevice` is wrapped before the first call: the wrapper adds `subgroups` when the
//! adapter lists it, and keeps adapter and device, so that what was really granted can be read back.

use std::cell::{Cell, RefCell};

use js_sys::{Array, Function, Object, Promise, Proxy, Reflect, WeakRef};
use protocol::{AdapterInfo, DeviceReport, Limit};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};

use crate::DeviceProbe;

const SUBGROUPS: &str = "subgroups";

thread_local! {
    static ALLOWED: Cell<bool> = const { Cell::new(true) };
    static ADAPTER: RefCell<JsValue> = const { RefCell::new(JsValue::UNDEFINED) };
    /// The last device.
    static DEVICE: RefCell<JsValue> = const { RefCell::new(JsValue::UNDEFINED) };
    /// Every device that is not lost yet: a test has one beside the model's. One that nobody has any more is left to the browser.
    static DEVICES: RefCell<Vec<WeakRef>> = const { RefCell::new(Vec::new()) };
}

/// The probe as the engine's port takes it.
pub(super) const PROBE: DeviceProbe = DeviceProbe {
    has_webgpu: || !gpu().is_falsy(),
    allow_subgroups: |allowed| ALLOWED.set(allowed),
    subgroups_granted: || DEVICE.with_borrow(|device| has_feature(device, SUBGROUPS)),
    report,
    now: || {
        super::scope()
            .performance()
            .map_or(0.0, |performance| performance.now())
    },
    agent: || super::scope().navigator().user_agent().unwrap_or_default(),
};

/// Wraps `requestDevice`. Does nothing in a browser without WebGPU.
pub(super) fn install() {
    let prototype = get(&get(&js_sys::global(), "GPUAdapter"), "prototype");
    let original = get(&prototype, "requestDevice");
    if !original.is_function() {
        return;
    }
    // A proxy, since a Rust closure does not see the `this` it is called on.
    let apply = Closure::<dyn Fn(Function, JsValue, Array) -> Result<JsValue, JsValue>>::new(
        request_device,
    );
    let handler = Object::new();
    let wrapped = Reflect::set(&handler, &"apply".into(), apply.as_ref()).and_then(|_| {
        Reflect::set(
            &prototype,
            &"requestDevice".into(),
            &Proxy::new(&original, &handler),
        )
    });
    if let Err(error) = wrapped {
        log::warn!("requestDevice could not be wrapped, so there will be no subgroups: {error:?}");
    }
    // The prototype lives as long as the worker.
    apply.forget();
}

/// Gives every device back, with everything on it.
pub(super) fn destroy() {
    let devices = DEVICES.take();
    for device in devices.iter().filter_map(|device| device.deref()) {
        if let Some(destroy) = get(&device, "destroy").dyn_ref::<Function>()
            && let Err(error) = destroy.call0(&device)
        {
            log::warn!("a device could not be given back: {error:?}");
        }
    }
}

/// Keeps a device in the list until it is lost.
fn remember(device: &JsValue) {
    let (Some(object), Ok(lost)) = (
        device.dyn_ref::<Object>(),
        get(device, "lost").dyn_into::<Promise>(),
    ) else {
        return;
    };
    let entry = WeakRef::new(object);
    DEVICES.with_borrow_mut(|devices| devices.push(entry.clone()));
    spawn_local(async move {
        // However it ends, it is no device any more.
        let _reason = JsFuture::from(lost).await;
        DEVICES.with_borrow_mut(|devices| devices.retain(|other| !Object::is(other, &entry)));
    });
}

/// What `adapter.requestDevice(...)` does now.
fn request_device(
    original: Function,
    adapter: JsValue,
    arguments: Array,
) -> Result<JsValue, JsValue> {
    let asked = arguments.get(0);
    let descriptor = if asked.is_object() {
        Object::assign(&Object::new(), asked.unchecked_ref())
    } else {
        Object::new()
    };
    if ALLOWED.get() && has_feature(&adapter, SUBGROUPS) {
        let features = Array::new();
        for feature in strings(&get(&descriptor, "requiredFeatures")) {
            features.push(&JsValue::from_str(&feature));
        }
        if !features.includes(&JsValue::from_str(SUBGROUPS), 0) {
            features.push(&JsValue::from_str(SUBGROUPS));
        }
        Reflect::set(&descriptor, &"requiredFeatures".into(), &features)?;
    }
    let promise: Promise = original.call1(&adapter, &descriptor)?.unchecked_into();
    let granted = future_to_promise(async move {
        let device = JsFuture::from(promise).await?;
        remember(&device);
        ADAPTER.set(adapter);
        DEVICE.set(device.clone());
        Ok(device)
    });
    Ok(granted.into())
}

/// What the browser says; the engine's part is left empty.
fn report() -> DeviceReport {
    let adapter = ADAPTER.with_borrow(Clone::clone);
    let device = DEVICE.with_borrow(Clone::clone);
    let info = get(&adapter, "info");
    let text = |name: &str| get(&info, name).as_string().unwrap_or_default();
    DeviceReport {
        adapter: AdapterInfo {
            vendor: text("vendor"),
            architecture: text("architecture"),
            device: text("device"),
            description: text("description"),
            is_fallback: get(&info, "isFallbackAdapter").as_bool(),
        },
        adapter_features: strings(&get(&adapter, "features")),
        device_features: strings(&get(&device, "features")),
        language_features: strings(&get(&gpu(), "wgslLanguageFeatures")),
        adapter_limits: limits(&get(&adapter, "limits")),
        limits: limits(&get(&device, "limits")),
        engine: String::new(),
        variant: String::new(),
        is_tuned: false,
        generation: 0,
    }
}

/// Limits are getters of the prototype, so they are not keys of the object itself.
fn limits(limits: &JsValue) -> Vec<Limit> {
    let Some(limits) = limits.dyn_ref::<Object>() else {
        return Vec::new();
    };
    let names = strings(&Object::get_own_property_names(&Object::get_prototype_of(
        limits,
    )));
    names
        .into_iter()
        .filter_map(|name| {
            get(limits, &name)
                .as_f64()
                .map(|value| Limit { name, value })
        })
        .collect()
}

fn gpu() -> JsValue {
    get(&get(&js_sys::global(), "navigator"), "gpu")
}

fn has_feature(owner: &JsValue, name: &str) -> bool {
    strings(&get(owner, "features"))
        .iter()
        .any(|feature| feature == name)
}

/// The strings of an iterable, sorted; none of anything else.
fn strings(iterable: &JsValue) -> Vec<String> {
    let Ok(Some(values)) = js_sys::try_iter(iterable) else {
        return Vec::new();
    };
    let mut strings: Vec<String> = values.filter_map(|value| value.ok()?.as_string()).collect();
    strings.sort();
    strings
}

/// A property, or undefined where there is none.
fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}
