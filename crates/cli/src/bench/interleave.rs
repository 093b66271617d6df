//! `tern bench --interleave`: the sweep behind `rows_per_tile`.

use std::fmt::Write as _;

use engine::bench::interleave::{Kernel, Options, Report, run as sweep};

use super::{BenchArgs, clock};
use crate::output;

/// Runs the sweep and prints it.
///
/// # Errors
/// When there is no GPU, or a kernel gave wrong integers.
pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let options = Options {
        adapter: args.adapter.clone(),
        set_bytes: if args.tiny { 1 << 18 } else { 512 << 20 },
        passes: args.repetitions.unwrap_or(if args.tiny { 1 } else { 4 }),
        tiny: args.tiny,
        clock,
    };
    let report = sweep(&options, &mut |line| log::info!("{line}"))?;
    if args.json {
        output::print_json(&serde_json::to_value(&report)?)?;
    } else {
        output::print(&table(&report))?;
    }
    match report.wrong.first() {
        None => Ok(()),
        Some(row) => Err(anyhow::anyhow!(
            "{} kernels gave wrong integers, the first: {row:?}",
            report.wrong.len()
        )),
    }
}

fn table(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").unwrap_or_default();
    line(format!(
        "{} ({}), {} timings",
        report.adapter,
        report.driver,
        report.rows.len()
    ));
    line(format!(
        "read kernel {:.0} GB/s over the whole set; a dependent dispatch takes {:.2} us",
        report.read_bytes_per_second / 1e9,
        report.empty_dispatch_seconds * 1e6
    ));
    line("plain read of one matrix, one dispatch each:".to_owned());
    for read in &report.reads {
        let matrix = read.matrix;
        line(format!(
            "  {:10} {:8} {:5} x {:5} {:8.2} us {:6.0} GB/s {}",
            matrix.shape,
            matrix.name,
            matrix.n_rows,
            matrix.n_cols,
            read.seconds * 1e6,
            read.bytes as f64 / read.seconds / 1e9,
            if read.verified { "" } else { "WRONG" }
        ));
    }
    line(format!(
        "read time / kernel time of a layer, mean over the shapes, for each of {} interleavings:",
        report.tiles.len()
    ));
    for tile in &report.tiles {
        line(format!("  rows_per_tile {}", tile.rows_per_tile));
        for ranked in &tile.single {
            line(format!(
                "    {:.3} {}",
                ranked.mean_ratio,
                describe(&ranked.kernel)
            ));
        }
    }
    out
}

fn describe(kernel: &Kernel) -> String {
    format!(
        "{:?} {:?}, {} lanes x {} slices, {} rows a thread, unroll {}{}{}",
        kernel.mapping,
        kernel.dot,
        kernel.lanes,
        kernel.slices,
        kernel.rows_per_thread,
        kernel.unroll,
        if kernel.staged { ", staged" } else { "" },
        if kernel.subgroup { ", subgroup" } else { "" },
    )
}
