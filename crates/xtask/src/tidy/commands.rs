//! Documents may only name commands that exist.

use std::collections::BTreeSet;

use clap::CommandFactory as _;

use super::Tracked;
use crate::Cli;

const PREFIX: &str = "cargo xtask ";

/// Commands that documents name and this program does not have.
pub(crate) fn problems(files: &[Tracked]) -> Vec<String> {
    let known: BTreeSet<String> = Cli::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let mut problems = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.path.ends_with(".md") || file.path.starts_with(".ci/"))
    {
        let text = file.text.as_deref().unwrap_or_default();
        for name in named(text).filter(|name| !known.contains(*name)) {
            problems.push(format!(
                "{}: there is no command `{PREFIX}{name}`",
                file.path
            ));
        }
    }
    problems
}

/// The words after each mention of the prefix, if they look like a command.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split(PREFIX).skip(1).filter_map(|rest| {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .unwrap_or(rest.len());
        Some(&rest[..end]).filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_commands_are_named() {
        let text = "Run `cargo xtask serve`, then cargo xtask bake --now, or `cargo xtask --help`.";
        let file = Tracked {
            path: "docs/A.md".to_owned(),
            bytes: 0,
            text: Some(text.to_owned()),
        };
        assert_eq!(
            problems(&[file]),
            ["docs/A.md: there is no command `cargo xtask bake`"]
        );
    }
}
