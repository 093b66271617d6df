//! What `tern bench --json` prints, as far as it is compared. Another commit's tern may know less: what is absent is no figure.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// Name of the yardstick's figure. It reads memory and knows no model, so it should be the same in all runs.
pub(super) const READ: &str = "read kernel GB/s";

/// One report.
#[derive(Debug, Clone)]
pub(super) struct Report {
    fields: Fields,
    value: Value,
}

/// One measured number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// What it is, with its unit and what it depends on; the same on both sides if they can be compared.
    pub(super) name: String,
    pub(super) value: f64,
}

/// The fields of `engine::bench::Report` that matter here.
#[derive(Debug, Clone, Deserialize)]
struct Fields {
    device: String,
    adapter: String,
    model: String,
    verified: bool,
    #[serde(default)]
    software: bool,
    read: Option<Read>,
    #[serde(default)]
    decode: Vec<Decode>,
    #[serde(default)]
    prefill: Vec<Prefill>,
    prefill_chunk: Option<(u32, Option<f64>)>,
    #[serde(default)]
    kernels: Vec<Kernel>,
    #[serde(default)]
    checks: Vec<Check>,
    same_tokens: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct Read {
    bytes_per_second: Option<f64>,
    verified: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct Decode {
    context: u32,
    tokens_per_second: Option<f64>,
    gpu_seconds: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Prefill {
    tokens: u32,
    tokens_per_second: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Kernel {
    phase: String,
    name: String,
    seconds: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Check {
    phase: String,
    label: String,
    passed: bool,
}

/// Reads what the program printed.
///
/// # Errors
/// If it is not JSON, or lacks what every report has: `device`, `adapter`, `model`, `verified`.
pub(super) fn parse(text: &str) -> Result<Report> {
    let value: Value = serde_json::from_str(text).with_context(|| {
        let start: String = text.trim().chars().take(80).collect();
        format!("no report, but `{start}`")
    })?;
    let fields = Fields::deserialize(&value).context("a report of another form")?;
    Ok(Report { fields, value })
}

impl Report {
    /// Whether everything that was timed was right.
    pub(super) const fn is_verified(&self) -> bool {
        self.fields.verified
    }

    pub(super) fn adapter(&self) -> &str {
        &self.fields.adapter
    }

    /// Adapter, driver and kernel variant.
    pub(super) fn device(&self) -> &str {
        &self.fields.device
    }

    pub(super) fn model(&self) -> &str {
        &self.fields.model
    }

    /// Whether the adapter computes in software.
    pub(super) const fn is_software(&self) -> bool {
        self.fields.software
    }

    /// A field as it was printed.
    pub(super) fn field(&self, name: &str) -> Value {
        self.value.get(name).cloned().unwrap_or_default()
    }

    /// The checks that failed, by name.
    pub(super) fn what_is_wrong(&self) -> String {
        let failed = self.fields.checks.iter().filter(|check| !check.passed);
        let mut wrong: Vec<String> = failed
            .map(|check| format!("{} {}", check.phase, check.label))
            .collect();
        if self.fields.read.as_ref().and_then(|read| read.verified) == Some(false) {
            wrong.push("the read kernel".to_owned());
        }
        if self.fields.same_tokens == Some(false) {
            wrong.push("prefill and single steps chose different tokens".to_owned());
        }
        if wrong.is_empty() {
            wrong.push("the report does not say what".to_owned());
        }
        wrong.join(", ")
    }

    /// Everything that is compared, in the order of the table. Kernels of prefill are timed over a chunk, so its length is
    /// part of their names.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let fields = &self.fields;
        let chunk = fields.prefill_chunk.map_or_else(
            || "a chunk".to_owned(),
            |(tokens, _)| format!("a chunk of {tokens}"),
        );
        let mut figures = Vec::new();
        let mut add = |name: String, value: Option<f64>, factor: f64| {
            figures.extend(figure(name, value, factor));
        };
        let read = fields.read.as_ref();
        add(
            READ.to_owned(),
            read.and_then(|read| read.bytes_per_second),
            1e-9,
        );
        for decode in &fields.decode {
            add(
                format!("decode tokens/s at {}", decode.context),
                decode.tokens_per_second,
                1.0,
            );
        }
        for decode in &fields.decode {
            add(
                format!("GPU ms a step at {}", decode.context),
                decode.gpu_seconds,
                1e3,
            );
        }
        for prefill in &fields.prefill {
            add(
                format!("prefill tokens/s of {}", prefill.tokens),
                prefill.tokens_per_second,
                1.0,
            );
        }
        add(
            format!("GPU ms {chunk}"),
            fields.prefill_chunk.and_then(|(_, seconds)| seconds),
            1e3,
        );
        for kernel in &fields.kernels {
            let run = if kernel.phase == "prefill" {
                &chunk
            } else {
                "a step"
            };
            add(
                format!("{}: us {run} in {}", kernel.phase, kernel.name),
                kernel.seconds,
                1e6,
            );
        }
        figures
    }
}

/// A figure in the unit of its name. A time of zero, and what JSON cannot hold, was not measured.
fn figure(name: String, value: Option<f64>, factor: f64) -> Option<Figure> {
    let value = value.filter(|value| value.is_finite() && *value > 0.0)? * factor;
    Some(Figure { name, value })
}

/// A verified report without figures.
#[cfg(test)]
pub(super) fn example(adapter: &str) -> Report {
    let text = format!(
        r#"{{"device":"{adapter} driver","adapter":"{adapter}","model":"m","verified":true}}"#
    );
    parse(&text).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"{
        "device": "card driver", "adapter": "card", "model": "m", "verified": true, "software": true, "kv": "f16",
        "read": { "bytes_per_second": 4.2e12, "verified": true },
        "decode": [{ "context": 128, "tokens_per_second": 1044.0, "gpu_seconds": 0.00094 },
                   { "context": 512, "tokens_per_second": 966.0, "gpu_seconds": null }],
        "prefill": [{ "tokens": 128, "tokens_per_second": 8910.0 }],
        "prefill_chunk": [256, 0.02],
        "kernels": [{ "phase": "decode", "name": "qkv", "kernel": "norm_gemv", "seconds": 7e-6 },
                    { "phase": "prefill", "name": "qkv", "seconds": 3e-4 },
                    { "phase": "decode", "name": "o", "seconds": 0.0 }]
    }"#;

    #[test]
    fn figures_have_units_and_what_was_not_measured_is_none() {
        let report = parse(FULL).unwrap();
        let figures: Vec<String> = report
            .figures()
            .iter()
            .map(|figure| format!("{} = {:.3}", figure.name, figure.value))
            .collect();
        assert_eq!(
            figures,
            [
                "read kernel GB/s = 4200.000",
                "decode tokens/s at 128 = 1044.000",
                "decode tokens/s at 512 = 966.000",
                "GPU ms a step at 128 = 0.940",
                "prefill tokens/s of 128 = 8910.000",
                "GPU ms a chunk of 256 = 20.000",
                "decode: us a step in qkv = 7.000",
                "prefill: us a chunk of 256 in qkv = 300.000",
            ]
        );
        assert!(report.is_software() && report.is_verified());
        assert_eq!((report.device(), report.model()), ("card driver", "m"));
    }

    #[test]
    fn a_report_that_knows_less_has_fewer_figures() {
        assert_eq!(example("card").figures(), []);
        assert_eq!(example("card").field("decode"), Value::Null);
        assert_eq!(parse(FULL).unwrap().field("kv"), "f16");
    }

    #[test]
    fn what_is_no_report_says_what_it_is() {
        for (text, expected) in [
            ("device   card", "no report, but `device   card`"),
            ("[]", "another form"),
            (r#"{"device":"d","adapter":"a","model":"m"}"#, "`verified`"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn failed_checks_are_named() {
        let wrong = |rest: &str| {
            let text =
                format!(r#"{{"device":"d","adapter":"a","model":"m","verified":false{rest}}}"#);
            parse(&text).unwrap().what_is_wrong()
        };
        assert_eq!(wrong(""), "the report does not say what");
        let checks = r#","checks":[{"phase":"decode","label":"layers.0.qkv","passed":false},
            {"phase":"decode","label":"embed","passed":true}]"#;
        assert_eq!(wrong(checks), "decode layers.0.qkv");
        let others = r#","same_tokens":false,"read":{"verified":false}"#;
        assert_eq!(
            wrong(others),
            "the read kernel, prefill and single steps chose different tokens"
        );
    }
}
