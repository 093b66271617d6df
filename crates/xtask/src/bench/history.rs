//! `target/bench/history.jsonl`: every report that was measured, one line of JSON each, the wrong ones included.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use super::checkout::{self, Side};
use super::report::Report;

/// One line. What was measured is kept as `tern` printed it, in seconds and bytes.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    unix_seconds: u64,
    commit: &'a str,
    /// Whether uncommitted changes were measured.
    dirty: bool,
    device: &'a str,
    adapter: &'a str,
    model: &'a str,
    /// What `tern bench` was given.
    arguments: &'a [String],
    verified: bool,
    read: Value,
    decode: Value,
    prefill: Value,
    prefill_chunk: Value,
    kernels: Value,
}

/// The file.
pub(super) fn path() -> PathBuf {
    checkout::folder().join("history.jsonl")
}

/// The line of a report that was measured now.
pub(super) fn entry<'a>(
    side: &'a Side,
    report: &'a Report,
    arguments: &'a [String],
) -> Result<Entry<'a>> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock of this machine is set before 1970")?;
    Ok(Entry {
        unix_seconds: now.as_secs(),
        commit: &side.commit,
        dirty: side.is_dirty,
        device: report.device(),
        adapter: report.adapter(),
        model: report.model(),
        arguments,
        verified: report.is_verified(),
        read: report.field("read"),
        decode: report.field("decode"),
        prefill: report.field("prefill"),
        prefill_chunk: report.field("prefill_chunk"),
        kernels: report.field("kernels"),
    })
}

/// Appends a line, in one piece.
pub(super) fn append(path: &Path, entry: &Entry<'_>) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let line = format!("{}\n", serde_json::to_string(entry)?);
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    #[test]
    fn lines_are_appended_and_hold_what_was_measured() {
        let side = checkout::working_tree().unwrap();
        let text = r#"{"device":"card driver","adapter":"card","model":"m","verified":false,"kv":"f16",
            "decode":[{"context":16,"tokens_per_second":0.1}],"prefill_chunk":[5,0.25]}"#;
        let report = report::parse(text).unwrap();
        let arguments = ["--json".to_owned()];
        let path = crate::shell::target_dir().join("tmp/bench/history.jsonl");
        fs::remove_file(&path).ok();
        let entry = entry(&side, &report, &arguments).unwrap();
        append(&path, &entry).unwrap();
        append(&path, &entry).unwrap();
        let written = fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = written
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [first, second] = &lines[..] else {
            panic!("{} lines", lines.len())
        };
        assert_eq!(first, second);
        assert_eq!(first["commit"], side.commit);
        assert_eq!(first["dirty"], side.is_dirty);
        assert_eq!(first["verified"], false);
        assert_eq!(first["arguments"][0], "--json");
        assert_eq!(first["decode"][0]["tokens_per_second"], 0.1);
        assert_eq!(first["prefill_chunk"][1], 0.25);
        assert_eq!(first["kernels"], Value::Null);
        assert!(first["unix_seconds"].as_u64().unwrap() > 0);
    }
}
