//! A bench report for people.

use std::fmt::Write as _;

use engine::bench::{Check, Report};

use crate::output::megabytes;

/// The report as text.
pub(super) fn report(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").unwrap_or_default();
    line(format!("device   {}", report.device));
    if report.software {
        line("         a software adapter: the times below say nothing about a GPU".to_owned());
    }
    line(format!(
        "model    {}, context {}, {} cache",
        report.model, report.context, report.kv
    ));
    line(format!(
        "memory   {} weights, {} cache, {} activations",
        megabytes(report.weight_bytes),
        megabytes(report.kv_bytes),
        megabytes(report.activation_bytes)
    ));
    if let Some(load) = report.load {
        line(format!(
            "load     {:.2} s for {}, {:.2} s of it for getting the shards",
            load.seconds,
            megabytes(load.bytes),
            load.source_seconds
        ));
    }
    line(format!(
        "read     {:.0} GB/s over {} (steady to {:.0} %); a dependent dispatch takes {:.2} us",
        report.read.bytes_per_second / 1e9,
        megabytes(report.read.set_bytes),
        report.read_steadiness * 100.0,
        report.read.empty_dispatch_seconds * 1e6
    ));
    line(format!(
        "token    {} dispatches, {:.1} submits",
        report.dispatches_per_token, report.submits_per_token
    ));
    for decode in &report.decode {
        line(format!(
            "decode   at {:5}: {:8.1} tokens/s; GPU {:.3} ms a step for {} = {:.3} of the read kernel",
            decode.context,
            decode.tokens_per_second,
            decode.gpu_seconds * 1e3,
            megabytes(decode.bytes),
            decode.gpu_read_ratio
        ));
    }
    for prefill in &report.prefill {
        line(format!(
            "prefill  of {:5}: {:8.1} tokens/s; first token after {:.1} ms",
            prefill.tokens,
            prefill.tokens_per_second,
            prefill.first_token_seconds * 1e3
        ));
    }
    line(format!(
        "chunk    of {} tokens: GPU {:.3} ms",
        report.prefill_chunk.0,
        report.prefill_chunk.1 * 1e3
    ));
    line("phase    kind                  dispatches      us each    total us       bytes     GB/s  of read".to_owned());
    for kernel in &report.kernels {
        line(format!(
            "{:8} {:22} {:9} {:12.2} {:11.1} {:>11} {:8.0} {:8.3}",
            kernel.phase,
            kernel.name,
            kernel.dispatches,
            kernel.seconds * 1e6 / f64::from(kernel.dispatches.max(1)),
            kernel.seconds * 1e6,
            megabytes(kernel.bytes),
            kernel.bytes_per_second / 1e9,
            kernel.read_ratio
        ));
    }
    let exact = report
        .checks
        .iter()
        .filter(|check| check.differing == 0)
        .count();
    let largest = report
        .checks
        .iter()
        .map(|check| check.largest)
        .fold(0.0, f64::max);
    line(format!(
        "checks   {} dispatches against the CPU, {exact} equal bit for bit, largest relative difference {largest:.1e}",
        report.checks.len()
    ));
    for check in report.checks.iter().filter(|check| !check.passed) {
        line(wrong(check));
    }
    line(format!(
        "         prefill and single steps chose {} tokens",
        if report.same_tokens {
            "the same"
        } else {
            "DIFFERENT"
        }
    ));
    out
}

/// What a check found.
pub(super) fn wrong(check: &Check) -> String {
    format!(
        "  WRONG  {} {} ({}): {} of {} values differ, largest {:.1e}",
        check.phase, check.label, check.kernel, check.differing, check.values, check.largest
    )
}
