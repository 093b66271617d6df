//! Pieces of files as they may appear in messages.

/// A name from a file as it may appear in a message: control characters escaped, at most 200 characters.
pub(crate) fn shown(name: &str) -> String {
    shown_up_to(name, 200)
}

/// The same for other texts that hold pieces of a file.
pub(super) fn shown_up_to(name: &str, limit: usize) -> String {
    let mut text = String::new();
    for c in name.chars().take(limit) {
        match c {
            '"' | '\'' | '\\' => text.push(c),
            _ => text.extend(c.escape_debug()),
        }
    }
    if name.chars().nth(limit).is_some() {
        text.push_str("...");
    }
    text
}

/// A shape as it may appear in a message: `[2, 3]`, at most eight dimensions.
pub(crate) fn shown_shape(shape: &[u64]) -> String {
    if shape.len() <= 8 {
        format!("{shape:?}")
    } else {
        format!("{:?} and {} more", &shape[..8], shape.len() - 8)
    }
}
