//! Sizes that must be in a kernel's text, and loops that must be gone from it.
//!
//! WGSL cannot size an array of a function by an `override`, and no compiler promises to unroll a loop. An array that is too
//! large, or indexed by a loop that stayed one, does not live in registers: on one GPU that cost three quarters of a
//! kernel's speed. So a kernel declares `const STEPS: u32 = 3u;`, whose value its op replaces, and marks loops over such
//! constants: `for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled`. The text is valid WGSL without this file too.

use std::collections::HashMap;

const MARK: &str = "{ // unrolled";

/// Replaces the values of constants, then repeats the bodies of marked loops with the loop variable as a constant.
///
/// # Errors
/// What is wrong, when a constant is not declared or a marked loop is not of the form above.
pub(super) fn unroll(text: &str, sizes: &[(&'static str, u32)]) -> Result<String, String> {
    let mut text = text.to_owned();
    for (name, value) in sizes {
        let declared = format!("const {name}: u32 = ");
        let start = text
            .find(&declared)
            .ok_or_else(|| format!("expected `{declared}...`, found none"))?
            + declared.len();
        let end = start + text[start..].find(';').ok_or("a constant without an end")?;
        text.replace_range(start..end, &format!("{value}u"));
    }
    let constants = constants(&text);
    expand(&text, &constants)
}

/// Values of all `const NAME: u32 = Nu;`.
fn constants(text: &str) -> HashMap<String, u32> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("const ")?.split_once(": u32 = ")?;
            let value = value.split("u;").next()?.parse().ok()?;
            Some((name.to_owned(), value))
        })
        .collect()
}

fn expand(text: &str, constants: &HashMap<String, u32>) -> Result<String, String> {
    let Some(mark) = text.find(MARK) else {
        return Ok(text.to_owned());
    };
    let start = text[..mark].rfind("for (").ok_or("a mark without a loop")?;
    let head = &text[start..mark];
    let (variable, count) =
        parse_head(head, constants).ok_or_else(|| format!("cannot unroll `{head}`"))?;
    let body_start = mark + MARK.len();
    let body_end = body_start
        + matching_brace(&text[body_start..]).ok_or_else(|| format!("`{head}` has no end"))?;
    let body = expand(&text[body_start..body_end], constants)?;
    let mut out = text[..start].to_owned();
    for i in 0..count {
        out.push_str(&format!("{{ const {variable} = {i}u;{body}}}\n"));
    }
    out.push_str(&expand(&text[body_end + 1..], constants)?);
    Ok(out)
}

/// Variable and count of `for (var j = 0u; j < COUNT; j = j + 1u) `.
fn parse_head(head: &str, constants: &HashMap<String, u32>) -> Option<(String, u32)> {
    let rest = head.strip_prefix("for (var ")?;
    let (variable, rest) = rest.split_once(" = 0u; ")?;
    let rest = rest.strip_prefix(variable)?.strip_prefix(" < ")?;
    let (count, rest) = rest.split_once("; ")?;
    (rest.trim_end() == format!("{variable} = {variable} + 1u)")).then_some(())?;
    Some((variable.to_owned(), *constants.get(count)?))
}

/// Offset of the brace that closes the block whose opening one came before `text`.
fn matching_brace(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "const N: u32 = 1u; // sized by the op
fn f() {
    for (var j = 0u; j < N; j = j + 1u) { // unrolled
        if a[j] { b[j] = 1u; }
    }
    g();
}
";

    #[test]
    fn bodies_are_repeated_with_constants() {
        let got = unroll(TEXT, &[("N", 2)]).unwrap();
        let body = "\n        if a[j] { b[j] = 1u; }\n    }\n";
        let expected = format!(
            "const N: u32 = 2u; // sized by the op\nfn f() {{\n    {{ const j = 0u;{body}{{ const j = 1u;{body}\n    g();\n}}\n"
        );
        assert_eq!(got, expected);
    }

    #[test]
    fn loops_nest() {
        let text = "const A: u32 = 2u;\nconst B: u32 = 3u;
for (var i = 0u; i < A; i = i + 1u) { // unrolled
for (var j = 0u; j < B; j = j + 1u) { // unrolled
x[i][j] = 0u; } }";
        let got = unroll(text, &[]).unwrap();
        assert_eq!(got.matches("x[i][j]").count(), 6);
        assert!(!got.contains("for"));
    }

    #[test]
    fn other_text_is_left_alone() {
        let text = "for (var i = 0u; i < n; i = i + 1u) { x(); }";
        assert_eq!(unroll(text, &[]).unwrap(), text);
    }

    #[test]
    fn mistakes_are_told() {
        assert!(unroll(TEXT, &[("M", 2)]).is_err(), "no such constant");
        let text = TEXT.replace("< N", "< n");
        assert!(unroll(&text, &[]).is_err(), "no such bound");
        let text = TEXT.replace("j + 1u", "j + 2u");
        assert!(unroll(&text, &[]).is_err(), "another stride");
    }
}
