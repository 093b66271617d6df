//! index.html: what an installed app needs in its head, and nothing inline.

use anyhow::Result;

use super::{Problems, Site, manifest};
use crate::html::{self, Tag};

/// Elements that would load something no policy here allows.
const FOREIGN_ELEMENTS: [&str; 6] = ["iframe", "object", "embed", "base", "form", "style"];

pub(super) fn tags(site: &Site) -> Result<Vec<Tag>> {
    Ok(html::tags(&site.text("index.html")?))
}

pub(super) fn problems(site: &Site) -> Result<Problems> {
    let tags = tags(site)?;
    let mut problems = Problems::new();
    let mut want = |there: bool, words: &str| {
        if !there {
            problems.push(format!("index.html: {words}"));
        }
    };
    let content = |name: &str| {
        meta(&tags, name)
            .find_map(|tag| tag.get("content"))
            .unwrap_or_default()
            .to_owned()
    };
    want(
        tags.iter()
            .any(|tag| tag.name == "html" && tag.get("lang").is_some()),
        "no language",
    );
    want(
        tags.iter()
            .any(|tag| tag.name == "title" && !tag.text.is_empty()),
        "no title",
    );
    want(!content("description").is_empty(), "no description");
    let viewport = content("viewport");
    want(
        viewport.contains("viewport-fit=cover"),
        "the viewport leaves out the safe areas (viewport-fit=cover)",
    );
    want(
        !viewport.contains("user-scalable") && !viewport.contains("maximum-scale"),
        "the viewport forbids zooming",
    );
    want(
        content("apple-mobile-web-app-capable") == "yes",
        "no apple-mobile-web-app-capable",
    );
    want(
        !content("apple-mobile-web-app-title").is_empty(),
        "no apple-mobile-web-app-title",
    );
    want(
        content("referrer") == "no-referrer",
        "the address would be sent to hosts of models and links (referrer)",
    );
    for scheme in ["light", "dark"] {
        let query = format!("(prefers-color-scheme: {scheme})");
        let found = meta(&tags, "theme-color").any(|tag| tag.get("media") == Some(&query));
        want(found, &format!("no theme-color for {scheme}"));
    }
    let linked = tags
        .iter()
        .any(|tag| tag.get("rel") == Some("manifest") && tag.get("href") == Some(manifest::FILE));
    want(linked, "no link to the manifest");
    for tag in &tags {
        inline(tag, &mut want);
        addresses(site, tag, &mut want);
    }
    Ok(problems)
}

/// The meta elements of a name.
fn meta<'a>(tags: &'a [Tag], name: &'a str) -> impl Iterator<Item = &'a Tag> {
    tags.iter()
        .filter(move |tag| tag.name == "meta" && tag.get("name") == Some(name))
}

/// Scripts, styles and handlers inside the page, which the policy would block.
fn inline(tag: &Tag, want: &mut impl FnMut(bool, &str)) {
    let name = &tag.name;
    want(
        !FOREIGN_ELEMENTS.contains(&name.as_str()),
        &format!("an element {name}"),
    );
    want(
        name != "script" || (tag.get("src").is_some() && tag.text.is_empty()),
        "an inline script",
    );
    for (attribute, _) in &tag.attributes {
        want(
            !attribute.starts_with("on"),
            &format!("a handler {attribute} in {name}"),
        );
        want(attribute != "style", &format!("an inline style in {name}"));
    }
}

/// Every address is relative and names a file that is there.
fn addresses(site: &Site, tag: &Tag, want: &mut impl FnMut(bool, &str)) {
    for attribute in ["href", "src"] {
        let Some(address) = tag.get(attribute) else {
            continue;
        };
        let path = address.strip_prefix("./").unwrap_or(address);
        want(
            path.is_empty() || site.has(path),
            &format!("{address:?} is not in dist/"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{assert_breaks, assert_passes};
    use super::*;

    #[test]
    fn each_line_matters() {
        assert_passes("page", problems);
        for (from, to, words) in [
            (" lang=\"en\"", "", "no language"),
            ("<title>Tern", "<title>", "no title"),
            (", viewport-fit=cover", "", "safe areas"),
            (
                "width=device-width",
                "width=device-width, user-scalable=no",
                "zooming",
            ),
            (
                "apple-mobile-web-app-title",
                "other",
                "apple-mobile-web-app-title",
            ),
            ("scheme: dark", "scheme: light", "theme-color for dark"),
            ("rel=\"manifest\"", "rel=\"other\"", "link to the manifest"),
            ("no-referrer", "origin", "referrer"),
            ("src=\"./start.js\">", ">run()", "inline script"),
            ("<body>", "<body onload=\"x\">", "handler onload"),
            ("<body>", "<body style=\"x\">", "inline style"),
            ("<body>", "<body><style>a{}</style>", "element style"),
            ("./start.js", "./other.js", "is not in dist"),
            (
                "./start.js",
                "https://example.org/start.js",
                "is not in dist",
            ),
        ] {
            assert_breaks("page-broken", "index.html", from, to, problems, words);
        }
    }
}
