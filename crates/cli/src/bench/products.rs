//! `tern bench --products`: what share of a plain read the products of a decode step reach.

use std::fmt::Write as _;

use engine::bench::products::{Options, ReadTime, Report, run as measure};
use engine::bench::synthetic;
use model::convert::DEFAULT_ROWS_PER_TILE;

use super::table::wrong;
use super::{BenchArgs, clock, tune};
use crate::args::{Device, DeviceArgs};
use crate::failure::bad_input;
use crate::loaded::open_executor;
use crate::output;

/// Shapes that are measured unless others are asked for.
const SHAPES: [&str; 3] = ["2b-4t", "3b", "llama3-8b"];
/// The same with `--tiny`.
const TINY_SHAPES: [&str; 1] = ["tiny"];

/// Runs the measurement and prints it.
///
/// # Errors
/// When there is no GPU, or a product or the read kernel was wrong.
pub(super) async fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let mut executor = open_executor(&DeviceArgs {
        device: Device::Gpu,
        adapter: args.adapter.clone(),
        variant: args.variant,
    })
    .await?;
    tune(args, &mut executor);
    let options = options(args)?;
    let mut progress = |line: &str| log::info!("{line}");
    let report = measure(&mut executor, &options, &mut progress).await?;
    if args.json {
        output::print_json(&serde_json::to_value(&report)?)?;
    } else {
        output::print(&table(&report))?;
    }
    if report.verified {
        Ok(())
    } else {
        Err(anyhow::anyhow!(
            "the measured kernels gave wrong results, so the times mean nothing"
        ))
    }
}

fn options(args: &BenchArgs) -> anyhow::Result<Options> {
    let names: Vec<&str> = match (&args.shape[..], args.tiny) {
        ([], false) => SHAPES.to_vec(),
        ([], true) => TINY_SHAPES.to_vec(),
        (given, _) => given.iter().map(String::as_str).collect(),
    };
    let shapes = names
        .into_iter()
        .map(|name| {
            let architecture = synthetic::architecture(name)
                .ok_or_else(|| bad_input(format!("unknown shape {name}")))?;
            Ok((name.to_owned(), architecture))
        })
        .collect::<anyhow::Result<_>>()?;
    if let Some(odd) = args.read_bytes.iter().find(|n| !n.is_multiple_of(16)) {
        return Err(bad_input(format!(
            "--read-bytes {odd} is no multiple of 16, which a thread reads at once"
        )));
    }
    Ok(Options {
        shapes,
        rows_per_tile: DEFAULT_ROWS_PER_TILE,
        seed: args.seed,
        set_bytes: if args.tiny { 1 << 20 } else { 512 << 20 },
        read_bytes: args.read_bytes.clone(),
        repetitions: args.repetitions.unwrap_or(if args.tiny { 1 } else { 5 }),
        clock,
    })
}

fn table(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").unwrap_or_default();
    line(format!("device   {}", report.device));
    if report.software {
        line("         a software adapter: the times below say nothing about a GPU".to_owned());
    }
    if !report.timestamps {
        line("         without timestamps: the times below contain the submits".to_owned());
    }
    line(format!(
        "read     {:.0} GB/s over {}; a dependent dispatch takes {:.2} us",
        report.read.bytes_per_second / 1e9,
        output::megabytes(report.read.set_bytes),
        report.read.empty_dispatch_seconds * 1e6
    ));
    line("shape      matrix    rows  columns       bytes copies kernel             us   GB/s  read / kernel".to_owned());
    for matrix in &report.matrices {
        let name = format!(
            "{:10} {:8} {:5} {:8}",
            matrix.shape, matrix.name, matrix.n_rows, matrix.n_cols
        );
        line(read(&name, &matrix.read));
        for kernel in &matrix.kernels {
            line(format!(
                "{:53} {:14} {:7.2} {:6.0} {:14.3}",
                "",
                kernel.kernel,
                kernel.seconds * 1e6,
                kernel.bytes_per_second / 1e9,
                kernel.read_ratio
            ));
        }
    }
    for bytes in &report.reads {
        line(read("", bytes));
    }
    line("all matrices of a layer:".to_owned());
    for layer in &report.layers {
        line(format!(
            "  {:10} {:14} {:7.2} us, read {:7.2} us: {:.3}",
            layer.shape,
            layer.kernel,
            layer.seconds * 1e6,
            layer.read_seconds * 1e6,
            layer.read_ratio
        ));
    }
    let passed = report.checks.iter().filter(|check| check.passed).count();
    line(format!(
        "checks   {passed} of {} products are those of the CPU",
        report.checks.len()
    ));
    for check in report.checks.iter().filter(|check| !check.passed) {
        line(wrong(check));
    }
    out
}

fn read(name: &str, read: &ReadTime) -> String {
    let line = format!(
        "{name:34} {:>11} {:6} {:14} {:7.2} {:6.0} {}",
        read.bytes,
        read.copies,
        "read",
        read.seconds * 1e6,
        read.bytes_per_second / 1e9,
        if read.verified { "" } else { "WRONG" }
    );
    line.trim_end().to_owned()
}
