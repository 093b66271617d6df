//! Tests that documents name, as in `path/of/the_file.rs`: "its_name", "another_name", must be there under these names.

use std::collections::BTreeMap;

use super::Tracked;

/// The map from faults to their tests.
const DOCUMENT: &str = "docs/RECOVERY.md";

/// Files and tests that the document names and nobody finds.
pub(crate) fn problems(files: &[Tracked]) -> Vec<String> {
    let texts: BTreeMap<&str, &str> = files
        .iter()
        .filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
        .collect();
    let Some(document) = texts.get(DOCUMENT) else {
        return vec![format!("{DOCUMENT} is missing")];
    };
    let mut problems = Vec::new();
    for (path, names) in named(document) {
        let Some(text) = texts.get(path) else {
            problems.push(format!("{DOCUMENT}: there is no file `{path}`"));
            continue;
        };
        for name in names.iter().filter(|name| !holds(path, text, name)) {
            problems.push(format!("{DOCUMENT}: `{path}` has no test \"{name}\""));
        }
    }
    problems
}

/// Whether a file has a test of this name.
fn holds(path: &str, text: &str, name: &str) -> bool {
    if path.ends_with(".rs") {
        text.contains(&format!("fn {name}("))
    } else {
        text.contains(name)
    }
}

/// Every file of code between backticks, and the quoted names behind its colon.
fn named(document: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    let mut rest = document;
    while let Some((path, behind)) = next_between(rest, '`') {
        rest = behind;
        if !(path.ends_with(".rs") || path.ends_with(".mjs")) || path.contains(char::is_whitespace)
        {
            continue;
        }
        let mut names = Vec::new();
        let mut list = behind.strip_prefix(": ");
        while let Some((name, more)) = list
            .filter(|list| list.starts_with('"'))
            .and_then(|list| next_between(list, '"'))
        {
            names.push(name);
            list = more.strip_prefix(", ");
        }
        found.push((path, names));
    }
    found
}

/// What stands between the next two marks, and what follows.
fn next_between(text: &str, mark: char) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once(mark)?;
    rest.split_once(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Tracked {
        Tracked {
            path: path.to_owned(),
            bytes: 0,
            text: Some(text.to_owned()),
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let document = "| `cargo x` | `a/b.rs`: \"one\", \"two\"; `c.mjs`: \"at 5\", \"at 6\" | in `gone.rs` |";
        let files = [
            file(DOCUMENT, document),
            file("a/b.rs", "fn one() {} // two("),
            file("c.mjs", "test(\"at 5\")"),
        ];
        assert_eq!(
            problems(&files),
            [
                "docs/RECOVERY.md: `a/b.rs` has no test \"two\"",
                "docs/RECOVERY.md: `c.mjs` has no test \"at 6\"",
                "docs/RECOVERY.md: there is no file `gone.rs`",
            ]
        );
    }
}
