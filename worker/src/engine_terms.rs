//! What errors and types of crate `engine` are in messages.

use engine::Sampling;
use protocol::{Fault, FaultCode, KvType, SamplingSettings};

use crate::EngineFault;

pub(crate) const fn engine_kv(kv: KvType) -> engine::KvType {
    match kv {
        KvType::F32 => engine::KvType::F32,
        KvType::F16 => engine::KvType::F16,
        KvType::I8 => engine::KvType::I8,
    }
}

pub(crate) const fn protocol_kv(kv: engine::KvType) -> KvType {
    match kv {
        engine::KvType::F32 => KvType::F32,
        engine::KvType::F16 => KvType::F16,
        engine::KvType::I8 => KvType::I8,
    }
}

// What the page lets people choose is what the sampler looks at.
const _: () = assert!(SamplingSettings::MAX_WINDOW == engine::ops::REPETITION_WINDOW_MAX);

pub(crate) fn engine_sampling(sampling: &SamplingSettings) -> Sampling {
    Sampling {
        temperature: sampling.temperature as f32,
        top_k: sampling.top_k,
        top_p: sampling.top_p as f32,
        min_p: sampling.min_p as f32,
        repetition_penalty: sampling.repetition_penalty as f32,
        repetition_window: sampling.repetition_window,
        seed: u64::from(sampling.seed),
    }
}

/// What an engine error means for the request. The error type is open, so what is new counts as a GPU failure.
pub(crate) fn fault(error: engine::Error) -> EngineFault {
    use engine::Error as E;
    // Numbers that are none come from a broken device as well as from a broken model; another device is tested first.
    if error.is_device_lost() || matches!(error, E::NonFinite { .. }) {
        return EngineFault::Lost(error.to_string());
    }
    let code = match &error {
        // A browser gives no adapter for a while after its GPU process died, and may hand out one that has no device.
        E::NoAdapter { .. } | E::NoDevice { .. } => {
            return EngineFault::Absent(Fault::new(FaultCode::NoAdapter, error.to_string()));
        }
        E::Limit { .. } => FaultCode::LimitsTooSmall,
        E::OutOfMemory { .. } => FaultCode::OutOfMemory,
        E::Model(_) | E::Package { .. } | E::TokenOutOfRange { .. } => FaultCode::BadModel,
        E::ContextFull { .. } => FaultCode::PromptTooLong,
        _ => FaultCode::Gpu,
    };
    EngineFault::Fault(Fault::new(code, error.to_string()))
}

/// The fault of a browser without WebGPU.
pub(crate) fn no_webgpu() -> EngineFault {
    let detail = "this browser has no navigator.gpu";
    EngineFault::Fault(Fault::new(FaultCode::NoWebGpu, detail))
}

#[cfg(test)]
mod tests {
    use super::{EngineFault, fault};

    #[test]
    fn numbers_that_are_none_count_as_a_lost_device() {
        let error = engine::Error::NonFinite { position: 12 };
        let words = error.to_string();
        assert!(words.contains("12"), "{words}");
        assert_eq!(fault(error), EngineFault::Lost(words));
    }
}
