//! A Jinja environment with the settings and extras that Hugging Face gives to chat templates, and with limits.

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{AutoEscape, Environment, Error as JinjaError, ErrorKind};

use crate::python_json;

/// Depth of macros and blocks in one another; kept low because a browser's stack is small.
const MAX_DEPTH: usize = 100;

/// What `raise_exception` was called with.
#[derive(Debug)]
pub(crate) struct Raised(pub(crate) String);

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

/// The environment; fuel is set for each rendering.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    if let Ok(syntax) = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
    {
        environment.set_syntax(syntax);
    }
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_recursion_limit(MAX_DEPTH);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<Value, JinjaError> {
            Err(
                JinjaError::new(ErrorKind::InvalidOperation, message.clone())
                    .with_source(Raised(message)),
            )
        },
    );
    environment.add_filter(
        "tojson",
        |value: Value, options: Kwargs| -> Result<String, JinjaError> {
            let indent: Option<usize> = options.get("indent")?;
            // Accepted for compatibility; text is never escaped to ASCII.
            let _: Option<bool> = options.get("ensure_ascii")?;
            options.assert_all_used()?;
            python_json::dumps(&value, indent)
                .map_err(|error| JinjaError::new(ErrorKind::BadSerialization, error.to_string()))
        },
    );
    environment
}

/// Hugging Face marks the assistant's part with `{% generation %}`, a tag of its own; it writes nothing, so an
/// `if true` with the same white-space control stands for it.
pub(crate) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let (before, tag) = rest.split_at(open + 2);
        out.push_str(before);
        rest = tag;
        let Some(close) = tag.find("%}") else { break };
        let inside = &tag[..close];
        let word = inside.trim_matches(['-', '+']).trim();
        let replacement = match word {
            "generation" => "if true",
            "endgeneration" => "endif",
            _ => continue,
        };
        out.push_str(&inside.replacen(word, replacement, 1));
        rest = &tag[close..];
    }
    out.push_str(rest);
    out
}

/// Collects what a template writes, up to a limit.
pub(crate) struct Bounded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) limit: usize,
    pub(crate) exceeded: bool,
}

impl io::Write for &mut Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.len() > self.limit.saturating_sub(self.bytes.len()) {
            self.exceeded = true;
            return Err(io::Error::other("the output limit is reached"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_tags_become_neutral_blocks() {
        for (source, expected) in [
            (
                "a{% generation %}b{% endgeneration %}c",
                "a{% if true %}b{% endif %}c",
            ),
            (
                "{%- generation -%}x{%- endgeneration +%}",
                "{%- if true -%}x{%- endif +%}",
            ),
            (
                "{% if generation %}{% endif %}",
                "{% if generation %}{% endif %}",
            ),
            (
                "{{ '{%' }} {% generation %}{% endgeneration %}",
                "{{ '{%' }} {% if true %}{% endif %}",
            ),
            ("no tags", "no tags"),
            ("{% open", "{% open"),
        ] {
            assert_eq!(without_generation_tags(source), expected);
        }
    }
}
