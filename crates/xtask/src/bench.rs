//! `cargo xtask bench`: speed of the working tree's `tern`, and with `--compare` its ratio to another commit's.
//!
//! Both programs run in turns on the same device, so that a drift of its speed meets both. Every report is
//! kept as a line of `target/bench/history.jsonl`.

mod checkout;
mod history;
mod measure;
mod ratios;
mod report;

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::Args;

use self::checkout::Side;
use self::ratios::Column;
use self::report::Report;

/// The smallest published shape: a software adapter runs it in a minute.
const DEFAULT_SHAPE: [&str; 2] = ["--shape", "falcon-e-1b"];
/// Arguments of `tern bench` that make it report something else.
const OTHER_REPORTS: [&str; 4] = ["--interleave", "--products", "--recovery", "--help"];

/// Options of `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print ratios to another commit [default: the one before HEAD; HEAD where there are uncommitted changes]
    #[arg(long, value_name = "REV", num_args = 0..=1)]
    compare: Option<Option<String>>,
    /// Runs of each side, of which the medians count
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=32))]
    rounds: u32,
    /// Arguments of `tern bench`; where they name neither --shape nor --model, `--shape falcon-e-1b` is added
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// Builds, measures in turns and prints the table.
///
/// # Errors
/// If a side cannot be built or measured, measured wrong results, or ran on another adapter.
pub(crate) fn run(options: &Options) -> Result<()> {
    let arguments = tern_arguments(&options.arguments)?;
    let tree = checkout::working_tree()?;
    println!("bench: {} is {}", tree.title, tree.describe());
    let mut sides = vec![tree];
    if let Some(given) = &options.compare {
        let other = checkout::other(given.as_deref(), &sides[0])?;
        sides.push(other);
    }
    for side in &mut sides {
        side.build()?;
    }
    let mut columns: Vec<Column> = sides.iter().map(|side| Column::new(&side.title)).collect();
    let mut wrong = Vec::new();
    for (round, index) in turns(sides.len(), options.rounds) {
        let place = format!("{}, round {round}", sides[index].title);
        let report = measured(&sides[index], &place, &arguments)?;
        if report.is_verified() {
            columns[index].reports.push(report);
        } else {
            wrong.push(format!("{place}: {}", report.what_is_wrong()));
        }
    }
    if columns.iter().all(|column| !column.reports.is_empty()) {
        ensure_same_adapter(&columns)?;
        print!("\n{}", ratios::table(&columns));
    }
    if !wrong.is_empty() {
        bail!(
            "wrong results, so these times mean nothing and count nowhere: {}",
            wrong.join("; ")
        );
    }
    Ok(())
}

/// Runs one side once and keeps its report.
fn measured(side: &Side, place: &str, arguments: &[String]) -> Result<Report> {
    println!("bench: {place}");
    let start = Instant::now();
    let report = measure::run(side, arguments)?;
    let path = history::path();
    history::append(&path, &history::entry(side, &report, arguments)?)?;
    println!(
        "bench: {place} took {:.0} s{}",
        start.elapsed().as_secs_f64(),
        if report.is_verified() {
            ""
        } else {
            " and is WRONG"
        }
    );
    Ok(report)
}

/// Rounds, counted from 1, and which side's turn it is. Every other round goes backwards (A B, B A), so that a drift of the
/// device falls on both sides alike.
fn turns(n_sides: usize, rounds: u32) -> Vec<(u32, usize)> {
    (1..=rounds)
        .flat_map(|round| {
            (0..n_sides).map(move |place| {
                let is_forward = round % 2 == 1;
                (
                    round,
                    if is_forward {
                        place
                    } else {
                        n_sides - 1 - place
                    },
                )
            })
        })
        .collect()
}

/// What `tern bench --json` is given: the same on every side.
fn tern_arguments(given: &[String]) -> Result<Vec<String>> {
    let has = |name: &str| {
        given
            .iter()
            .any(|argument| argument.split('=').next() == Some(name))
    };
    if let Some(name) = OTHER_REPORTS.into_iter().find(|name| has(name)) {
        bail!("`tern bench {name}` prints no report that could be compared; run it by itself");
    }
    let mut arguments = vec!["--json".to_owned()];
    if !has("--shape") && !has("--model") {
        arguments.extend(DEFAULT_SHAPE.map(str::to_owned));
    }
    arguments.extend(
        given
            .iter()
            .filter(|argument| *argument != "--json")
            .cloned(),
    );
    Ok(arguments)
}

/// A ratio of two adapters says nothing about two commits.
fn ensure_same_adapter(columns: &[Column]) -> Result<()> {
    let mut adapters: Vec<&str> = columns
        .iter()
        .flat_map(|column| &column.reports)
        .map(Report::adapter)
        .collect();
    adapters.sort_unstable();
    adapters.dedup();
    ensure!(
        adapters.len() < 2,
        "the runs used different adapters: {}; name one with `-- --adapter NAME`",
        adapters.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{Cli, Command};

    fn options(line: &str) -> Option<Options> {
        match Cli::try_parse_from(line.split(' ')).ok()?.command {
            Command::Bench(options) => Some(options),
            _ => None,
        }
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_revision_may_be_left_out_and_tern_gets_the_rest() {
        let plain = options("xtask bench").unwrap();
        assert_eq!((plain.compare, plain.rounds), (None, 2));
        let previous = options("xtask bench --compare -- --kv i8").unwrap();
        assert_eq!(previous.compare, Some(None));
        assert_eq!(previous.arguments, ["--kv", "i8"]);
        let named = options("xtask bench --rounds 3 --compare HEAD~4").unwrap();
        assert_eq!(
            (named.compare, named.rounds),
            (Some(Some("HEAD~4".to_owned())), 3)
        );
        for line in ["xtask bench --kv i8", "xtask bench --rounds 0"] {
            assert!(options(line).is_none(), "{line}");
        }
    }

    #[test]
    fn sides_take_turns_and_every_other_round_goes_backwards() {
        let order = |n_sides, rounds| {
            turns(n_sides, rounds)
                .into_iter()
                .map(|(_, side)| ["A", "B"][side])
                .collect::<String>()
        };
        assert_eq!(order(2, 1), "AB");
        assert_eq!(order(2, 2), "ABBA");
        assert_eq!(order(2, 3), "ABBAAB");
        assert_eq!(order(1, 2), "AA");
        assert_eq!(turns(2, 2), [(1, 0), (1, 1), (2, 1), (2, 0)]);
    }

    #[test]
    fn a_small_shape_unless_a_model_is_named() {
        for (given, expected) in [
            (&[][..], &["--json", "--shape", "falcon-e-1b"][..]),
            (
                &["--kv", "i8"],
                &["--json", "--shape", "falcon-e-1b", "--kv", "i8"],
            ),
            (&["--shape", "3b"], &["--json", "--shape", "3b"]),
            (&["--json", "--model=here"], &["--json", "--model=here"]),
        ] {
            assert_eq!(tern_arguments(&strings(given)).unwrap(), expected);
        }
        for name in OTHER_REPORTS {
            let error = tern_arguments(&strings(&[name])).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn two_adapters_are_not_compared() {
        let column = |adapter| {
            let mut column = Column::new("side");
            column.reports.push(report::example(adapter));
            column
        };
        ensure_same_adapter(&[column("one"), column("one")]).unwrap();
        let error = ensure_same_adapter(&[column("two"), column("one")]).unwrap_err();
        assert!(error.to_string().contains("one, two"), "{error}");
    }
}
