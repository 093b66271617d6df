//! Which addresses may become links.

/// Schemes of links.
const SCHEMES: [&str; 3] = ["https://", "http://", "mailto:"];
/// Longest address, in bytes.
pub(super) const MAX_ADDRESS: usize = 2048;

/// The address if it may be a link: `http`, `https` or `mailto`, written without anything that a browser would strip,
/// decode or read in another way than a person. Everything else stays text.
#[must_use]
pub fn safe_address(address: &str) -> Option<&str> {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '\\' && !is_invisible(c);
    let has_scheme = SCHEMES.iter().any(|scheme| {
        address
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && address.len() > scheme.len()
    });
    (has_scheme && address.len() <= MAX_ADDRESS && address.chars().all(is_plain)).then_some(address)
}

/// Characters without a shape that hide where an address goes, or turn its direction.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::safe_address;

    #[test]
    fn only_plain_web_and_mail_addresses_pass() {
        let check = |address: &str, passes: bool| {
            assert_eq!(safe_address(address).is_some(), passes, "{address:?}");
        };
        check("https://example.org/a?b=c#d", true);
        check("HTTP://example.org", true);
        check("mailto:a@example.org", true);
        check("https://münchen.example/ß", true);
        for hostile in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\tscript:alert(1)",
            " javascript:alert(1)",
            "\u{1}javascript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "blob:https://example.org/1",
            "file:///etc/passwd",
            "intent://scan/#Intent;end",
            "//example.org",
            "/relative",
            "relative",
            "#fragment",
            "",
            "https:",
            "https://",
            "https:example.org",
            "https://exa\nmple.org",
            "https://example.org\\@evil.example",
            "https://example.org/\u{202e}gpj.exe",
            "https://exam\u{200b}ple.org",
        ] {
            check(hostile, false);
        }
        check(&format!("https://example.org/{}", "a".repeat(3000)), false);
    }
}
