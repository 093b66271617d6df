//! What models may take of this device's memory: an assumption by the kind of the device, corrected by what happened on it. The
//! worker judges by it (`worker/src/fit.rs`); what was learnt is kept with the flight recorder.

use protocol::{Budget, ByteCount, DeviceReport, ModelInfo, ModelOffer, Request};
use serde::{Deserialize, Serialize};

use super::{Effect, Environment, Sentinel, State};

/// A phone gives a page less than a tablet.
const PHONE_BYTES: u64 = 1_500_000_000;
/// Part of a computer's memory that a page is assumed to get.
const PART_OF_MEMORY: f64 = 0.5;
/// Every device with WebGPU is assumed to give so much.
const LEAST_BYTES: u64 = 1_000_000_000;
/// WebGPU's name of the limit of an adapter that grows with its memory.
const BUFFER_LIMIT: &str = "maxBufferSize";

/// What happened to models on this device, in bytes of graphics memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Learnt {
    /// The most that one has taken and worked.
    pub worked_bytes: u64,
    /// The least with which the system has ended the page since.
    pub killed_bytes: Option<u64>,
    /// The largest buffer that the adapter offered.
    pub buffer_bytes: Option<u64>,
}

impl Learnt {
    /// A page was ended while a model that takes so much was being started: the next one has to take less.
    pub(super) fn killed(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let least = self.killed_bytes.map_or(bytes, |known| known.min(bytes));
        self.killed_bytes = Some(least);
        self.worked_bytes = self.worked_bytes.min(least.saturating_sub(1));
    }

    /// A model that takes so much was started: an end with less was due to something else.
    pub(super) fn worked(&mut self, bytes: u64) {
        self.worked_bytes = self.worked_bytes.max(bytes);
        self.killed_bytes = self.killed_bytes.filter(|killed| *killed > bytes);
    }
}

/// Bytes that a device of this kind is assumed to give a page.
fn assumed_bytes(environment: &Environment) -> u64 {
    let agent = &environment.agent;
    if environment.ios {
        return match agent.contains("iPhone") {
            true => PHONE_BYTES,
            false => Budget::TABLET_BYTES,
        };
    }
    match environment.memory_gigabytes {
        // Browsers that tell it round it, and say 8 where there is more.
        Some(gigabytes) if gigabytes.is_finite() => {
            let part = gigabytes.clamp(0.0, 1024.0) * 1e9 * PART_OF_MEMORY;
            (part as u64).max(LEAST_BYTES)
        }
        _ => Budget::TABLET_BYTES,
    }
}

/// Bytes of a model that is offered.
pub(super) fn offered_bytes(offer: &ModelOffer) -> u64 {
    let parts = [offer.weight_bytes, offer.kv_bytes, offer.other_bytes];
    parts.iter().map(|bytes| bytes.get()).sum()
}

/// Bytes of a model that is loaded.
fn loaded_bytes(model: &ModelInfo) -> u64 {
    let parts = [model.weight_bytes, model.kv_bytes, model.activation_bytes];
    parts.iter().map(|bytes| bytes.get()).sum()
}

impl State {
    /// What models may take.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let bytes = ByteCount::saturating;
        if let Some(megabytes) = self.switches.memory_megabytes {
            return Budget {
                assumed_bytes: bytes(u64::from(megabytes) * 1_000_000),
                ..Budget::default()
            };
        }
        let assumed = Budget {
            assumed_bytes: bytes(assumed_bytes(&self.environment)),
            ..Budget::default()
        };
        let learnt = &self.learnt;
        Budget {
            assumed_bytes: bytes(assumed.bytes(learnt.buffer_bytes)),
            worked_bytes: bytes(learnt.worked_bytes),
            killed_bytes: learnt.killed_bytes.map(bytes),
        }
    }

    /// Tells the worker by what it judges, if it does not know. A new one judges by the defaults.
    pub(super) fn tell_budget(&mut self) -> Option<Effect> {
        let (budget, settings) = (self.budget(), self.switches.settings);
        let known = self.engine.told_budget.replace((budget, settings));
        let known = known.unwrap_or_default();
        (known != (budget, settings)).then_some(Effect::Post(Request::Judge { budget, settings }))
    }

    /// Bytes that the model is about to take, as far as they are known; 0 = they are not.
    pub(super) fn bytes_at_risk(&self) -> u64 {
        match (&self.engine.model, &self.engine.offer) {
            (Some(model), _) => loaded_bytes(model),
            (None, Some(offer)) if offer.model_url == self.model_url => offered_bytes(offer),
            _ => 0,
        }
    }

    /// An earlier page left this behind.
    pub(super) fn learn_from_kill(&mut self, sentinel: &Sentinel) {
        self.learnt.killed(sentinel.bytes);
    }

    /// The model is on the device.
    pub(super) fn learn_from_load(&mut self, model: &ModelInfo) {
        let before = self.learnt;
        self.learnt.worked(loaded_bytes(model));
        if self.learnt != before {
            self.recorder_must_write();
        }
    }

    /// What the adapter offers.
    pub(super) fn learn_from_device(&mut self, report: &DeviceReport) {
        let limits = &mut report.adapter_limits.iter();
        let limit = limits.find(|limit| limit.name == BUFFER_LIMIT);
        let bytes = limit.map(|limit| limit.value.max(0.0) as u64);
        if bytes.is_some() && bytes != self.learnt.buffer_bytes {
            self.learnt.buffer_bytes = bytes;
            self.recorder_must_write();
        }
    }
}
