//! What is known of app, device and storage, as names and values: the diagnostics page shows them, and its report is made of
//! them. No words of any chat are among them.

use std::fmt::Write as _;

use protocol::{DeviceReport, Limit};

use crate::strings as s;
use crate::{Database, State};

/// Facts of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their heading.
    pub title: &'static str,
    /// Name and value of each.
    pub facts: Vec<(String, String)>,
}

/// All groups, in the order in which they are shown.
#[must_use]
pub fn groups(state: &State) -> Vec<Group> {
    let mut groups = vec![
        group(s::GROUP_GPU, graphics(state)),
        group(s::GROUP_APP, app(state)),
        group(s::GROUP_STORAGE, storage(state)),
    ];
    if let Some(device) = &state.engine.device {
        groups.push(Group {
            title: s::GROUP_LIMITS,
            facts: limits(device),
        });
    }
    groups
}

/// The report: facts, results and the flight recorder as a text.
#[must_use]
pub fn text(state: &State) -> String {
    let mut text = format!("{}\n", s::REPORT_TITLE);
    let mut groups = groups(state);
    groups.insert(0, group(s::GROUP_CHECKS, checks(state)));
    for group in groups {
        // Writing into a string does not fail.
        let _written = write!(text, "\n{}\n", group.title);
        for (name, value) in group.facts {
            let _written = writeln!(text, "  {name}: {value}");
        }
    }
    text.push('\n');
    text.push_str(&state.recorder().to_text());
    text
}

/// What the last self-test found, in one line.
#[must_use]
pub fn self_test(state: &State) -> Option<String> {
    Some(match state.last_self_test()? {
        Ok(report) => s::test_passed(&report.variant, report.millis),
        Err(fault) => s::failed(&fault.detail),
    })
}

/// What the last benchmark found, in one line.
#[must_use]
pub fn benchmark(state: &State) -> Option<String> {
    Some(match state.diagnosis.benchmark.as_ref()? {
        Ok(report) => s::measured(report),
        Err(fault) => s::failed(&fault.detail),
    })
}

type Facts = Vec<(&'static str, String)>;

fn group(title: &'static str, facts: Facts) -> Group {
    let facts = facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Group { title, facts }
}

fn yes(is_so: bool) -> String {
    let word = if is_so { s::YES } else { s::NO };
    word.to_owned()
}

fn or_unknown(value: Option<String>) -> String {
    value.unwrap_or_else(|| s::UNKNOWN.to_owned())
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() {
        s::NONE.to_owned()
    } else {
        words.join(", ")
    }
}

/// What changes often and the page shows elsewhere.
fn checks(state: &State) -> Facts {
    let not_run = || s::NOT_TESTED.to_owned();
    let mut facts = vec![
        (s::STATE, state.status()),
        (s::SELF_TEST.0, self_test(state).unwrap_or_else(not_run)),
        (s::BENCHMARK.0, benchmark(state).unwrap_or_else(not_run)),
    ];
    if let Some(fault) = &state.engine.fault {
        let code = format!("{:?}", fault.code);
        facts.push((s::DETAILS, s::with_detail(&code, &fault.detail)));
    }
    facts
}

fn app(state: &State) -> Facts {
    let environment = &state.environment;
    let model = state.engine.model.as_ref();
    let model = model.map_or_else(
        || s::NONE.to_owned(),
        |model| s::loaded_model(&model.name, model.context),
    );
    let memory = environment.memory_gigabytes.map(s::gigabytes);
    vec![
        (s::VERSION, protocol::BUILD.to_owned()),
        (s::PROTOCOL, protocol::PROTOCOL_VERSION.to_string()),
        (s::GROUP_MODEL, model),
        (s::INSTALLED, yes(environment.standalone)),
        (s::SECURE, yes(environment.secure)),
        (
            s::CORES,
            or_unknown(environment.cores.map(|cores| cores.to_string())),
        ),
        (s::DEVICE_MEMORY, or_unknown(memory)),
        (s::BROWSER, environment.agent.clone()),
    ]
}

fn graphics(state: &State) -> Facts {
    let mut facts = vec![(s::WEBGPU, yes(state.environment.webgpu))];
    facts.extend(dropped(state).map(|words| (s::DROPPED, words)));
    let Some(device) = &state.engine.device else {
        facts.push((s::DEVICE_NAME, s::GPU_UNKNOWN.to_owned()));
        return facts;
    };
    let adapter = &device.adapter;
    let named = |value: &str| or_unknown((!value.is_empty()).then(|| value.to_owned()));
    let name = [&adapter.description, &adapter.device]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or("", String::as_str);
    let refused: Vec<String> = device
        .adapter_features
        .iter()
        .filter(|feature| !device.device_features.contains(feature))
        .cloned()
        .collect();
    facts.extend([
        (s::DEVICE_NAME, named(name)),
        (s::VENDOR, named(&adapter.vendor)),
        (s::ARCHITECTURE, named(&adapter.architecture)),
        (s::FALLBACK, or_unknown(adapter.is_fallback.map(yes))),
        (
            s::VARIANT,
            s::kernels(&named(&device.variant), device.is_tuned),
        ),
    ]);
    if let Some(model) = &state.engine.model {
        let (weights, kv) = (model.weight_bytes.get(), model.kv_bytes.get());
        let rest = model.activation_bytes.get();
        facts.push((s::GPU_MEMORY, s::gpu_memory(weights, kv, rest)));
    }
    facts.extend([
        (s::DEVICES_SO_FAR, device.generation.to_string()),
        (s::FEATURES_GRANTED, or_none(&device.device_features)),
        (s::FEATURES_REFUSED, or_none(&refused)),
        (s::LANGUAGE_FEATURES, or_none(&device.language_features)),
        (s::ENGINE, device.engine.clone()),
    ]);
    facts
}

/// What the last self-test has against the device.
fn dropped(state: &State) -> Option<String> {
    let test = state.last_self_test()?.ok()?;
    let dropped = test.dropped.iter();
    let dropped = dropped.map(|dropped| s::dropped(&dropped.variant, &dropped.problem));
    let inexact = test.inexact.iter().map(|difference| s::inexact(difference));
    let words: Vec<String> = dropped.chain(inexact).collect();
    Some(or_none(&words))
}

fn limits(device: &DeviceReport) -> Vec<(String, String)> {
    let offered = |granted: &Limit| {
        let mut of_name = device.adapter_limits.iter();
        of_name
            .find(|limit| limit.name == granted.name)
            .map_or(granted.value, |limit| limit.value)
    };
    let fact = |limit: &Limit| (limit.name.clone(), s::limit(offered(limit), limit.value));
    device.limits.iter().map(fact).collect()
}

fn storage(state: &State) -> Facts {
    let environment = &state.environment;
    let database = match &environment.database {
        Database::Opening => s::STARTING.to_owned(),
        Database::Open => s::STORED.to_owned(),
        Database::Failed { detail } | Database::Full { detail } => {
            s::with_detail(s::IN_MEMORY, detail)
        }
    };
    let report = environment.storage.as_ref();
    let bytes =
        |count: Option<protocol::ByteCount>| or_unknown(count.map(|count| s::bytes(count.get())));
    let mut facts = vec![
        (s::USED, bytes(report.and_then(|report| report.usage_bytes))),
        (
            s::QUOTA,
            bytes(report.and_then(|report| report.quota_bytes)),
        ),
        (s::KEPT, or_unknown(environment.persisted.map(yes))),
        (s::DATABASE, database),
    ];
    for model in report.into_iter().flat_map(|report| &report.models) {
        let (stored, total) = (model.stored_bytes.get(), model.total_bytes.get());
        let size = if model.complete {
            s::bytes(stored)
        } else {
            s::downloaded(stored, total)
        };
        let value = s::with_detail(&model.name, &s::stored_model(&size, model.shards));
        facts.push((s::GROUP_MODEL, value));
    }
    facts
}
