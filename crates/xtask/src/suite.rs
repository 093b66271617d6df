//! `cargo xtask test`: every step that must be green, and a summary of what each took.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{check, dist, e2e, site, sizes, tools};

/// Runs everything. A failed step does not stop the others, so that one run shows all that is wrong.
pub(crate) fn run() -> Result<()> {
    let mut suite = Suite::default();
    suite.step("tools", tools::run);
    check::steps(&mut suite);
    let built = suite.step("dist", || dist::run(&dist::Options::default()));
    if built {
        suite.step("sizes", sizes::run);
        suite.step("site", site::run);
        suite.step("e2e", || e2e::test(&[]));
    } else {
        suite.skip("sizes");
        suite.skip("site");
        suite.skip("e2e");
    }
    suite.finish()
}

/// Named steps and their outcomes.
#[derive(Debug, Default)]
pub(crate) struct Suite {
    outcomes: Vec<(&'static str, Outcome, Duration)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Suite {
    /// Runs a step, prints its error if it fails, and says whether it passed.
    pub(crate) fn step(&mut self, name: &'static str, action: impl FnOnce() -> Result<()>) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = match action() {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                println!("{name} failed: {error:#}");
                Outcome::Failed
            }
        };
        self.outcomes.push((name, outcome, start.elapsed()));
        outcome == Outcome::Passed
    }

    /// Notes a step that could not run because an earlier one failed.
    pub(crate) fn skip(&mut self, name: &'static str) {
        self.outcomes.push((name, Outcome::Skipped, Duration::ZERO));
    }

    /// Prints the summary; an error if a step failed.
    pub(crate) fn finish(&self) -> Result<()> {
        println!("\n== summary");
        for (name, outcome, time) in &self.outcomes {
            println!(
                "{name:12} {:8} {:7.1} s",
                format!("{outcome:?}").to_lowercase(),
                time.as_secs_f64()
            );
        }
        let total: Duration = self.outcomes.iter().map(|(_, _, time)| *time).sum();
        println!("{:21} {:7.1} s", "total", total.as_secs_f64());
        println!("{}", self.closing_line());
        let failed: Vec<&str> = self.names(Outcome::Failed).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }

    /// The counts in the form that other tools read.
    fn closing_line(&self) -> String {
        let count = |outcome| self.names(outcome).count();
        let skipped = count(Outcome::Skipped);
        let line = format!(
            "steps: {} passed, {} failed",
            count(Outcome::Passed),
            count(Outcome::Failed)
        );
        if skipped == 0 {
            line
        } else {
            format!("{line}, {skipped} skipped")
        }
    }

    fn names(&self, wanted: Outcome) -> impl Iterator<Item = &'static str> {
        self.outcomes
            .iter()
            .filter(move |(_, outcome, _)| *outcome == wanted)
            .map(|(name, _, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_run_and_the_others_still_count() {
        let mut suite = Suite::default();
        assert!(suite.step("good", || Ok(())));
        assert!(!suite.step("bad", || bail!("broken")));
        suite.skip("later");
        assert_eq!(suite.closing_line(), "steps: 1 passed, 1 failed, 1 skipped");
        assert_eq!(suite.finish().unwrap_err().to_string(), "failed: bad");
    }

    #[test]
    fn a_run_without_failures_succeeds() {
        let mut suite = Suite::default();
        suite.step("good", || Ok(()));
        assert_eq!(suite.closing_line(), "steps: 1 passed, 0 failed");
        suite.finish().unwrap();
    }
}
