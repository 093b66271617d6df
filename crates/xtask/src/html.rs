//! Just enough of HTML to check our own page: the elements in order, with their attributes. Not a parser for anything else.

/// An element's start: its name and attributes, names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Name.
    pub(crate) name: String,
    /// Names and values; an attribute without a value has an empty one.
    pub(crate) attributes: Vec<(String, String)>,
    /// What stands between this tag and the next one.
    pub(crate) text: String,
}

impl Tag {
    /// The value of an attribute.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// All start tags of a page, comments left out.
pub(crate) fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        rest = &rest[open..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let is_start = rest[1..].starts_with(|c: char| c.is_ascii_alphabetic());
        let (inside, after) = split_tag(&rest[1..]);
        if is_start {
            let mut tag = read_tag(inside);
            tag.text = after
                .split('<')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned();
            tags.push(tag);
        }
        rest = after;
    }
    tags
}

/// What is inside a tag, and what follows it; a `>` inside quotes does not end it.
fn split_tag(text: &str) -> (&str, &str) {
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return (&text[..index], &text[index + 1..]),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    (text, "")
}

fn read_tag(inside: &str) -> Tag {
    let inside = inside.trim_end_matches('/').trim();
    let (name, mut rest) = inside
        .split_once(char::is_whitespace)
        .unwrap_or((inside, ""));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        if end == 0 {
            break;
        }
        let name = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let mut value = "";
        if let Some(given) = rest.strip_prefix('=') {
            (value, rest) = match given.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    given[1..].split_once(quote).unwrap_or((&given[1..], ""))
                }
                _ => given.split_once(char::is_whitespace).unwrap_or((given, "")),
            };
        }
        attributes.push((name, value.to_owned()));
    }
    Tag {
        name: name.to_ascii_lowercase(),
        attributes,
        text: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_with_every_form_of_attribute() {
        let html = "<!-- <b x> --><META Name=a content=\"x > 'y'\" />\n<p hidden>text</p><a href='./'>b</a>";
        let found: Vec<(String, Option<String>, String)> = tags(html)
            .into_iter()
            .map(|tag| {
                let first = tag
                    .attributes
                    .last()
                    .map(|(name, value)| format!("{name}={value}"));
                (tag.name, first, tag.text)
            })
            .collect();
        let row = |name: &str, last: &str, text: &str| {
            (name.to_owned(), Some(last.to_owned()), text.to_owned())
        };
        assert_eq!(
            found,
            [
                row("meta", "content=x > 'y'", ""),
                row("p", "hidden=", "text"),
                row("a", "href=./", "b")
            ]
        );
    }
}
