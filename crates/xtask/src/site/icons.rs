//! The icons that the manifest and the page name: there, of the size they claim, for every purpose.

use anyhow::{Context as _, Result};

use super::{Problems, Site, manifest, page};

/// Sizes and purposes that installations use.
const WANTED: [(u32, &str); 4] = [
    (192, "any"),
    (512, "any"),
    (192, "maskable"),
    (512, "maskable"),
];
/// The icon of an iPad's home screen.
const TOUCH_ICON: u32 = 180;
const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Colour types of PNG that have an alpha channel.
const WITH_ALPHA: [u8; 2] = [4, 6];

/// What a PNG file says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Png {
    width: u32,
    height: u32,
    /// Whether it has an alpha channel.
    alpha: bool,
}

pub(super) fn problems(site: &Site) -> Result<Problems> {
    let manifest = manifest::read(site)?;
    let icons = manifest["icons"]
        .as_array()
        .context("the manifest has no icons")?;
    let mut problems = Problems::new();
    let mut found = Vec::new();
    for icon in icons {
        let text = |name: &str| icon[name].as_str().unwrap_or_default();
        let src = text("src");
        if !site.has(src) {
            problems.push(format!("icon {src:?} is not in dist/"));
        } else if text("type") == "image/png" {
            let png = read_png(&site.bytes(src)?).with_context(|| format!("icon {src}"))?;
            if text("sizes") != format!("{}x{}", png.width, png.height) {
                problems.push(format!("icon {src} says {} and is {png:?}", text("sizes")));
            }
            // One icon for both purposes has either a margin that is too wide or a motif that gets cut.
            found.push((png.width, text("purpose").to_owned()));
        } else if text("type") != "image/svg+xml" {
            problems.push(format!("icon {src} has the type {:?}", text("type")));
        }
    }
    for (size, purpose) in WANTED {
        if !found
            .iter()
            .any(|(width, of)| *width == size && of == purpose)
        {
            problems.push(format!(
                "no PNG icon of {size} pixels with the purpose {purpose:?}"
            ));
        }
    }
    problems.extend(touch_icon(site)?);
    Ok(problems)
}

fn touch_icon(site: &Site) -> Result<Problems> {
    let tags = page::tags(site)?;
    let link = tags
        .iter()
        .find(|tag| tag.get("rel") == Some("apple-touch-icon"));
    let Some(src) = link.and_then(|tag| tag.get("href")) else {
        return Ok(vec!["index.html: no apple-touch-icon".to_owned()]);
    };
    if !site.has(src) {
        return Ok(vec![format!("apple-touch-icon {src:?} is not in dist/")]);
    }
    let png = read_png(&site.bytes(src)?).with_context(|| format!("icon {src}"))?;
    let mut problems = Problems::new();
    if (png.width, png.height) != (TOUCH_ICON, TOUCH_ICON) {
        problems.push(format!(
            "apple-touch-icon {src}: expected {TOUCH_ICON} pixels, got {png:?}"
        ));
    }
    if png.alpha {
        problems.push(format!(
            "apple-touch-icon {src} has an alpha channel, which the home screen fills with black"
        ));
    }
    Ok(problems)
}

fn read_png(bytes: &[u8]) -> Result<Png> {
    let number = |at: usize| -> Option<u32> {
        Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let header = bytes.starts_with(PNG_SIGNATURE) && bytes.get(12..16) == Some(b"IHDR");
    match (header, number(16), number(20), bytes.get(25)) {
        (true, Some(width), Some(height), Some(colour)) => Ok(Png {
            width,
            height,
            alpha: WITH_ALPHA.contains(colour),
        }),
        _ => anyhow::bail!("not a PNG file"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{assert_breaks, assert_passes, png, site_with};
    use super::*;

    #[test]
    fn every_icon_matters() {
        assert_passes("icons", problems);
        for (from, to, words) in [
            ("icon-512.png", "icon-513.png", "not in dist"),
            ("\"192x192\"", "\"100x100\"", "says 100x100"),
            ("\"maskable\"", "\"any\"", "purpose \"maskable\""),
            ("\"any\"", "\"any maskable\"", "purpose \"any\""),
            ("image/png", "image/gif", "type \"image/gif\""),
        ] {
            assert_breaks("icons-broken", manifest::FILE, from, to, problems, words);
        }
        assert_breaks(
            "icons-broken",
            "index.html",
            "apple-touch-icon",
            "icon",
            problems,
            "no apple-touch-icon",
        );
    }

    #[test]
    fn the_home_screens_icon_is_opaque_and_of_its_size() {
        for (bytes, words) in [(png(180, 6), "alpha"), (png(192, 2), "expected 180")] {
            let site = site_with("icons-touch", "icon-180.png", &bytes);
            let found = problems(&site).unwrap();
            assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
        }
        assert!(read_png(b"GIF89a").is_err());
    }
}
