//! The web app manifest: what browsers need for an installation, and that every address in it is relative.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Problems, Site};

pub(super) const FILE: &str = "manifest.webmanifest";
/// Longest name that fits below an icon.
const MAX_SHORT_NAME: usize = 12;

pub(super) fn read(site: &Site) -> Result<Value> {
    serde_json::from_str(&site.text(FILE)?).with_context(|| format!("dist/{FILE} is no JSON"))
}

pub(super) fn problems(site: &Site) -> Result<Problems> {
    let manifest = read(site)?;
    let mut problems = Problems::new();
    let text = |name: &str| manifest[name].as_str().unwrap_or_default();
    for name in ["name", "short_name", "description", "lang"] {
        if text(name).is_empty() {
            problems.push(format!("{FILE}: {name} is missing"));
        }
    }
    if text("short_name").chars().count() > MAX_SHORT_NAME {
        problems.push(format!(
            "{FILE}: short_name is longer than {MAX_SHORT_NAME} characters"
        ));
    }
    for name in ["id", "start_url", "scope"] {
        // Relative to the manifest, so that the folder works below any path.
        if text(name) != "./" {
            problems.push(format!(
                "{FILE}: {name} is {:?}, expected \"./\"",
                text(name)
            ));
        }
    }
    if text("display") != "standalone" {
        problems.push(format!(
            "{FILE}: display is {:?}, expected \"standalone\"",
            text("display")
        ));
    }
    for name in ["theme_color", "background_color"] {
        let colour = text(name);
        let hex = colour.strip_prefix('#').unwrap_or_default();
        if hex.len() != 6 || !hex.chars().all(|c| c.is_ascii_hexdigit()) {
            problems.push(format!("{FILE}: {name} is {colour:?}, expected #rrggbb"));
        }
    }
    if manifest["categories"].as_array().is_none_or(Vec::is_empty) {
        problems.push(format!("{FILE}: categories are missing"));
    }
    if !manifest["orientation"].is_null() {
        problems.push(format!(
            "{FILE}: orientation is fixed, but an iPad is turned"
        ));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::super::example::{assert_breaks, assert_passes};
    use super::*;

    #[test]
    fn each_field_matters() {
        assert_passes("manifest", problems);
        for (from, to, words) in [
            ("\"name\": \"Tern\"", "\"name\": \"\"", "name is missing"),
            (
                "\"short_name\": \"Tern\"",
                "\"short_name\": \"A long name of it\"",
                "longer than",
            ),
            ("\"id\": \"./\"", "\"id\": \"/\"", "id is"),
            (
                "\"start_url\": \"./\"",
                "\"start_url\": \"/\"",
                "start_url is",
            ),
            ("\"standalone\"", "\"browser\"", "display is"),
            ("#112233", "blue", "theme_color is"),
            ("[\"utilities\"]", "[]", "categories"),
            (
                "\"lang\": \"en\"",
                "\"lang\": \"en\", \"orientation\": \"portrait\"",
                "orientation",
            ),
        ] {
            assert_breaks("manifest-broken", FILE, from, to, problems, words);
        }
    }
}
