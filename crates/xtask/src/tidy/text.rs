//! Rules about the text of source files: length, unfinished work, shader directives, places outside the repository.

use super::Tracked;

/// Longest source file, in lines.
const MAX_LINES: usize = 400;
const SOURCES: [&str; 5] = ["rs", "wgsl", "mjs", "js", "sh"];

/// What breaks a rule.
pub(crate) fn problems(files: &[Tracked]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let Some(text) = &file.text else { continue };
        let ending = file.path.rsplit_once('.').map_or("", |(_, ending)| ending);
        if SOURCES.contains(&ending) {
            let lines = text.lines().count();
            if lines > MAX_LINES {
                problems.push(format!(
                    "{}: {lines} lines, at most {MAX_LINES}: split it by meaning",
                    file.path
                ));
            }
        }
        for (index, line) in text.lines().enumerate() {
            for problem in line_problems(&file.path, ending, line) {
                problems.push(format!("{}:{}: {problem}", file.path, index + 1));
            }
        }
    }
    problems
}

fn line_problems(path: &str, ending: &str, line: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if SOURCES.contains(&ending) && has_anonymous_mark(line) {
        problems
            .push("unfinished work without a name: write MARK(name): what, or do it".to_owned());
    }
    if ending == "wgsl" && is_directive(line) {
        problems.push("a directive: the linker writes those, for each target".to_owned());
    }
    if let Some(place) = machine_path(line) {
        problems.push(format!("a path of one machine: {place}"));
    }
    // This list and the lock file's test must name what they look for.
    if !path.starts_with("crates/xtask/src/t") {
        problems.extend(host(line).map(|host| format!("a package registry's address: {host}")));
    }
    problems
}

/// The marks for unfinished work, written so that this file does not contain them.
fn has_anonymous_mark(line: &str) -> bool {
    [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ]
    .iter()
    .any(|mark| {
        line.match_indices(mark).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = &line[at + mark.len()..];
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let whole = !before.is_some_and(is_word) && !after.starts_with(is_word);
            let named = after
                .strip_prefix('(')
                .is_some_and(|rest| rest.find("):").is_some_and(|end| end > 0));
            whole && !named
        })
    })
}

fn is_directive(line: &str) -> bool {
    let line = line.trim_start();
    ["enable ", "requires ", "diagnostic("]
        .iter()
        .any(|word| line.starts_with(word))
}

/// The folder of somebody's machine that a line names.
fn machine_path(line: &str) -> Option<&'static str> {
    const PLACES: [&str; 4] = [
        concat!("/", "work/"),
        concat!("/", "root/"),
        concat!("/", "home/"),
        concat!("/", "Users/"),
    ];
    PLACES.into_iter().find(|place| {
        line.match_indices(place).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "._-/}{)$*".contains(c))
        })
    })
}

/// Addresses of package registries, which differ from place to place.
fn host(line: &str) -> Option<&'static str> {
    const HOSTS: [&str; 6] = [
        "registry.npmjs.org",
        "deb.debian.org",
        "index.crates.io",
        "static.crates.io",
        "files.pythonhosted.org",
        "\"resolved\":",
    ];
    HOSTS.into_iter().find(|host| line.contains(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        problems(&[Tracked {
            path: path.to_owned(),
            bytes: text.len() as u64,
            text: Some(text.to_owned()),
        }])
    }

    #[test]
    fn long_files() {
        assert!(check("a.rs", &"x\n".repeat(MAX_LINES)).is_empty());
        assert_eq!(check("a.rs", &"x\n".repeat(MAX_LINES + 1)).len(), 1);
        assert!(check("a.md", &"x\n".repeat(MAX_LINES + 1)).is_empty());
    }

    #[test]
    fn unfinished_work_needs_a_name() {
        let mark = concat!("TO", "DO");
        assert_eq!(check("a.rs", &format!("// {mark}: later")).len(), 1);
        assert_eq!(check("a.rs", &format!("// {mark}(): later")).len(), 1);
        assert!(check("a.rs", &format!("// {mark}(maria): later")).is_empty());
        assert!(check("a.rs", &format!("let MY_{mark}S = 1;")).is_empty());
    }

    #[test]
    fn shader_directives() {
        assert_eq!(
            check("shaders/a.wgsl", "enable f16;\n  requires x;\n").len(),
            2
        );
        assert!(
            check(
                "shaders/a.wgsl",
                "// needs: enable the sum\nlet enabled = 1;"
            )
            .is_empty()
        );
    }

    #[test]
    fn machine_paths_and_registries() {
        assert_eq!(
            check("a.md", &format!("see {}tern", concat!("/", "home/"))).len(),
            1
        );
        assert!(
            check(
                "a.md",
                "https://example.org/home/page and ../work/x and ~/.cargo"
            )
            .is_empty()
        );
        assert_eq!(check("a.json", "{ \"resolved\": \"x\" }").len(), 1);
    }
}
