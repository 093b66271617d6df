//! The `_headers` file of a site, in the form that several static hosts read: a path, then indented `Name: value` lines.
//!
//! What the file says is what a deployed site answers, so a mistake in it shows on this machine first.

use anyhow::{Context as _, Result};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Name of the file, at the top of the site.
pub(crate) const FILE: &str = "_headers";

/// All rules of a file.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    /// A path, or the start of paths with `*` behind it.
    pattern: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Rules {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// A line is neither a comment, nor a path, nor a header below a path.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut rules: Vec<Rule> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let wrong = || {
                format!(
                    "{FILE}:{}: expected `/path` or an indented `Name: value`",
                    index + 1
                )
            };
            if !line.starts_with([' ', '\t']) {
                anyhow::ensure!(content.starts_with('/'), wrong());
                rules.push(Rule {
                    pattern: content.to_owned(),
                    headers: Vec::new(),
                });
                continue;
            }
            let (name, value) = content.split_once(':').with_context(wrong)?;
            let name = HeaderName::try_from(name.trim()).with_context(wrong)?;
            let value = HeaderValue::from_str(value.trim()).with_context(wrong)?;
            rules
                .last_mut()
                .with_context(wrong)?
                .headers
                .push((name, value));
        }
        Ok(Self(rules))
    }

    /// Sets what the rules say for `path`, which starts with a slash and lies below the site's own base.
    pub(crate) fn apply(&self, path: &str, headers: &mut HeaderMap) {
        for rule in self.0.iter().filter(|rule| rule.covers(path)) {
            for (name, value) in &rule.headers {
                headers.insert(name, value.clone());
            }
        }
    }
}

impl Rule {
    fn covers(&self, path: &str) -> bool {
        match self.pattern.split_once('*') {
            Some((start, _)) => path.starts_with(start),
            None => path == self.pattern,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(rules: &str, path: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        Rules::parse(rules).unwrap().apply(path, &mut headers);
        headers
            .get("x-test")
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn exact_paths_and_starts_of_paths() {
        let rules = "# all\n/*\n  X-Test: all: of it\n\n/a-*\n\tX-Test: a\n/b.js\n  X-Test: b\n";
        for (path, expected) in [
            ("/", "all: of it"),
            ("/a", "all: of it"),
            ("/a-1.js", "a"),
            ("/b.js", "b"),
            ("/b.js.map", "all: of it"),
        ] {
            assert_eq!(value(rules, path).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(value("/b.js\n  X-Test: b\n", "/"), None);
    }

    #[test]
    fn lines_that_mean_nothing_are_named() {
        for (text, line) in [
            ("  X: y\n", 1),
            ("/\n  nonsense\n", 2),
            ("path\n", 1),
            ("/\n  a b: c\n", 2),
        ] {
            let error = Rules::parse(text).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("_headers:{line}:")),
                "{error}"
            );
        }
    }
}
