//! How a failed command ends: one line on stderr and an exit code.

use std::fmt::Write as _;

/// Exit code for bad input: a file, an option or a machine that cannot do what was asked.
pub(crate) const BAD_INPUT: u8 = 2;
/// Exit code for a failure of a command that was fine to ask for.
const FAILED: u8 = 1;
/// Exit code after Ctrl-C, as shells report it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Something that a person asked for cannot be done; says what to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadInput(pub(crate) String);

/// The command was stopped by Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Whoever read the output has enough of it: a normal end.
#[derive(Debug, thiserror::Error)]
#[error("the output was closed")]
pub(crate) struct OutputClosed;

/// Shorthand for a [`BadInput`] as an error.
pub(crate) fn bad_input(message: impl Into<String>) -> anyhow::Error {
    BadInput(message.into()).into()
}

/// The exit code of an error, and the line that explains it, if there is anything to explain.
pub(crate) fn explain(error: &anyhow::Error) -> (u8, Option<String>) {
    if error.is::<OutputClosed>() {
        return (0, None);
    }
    let code = exit_code(error);
    let line = (code != INTERRUPTED).then(|| format!("error: {}", one_line(error)));
    (code, line)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<Interrupted>()
            || matches!(cause.downcast_ref(), Some(model::Error::Cancelled))
        {
            return INTERRUPTED;
        }
        if cause.is::<BadInput>() || cause.is::<text::Error>() {
            return BAD_INPUT;
        }
        if let Some(error) = cause.downcast_ref::<model::Error>() {
            return model_code(error);
        }
        if let Some(error) = cause.downcast_ref::<engine::Error>() {
            return engine_code(error);
        }
    }
    FAILED
}

fn model_code(error: &model::Error) -> u8 {
    match error {
        // Reading what a person named is input; a disk that is full is not.
        model::Error::Io {
            action: "read" | "list" | "create",
            ..
        } => BAD_INPUT,
        model::Error::Io { .. } => FAILED,
        _ => BAD_INPUT,
    }
}

fn engine_code(error: &engine::Error) -> u8 {
    use engine::Error;
    match error {
        Error::Model(error) => model_code(error),
        Error::NoAdapter { .. }
        | Error::NoDevice { .. }
        | Error::Limit { .. }
        | Error::Package { .. }
        | Error::ContextFull { .. }
        | Error::TokenOutOfRange { .. } => BAD_INPUT,
        _ => FAILED,
    }
}

/// The error and its causes joined by ": ", on one line. A cause that its parent's message already holds is left out.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let message = cause.to_string();
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            line = message;
        } else if !line.contains(&message) {
            write!(line, ": {message}").expect("writing to a String cannot fail");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn explained(error: impl Into<anyhow::Error>) -> (u8, String) {
        let (code, line) = explain(&error.into());
        (code, line.unwrap_or_default())
    }

    #[test]
    fn bad_input_is_two_and_one_line_with_its_causes() {
        let error = Err::<(), _>(BadInput("line one\n  line two".into()))
            .context("while trying")
            .unwrap_err();
        assert_eq!(
            explained(error),
            (2, "error: while trying: line one line two".into())
        );
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        let inner = std::io::Error::other("disk on fire");
        let error = anyhow::Error::from(inner).context("cannot write: disk on fire");
        assert_eq!(
            explained(error),
            (1, "error: cannot write: disk on fire".into())
        );
    }

    #[test]
    fn codes_follow_the_kind_of_error() {
        let io = |action| model::Error::Io {
            action,
            path: "p".into(),
            source: std::io::ErrorKind::NotFound.into(),
        };
        assert_eq!(explained(io("read")).0, 2);
        assert_eq!(explained(io("write")).0, 1);
        assert_eq!(explained(engine::Error::Model(io("write"))).0, 1);
        let no_adapter = engine::Error::NoAdapter {
            wanted: "any".into(),
            available: "none".into(),
        };
        assert_eq!(explained(no_adapter).0, 2);
        assert_eq!(
            explained(engine::Error::DeviceLost {
                reason: "gone".into()
            })
            .0,
            1
        );
        assert_eq!(explain(&Interrupted.into()), (130, None));
        assert_eq!(explain(&model::Error::Cancelled.into()), (130, None));
        assert_eq!(explain(&OutputClosed.into()), (0, None));
    }
}
