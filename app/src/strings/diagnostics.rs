//! Words of the diagnostics page, and of the report that is made of it.

use protocol::{BenchmarkReport, BenchmarkStep};

/// Heading of the screen, and the button that opens it.
pub const DIAGNOSTICS: &str = "Diagnostics";
/// Under the heading.
pub const DIAGNOSTICS_LEAD: &str = "What this device offers, whether it computes correctly, how fast it is, and what happened lately. Nothing is sent: you decide who gets the report.";
/// Button.
pub const COPY_REPORT: &str = "Copy report";
/// Button.
pub const SAVE_REPORT: &str = "Save as file";
/// First line of the report.
pub const REPORT_TITLE: &str = "Tern diagnostics";

/// Heading of a group.
pub const GROUP_CHECKS: &str = "Checks";
/// Name of a check and what it is.
pub const SELF_TEST: (&str, &str) = (
    "Self-test",
    "A tiny model is computed here and compared with known results.",
);
/// Name of a check and what it is.
pub const BENCHMARK: (&str, &str) = (
    "Benchmark",
    "A few seconds of reading and writing. The result is for this device only.",
);
/// Name of a check and what it is.
pub const LOSE_DEVICE: (&str, &str) = (
    "Lose the GPU",
    "Takes the graphics processor away, as a crash would. The app gets it back, and a running answer goes on.",
);
/// Button.
pub const RUN_SELF_TEST: &str = "Run self-test";
/// Button.
pub const RUN_BENCHMARK: &str = "Run benchmark";
/// Nothing can be tried now.
pub const NOT_NOW: &str = "Possible as soon as the model is idle.";
/// There is no device to lose.
pub const NO_DEVICE: &str = "Needs a loaded model.";
/// It is going on.
pub const TESTING: &str = "Testing…";
/// Nothing was tested yet.
pub const NOT_TESTED: &str = "Not run yet";
/// Label of the bar.
pub const BENCHMARK_PROGRESS: &str = "Progress of the benchmark";
/// The model that the benchmark took where there was none.
pub const MADE_UP: &str = "a small made-up model, since none is loaded";

/// Heading of a group.
pub const GROUP_APP: &str = "This app";
/// Heading of a group.
pub const GROUP_GPU: &str = "Graphics processor";
/// Heading of a group.
pub const GROUP_LIMITS: &str = "Limits, offered and granted";
/// Heading of a group.
pub const FLIGHT: &str = "Recent events";
/// Label of the list.
pub const FLIGHT_LABEL: &str = "Recent events, newest first";
/// What it is.
pub const FLIGHT_NOTE: &str =
    "Seconds since the page was opened, newest first. It holds no words of your chats.";

/// Label.
pub const STATE: &str = "State";
/// Label.
pub const PROTOCOL: &str = "Protocol";
/// Label.
pub const BROWSER: &str = "Browser";
/// Label.
pub const INSTALLED: &str = "Installed";
/// Label.
pub const SECURE: &str = "Secure connection";
/// Label.
pub const WEBGPU: &str = "WebGPU";
/// Label.
pub const CORES: &str = "Processor cores";
/// Label.
pub const DEVICE_MEMORY: &str = "Memory reported by the browser";
/// Label.
pub const VENDOR: &str = "Maker";
/// Label.
pub const ARCHITECTURE: &str = "Family";
/// Label.
pub const DEVICE_NAME: &str = "Name";
/// Label.
pub const FALLBACK: &str = "Computed in software";
/// Label.
pub const ENGINE: &str = "Engine";
/// Label.
pub const VARIANT: &str = "Kernels in use";
/// Label.
pub const DROPPED: &str = "Kernels dropped";
/// Nothing.
pub const NONE: &str = "None";
/// Label.
pub const FEATURES_GRANTED: &str = "Features granted";
/// Label.
pub const FEATURES_REFUSED: &str = "Offered, not used";
/// Label.
pub const LANGUAGE_FEATURES: &str = "Language features";
/// Label.
pub const DEVICES_SO_FAR: &str = "Devices so far";
/// Label.
pub const GPU_MEMORY: &str = "Memory of the model";
/// Nothing is known of the device.
pub const GPU_UNKNOWN: &str = "Not known yet";
/// Label.
pub const DATABASE: &str = "Chats";
/// Label.
pub const QUOTA: &str = "Allowed by the browser";
/// The chats are stored.
pub const STORED: &str = "Stored";
/// The chats live in memory.
pub const IN_MEMORY: &str = "In memory only";
/// Button that does not wait for the countdown.
pub const TRY_NOW: &str = "Try now";

/// The kernels in use, and why.
#[must_use]
pub fn kernels(name: &str, is_tuned: bool) -> String {
    let why = if is_tuned {
        "the fastest in a trial on this device"
    } else {
        "the usual choice"
    };
    format!("{name} ({why})")
}

/// The test passed.
#[must_use]
pub fn test_passed(variant: &str, millis: f64) -> String {
    format!("Passed by {variant} in {millis:.0} ms")
}

/// A variant that failed.
#[must_use]
pub fn dropped(variant: &str, problem: &str) -> String {
    format!("{variant}: {problem}")
}

/// The device needs the slower way of reading.
#[must_use]
pub fn inexact(difference: &str) -> String {
    format!("prompts are read token by token: {difference}")
}

/// What failed.
#[must_use]
pub fn failed(detail: &str) -> String {
    format!("Failed: {detail}")
}

/// What a benchmark found.
#[must_use]
pub fn measured(report: &BenchmarkReport) -> String {
    let model = if report.is_made_up {
        MADE_UP
    } else {
        &report.model
    };
    format!(
        "Reads {:.1} tokens/s, writes {:.1} tokens/s ({model})",
        report.prefill_speed(),
        report.decode_speed()
    )
}

/// What a benchmark is doing.
#[must_use]
pub const fn measuring(step: BenchmarkStep) -> &'static str {
    match step {
        BenchmarkStep::WarmUp => "Warming up…",
        BenchmarkStep::Prefill => "Reading a prompt…",
        BenchmarkStep::Decode => "Writing an answer…",
    }
}

/// What an adapter offers and a device has, when that differs.
#[must_use]
pub fn limit(offered: f64, granted: f64) -> String {
    if offered == granted {
        whole(granted)
    } else {
        format!("{}, granted {}", whole(offered), whole(granted))
    }
}

/// A whole number, large ones in units of memory beside it.
fn whole(value: f64) -> String {
    const KIBI: f64 = 1024.0;
    let units = [(KIBI * KIBI * KIBI, "GiB"), (KIBI * KIBI, "MiB")];
    for (size, unit) in units {
        if value >= size {
            let number = (value / size * 10.0).round() / 10.0;
            let digits = usize::from(number.fract() > 0.0);
            return format!("{number:.digits$} {unit}");
        }
    }
    format!("{value:.0}")
}

/// A stored model.
#[must_use]
pub fn stored_model(size: &str, shards: u32) -> String {
    let noun = if shards == 1 { "file" } else { "files" };
    format!("{size}, {shards} {noun} of weights")
}

/// A loaded model.
#[must_use]
pub fn loaded_model(name: &str, context: u32) -> String {
    format!("{name}, context {}", super::tokens(context))
}

/// GPU memory of a loaded model.
#[must_use]
pub fn gpu_memory(weights: u64, kv: u64, rest: u64) -> String {
    format!(
        "weights {}, cache {}, rest {}",
        super::bytes(weights),
        super::bytes(kv),
        super::bytes(rest)
    )
}

/// Gigabytes as the browser rounds them.
#[must_use]
pub fn gigabytes(gigabytes: f64) -> String {
    format!("{gigabytes} GB")
}

#[cfg(test)]
mod tests {
    #[test]
    fn limits_are_readable() {
        for (offered, granted, text) in [
            (16.0, 16.0, "16"),
            (65_535.0, 65_535.0, "65535"),
            (134_217_728.0, 134_217_728.0, "128 MiB"),
            (1_610_612_736.0, 1_610_612_736.0, "1.5 GiB"),
            (4_294_967_296.0, 268_435_456.0, "4 GiB, granted 256 MiB"),
            (4_294_967_295.0, 4_294_967_295.0, "4 GiB"),
        ] {
            assert_eq!(super::limit(offered, granted), text);
        }
    }
}
