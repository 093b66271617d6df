//! One run of `tern bench --json`, and what its end means.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::checkout::Side;
use super::report::{self, Report};

/// Exit code of a `tern` that cannot do what was asked; also clap's own.
const BAD_INPUT: i32 = 2;
/// How many of the last lines on standard error are told.
const MAX_LINES: usize = 5;

/// How a program ended.
struct End<'a> {
    /// Its exit code, unless a signal ended it.
    code: Option<i32>,
    stdout: &'a str,
    stderr: &'a str,
}

/// Runs a side's program in the folder where the person is, so that a `--model` is found.
///
/// # Errors
/// If it cannot be started, refuses its arguments or prints no report. A report that is not verified is none.
pub(super) fn run(side: &Side, arguments: &[String]) -> Result<Report> {
    let output = Command::new(&side.program)
        .arg("bench")
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start {}", side.program.display()))?;
    let end = End {
        code: output.status.code(),
        stdout: &String::from_utf8_lossy(&output.stdout),
        stderr: &String::from_utf8_lossy(&output.stderr),
    };
    read(&end).with_context(|| format!("`tern bench {}` of {}", arguments.join(" "), side.title))
}

/// The report, or why there is none.
fn read(end: &End<'_>) -> Result<Report> {
    let said = last_lines(end.stderr);
    if end.stdout.trim().is_empty() {
        match end.code {
            Some(BAD_INPUT) => bail!(
                "refused, it said: {said}; pass only what this commit's tern knows and this machine has"
            ),
            Some(code) => bail!("printed no report (exit code {code}), it said: {said}"),
            None => bail!("was ended by a signal, it said: {said}"),
        }
    }
    let report = report::parse(end.stdout)?;
    // A failed check ends tern with an error too, after the report that names it.
    if end.code != Some(0) && report.is_verified() {
        bail!("failed after its report, it said: {said}");
    }
    Ok(report)
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    lines[lines.len().saturating_sub(MAX_LINES)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Option<i32>, stdout: &str, stderr: &str) -> String {
        let end = End {
            code,
            stdout,
            stderr,
        };
        read(&end).map_or_else(|error| format!("{error:#}"), |report| format!("{report:?}"))
    }

    #[test]
    fn what_a_program_without_a_report_said_is_told() {
        let unknown = "error: unexpected argument '--new' found (see tern --help)\n";
        let refused = error(Some(2), "", unknown);
        assert!(
            refused.contains("unexpected argument '--new' found"),
            "{refused}"
        );
        assert!(error(Some(1), " \n", "").contains("(exit code 1), it said: nothing"));
        assert!(error(None, "", "a\n\nb\n").ends_with("a / b"));
        assert!(error(Some(0), "speed: good", "").contains("no report"));
    }

    #[test]
    fn a_report_of_wrong_results_is_read_although_tern_fails() {
        let text = |verified: bool| {
            format!(r#"{{"device":"d","adapter":"a","model":"m","verified":{verified}}}"#)
        };
        let read = |code, verified| {
            let stdout = text(verified);
            let end = End {
                code,
                stdout: &stdout,
                stderr: "error: gone",
            };
            read(&end)
        };
        assert!(read(Some(0), true).unwrap().is_verified());
        assert!(!read(Some(1), false).unwrap().is_verified());
        let failed = read(Some(1), true).unwrap_err();
        assert!(failed.to_string().contains("error: gone"), "{failed}");
    }

    #[test]
    fn only_the_last_lines_are_told() {
        let many: String = (0..20).map(|n| format!("line {n}\n")).collect();
        assert_eq!(
            last_lines(&many),
            "line 15 / line 16 / line 17 / line 18 / line 19"
        );
    }
}
