//! `cargo xtask sizes`: the built wasm files must stay below their limits, so that growth is a decision and not a surprise.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// Limits of one wasm file, in KiB.
struct Limit {
    /// Start of the file's name; the rest is a hash.
    prefix: &'static str,
    raw_kib: u64,
    gzip_kib: u64,
    /// What the app promises: no reason in a commit raises this one.
    promised_gzip_kib: u64,
}

/// `raw_kib` and `gzip_kib`: about a tenth above what was measured when the limit was last set.
const LIMITS: [Limit; 2] = [
    Limit {
        prefix: "app-",
        raw_kib: 2300,
        gzip_kib: 840,
        promised_gzip_kib: 1_000_000 / 1024,
    },
    Limit {
        prefix: "worker_bg",
        raw_kib: 4650,
        gzip_kib: 1800,
        promised_gzip_kib: 2_500_000 / 1024,
    },
];

/// Prints a table and fails when a file is missing or too large.
pub(crate) fn run() -> Result<()> {
    let dist = shell::root().join("dist");
    let mut too_large = Vec::new();
    for limit in &LIMITS {
        let path = fs::read_dir(&dist)
            .context("dist/ is missing; run `cargo xtask dist` first")?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| {
                let name = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                name.starts_with(limit.prefix) && name.ends_with(".wasm")
            })
            .with_context(|| {
                format!(
                    "dist/ holds no {}*.wasm; run `cargo xtask dist` first",
                    limit.prefix
                )
            })?;
        let bytes = fs::read(&path)?;
        let (raw_kib, gzip_kib) = (
            (bytes.len() as u64).div_ceil(1024),
            gzip_length(&bytes)?.div_ceil(1024),
        );
        println!(
            "sizes: {:12} {raw_kib:5} KiB of {:5}, gzip {gzip_kib:5} KiB of {:5}, promised {:5}",
            limit.prefix, limit.raw_kib, limit.gzip_kib, limit.promised_gzip_kib
        );
        anyhow::ensure!(
            gzip_kib < limit.promised_gzip_kib,
            "{} is larger than the app may ever be: make it smaller",
            limit.prefix
        );
        if raw_kib > limit.raw_kib || gzip_kib > limit.gzip_kib {
            too_large.push(limit.prefix);
        }
    }
    if !too_large.is_empty() {
        bail!(
            "too large: {}; make it smaller, or raise the limit in crates/xtask/src/sizes.rs and say why in the commit",
            too_large.join(", ")
        );
    }
    Ok(())
}

/// Length of `bytes` as a server would send them, by the system's gzip.
fn gzip_length(bytes: &[u8]) -> Result<u64> {
    let mut child = shell::command("gzip")
        .args(["-9", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start gzip")?;
    let mut input = child.stdin.take().context("gzip has no input")?;
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes));
        child.wait_with_output()
    })?;
    anyhow::ensure!(output.status.success(), "gzip failed ({})", output.status);
    Ok(output.stdout.len() as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn limits_stay_below_what_is_promised() {
        for limit in &super::LIMITS {
            assert!(limit.gzip_kib < limit.promised_gzip_kib, "{}", limit.prefix);
        }
    }

    #[test]
    fn gzip_shrinks_what_repeats() {
        let length = super::gzip_length(&[7; 100_000]).unwrap();
        assert!((1..1000).contains(&length), "{length}");
    }
}
