//! JSON as Python's `json.dumps` writes it, which is what chat templates were written against.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// `json.dumps(value, ensure_ascii=False, indent=indent)`.
pub(crate) fn dumps(
    value: &impl Serialize,
    indent: Option<usize>,
) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    match indent {
        Some(indent) => {
            let spaces = " ".repeat(indent.min(16));
            value.serialize(&mut Serializer::with_formatter(
                &mut out,
                PrettyFormatter::with_indent(spaces.as_bytes()),
            ))?;
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut out, SpacedFormatter))?,
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// One line, with a space after each comma and colon.
struct SpacedFormatter;

impl Formatter for SpacedFormatter {
    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn it_is_pythons_spacing() {
        let value: serde_json::Value =
            serde_json::from_str(r#"{"a":[1,"é<"],"b":{},"c":null}"#).unwrap();
        assert_eq!(
            dumps(&value, None).unwrap(),
            r#"{"a": [1, "é<"], "b": {}, "c": null}"#
        );
        assert_eq!(
            dumps(&value, Some(1)).unwrap(),
            "{\n \"a\": [\n  1,\n  \"é<\"\n ],\n \"b\": {},\n \"c\": null\n}"
        );
    }
}
