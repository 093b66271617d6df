//! How large the repository may be: it travels whole to machines with slow links, and models are its largest part.

use super::Tracked;

const MIB: u64 = 1 << 20;
/// All tracked files together, and those outside `public/models`.
const MAX_TOTAL: u64 = 62 * MIB;
const MAX_WITHOUT_MODELS: u64 = 14 * MIB;
/// One file and one model package: limits of static hosts, in decimal megabytes.
const MAX_FILE: u64 = 16_000_000;
const MAX_PACKAGE: u64 = 48_000_000;
const MODELS: &str = "public/models/";

/// Limits that are exceeded.
pub(crate) fn problems(files: &[Tracked]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut limit = |what: &str, bytes: u64, max: u64| {
        if bytes >= max {
            problems.push(format!("{what}: {bytes} bytes, must stay below {max}"));
        }
    };
    let sum = |wanted: &dyn Fn(&str) -> bool| {
        files
            .iter()
            .filter(|file| wanted(&file.path))
            .map(|file| file.bytes)
            .sum()
    };
    limit("all tracked files", sum(&|_| true), MAX_TOTAL);
    limit(
        "tracked files outside public/models",
        sum(&|path| !path.starts_with(MODELS)),
        MAX_WITHOUT_MODELS,
    );
    for file in files {
        limit(&file.path, file.bytes, MAX_FILE);
    }
    let mut packages: Vec<&str> = files
        .iter()
        .filter_map(|file| package(&file.path))
        .collect();
    packages.dedup();
    for name in packages {
        limit(
            &format!("{MODELS}{name}"),
            sum(&|path| package(path) == Some(name)),
            MAX_PACKAGE,
        );
    }
    problems
}

/// The model package that a path belongs to.
fn package(path: &str) -> Option<&str> {
    path.strip_prefix(MODELS)?
        .split_once('/')
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[(&str, u64)]) -> Vec<String> {
        let files: Vec<Tracked> = rows
            .iter()
            .map(|(path, bytes)| Tracked {
                path: (*path).to_owned(),
                bytes: *bytes,
                text: None,
            })
            .collect();
        problems(&files)
    }

    #[test]
    fn each_limit_alone() {
        assert!(check(&[("public/models/m/0", MAX_FILE - 1), ("src", MAX_FILE / 2)]).is_empty());
        assert_eq!(check(&[("public/models/m/0", MAX_FILE)]).len(), 1);
        let part = MAX_FILE - 1;
        let four = [
            ("public/models/m/0", part),
            ("public/models/m/1", part),
            ("public/models/m/2", part),
            ("public/models/m/3", 3),
        ];
        assert_eq!(
            check(&four),
            [format!(
                "public/models/m: {MAX_PACKAGE} bytes, must stay below {MAX_PACKAGE}"
            )]
        );
        assert_eq!(
            check(&[("a", MAX_WITHOUT_MODELS / 2), ("b", MAX_WITHOUT_MODELS / 2)]).len(),
            1
        );
        let models: Vec<String> = (0..5)
            .map(|index| format!("public/models/m{index}/0"))
            .collect();
        let rows: Vec<(&str, u64)> = models
            .iter()
            .map(|path| (path.as_str(), 13 * MIB))
            .collect();
        assert_eq!(check(&rows).len(), 1);
    }
}
