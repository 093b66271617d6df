//! A small site that passes every check, and ways to break it.

use std::fs;

use anyhow::Result;

use super::{Problems, Site};
use crate::{dist, policy, shell};

const MANIFEST: &str = r##"{
  "id": "./", "name": "Tern", "short_name": "Tern", "description": "Chat", "lang": "en",
  "start_url": "./", "scope": "./", "display": "standalone",
  "background_color": "#112233", "theme_color": "#112233", "categories": ["utilities"],
  "icons": [
    { "src": "icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any" },
    { "src": "icon-192.png", "sizes": "192x192", "type": "image/png", "purpose": "any" },
    { "src": "icon-512.png", "sizes": "512x512", "type": "image/png", "purpose": "any" },
    { "src": "icon-maskable-192.png", "sizes": "192x192", "type": "image/png", "purpose": "maskable" },
    { "src": "icon-maskable-512.png", "sizes": "512x512", "type": "image/png", "purpose": "maskable" }
  ]
}"##;

const HEAD: &str = r#"<title>Tern</title>
<meta name="viewport" content="width=device-width, viewport-fit=cover" />
<meta name="description" content="Chat" />
<meta name="referrer" content="no-referrer" />
<meta name="theme-color" content="white" media="(prefers-color-scheme: light)" />
<meta name="theme-color" content="black" media="(prefers-color-scheme: dark)" />
<meta name="apple-mobile-web-app-capable" content="yes" />
<meta name="apple-mobile-web-app-title" content="Tern" />
<link rel="manifest" href="manifest.webmanifest" />
<link rel="apple-touch-icon" href="icon-180.png" />
<script type="module" src="./start.js"></script>"#;

/// The start of a PNG file of a square image; `colour` is its colour type, 2 without and 6 with an alpha channel.
pub(super) fn png(pixels: u32, colour: u8) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(pixels.to_be_bytes());
    bytes.extend(pixels.to_be_bytes());
    bytes.extend([8, colour, 0, 0, 0]);
    bytes
}

/// The site, in a folder of its own below the target folder.
fn site(name: &str) -> Site {
    let folder = shell::target_dir().join("tmp").join(format!("site-{name}"));
    fs::remove_dir_all(&folder).ok();
    let write = |path: &str, bytes: &[u8]| {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head>\n<meta http-equiv=\"Content-Security-Policy\" content=\"{}\" />\n{HEAD}\n</head><body></body></html>",
        policy::PAGE
    );
    let (name, header) = ("Content-Security-Policy", policy::page_header());
    let headers = format!(
        "/\n  {name}: {header}\n/index.html\n  {name}: {header}\n/worker_loader.js\n  {name}: {}\n/reader.js\n  {name}: {}\n/app-*\n  Cache-Control: immutable\n",
        policy::WORKER,
        policy::READER
    );
    write("index.html", page.as_bytes());
    write("_headers", headers.as_bytes());
    write("manifest.webmanifest", MANIFEST.as_bytes());
    write("start.js", b"1");
    write("icon.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    write("icon-180.png", &png(180, 2));
    for size in [192, 512] {
        write(&format!("icon-{size}.png"), &png(size, 6));
        write(&format!("icon-maskable-{size}.png"), &png(size, 2));
    }
    write("models/m/weights.bin", b"w");
    write(
        "sw.js",
        &fs::read(shell::root().join("public/sw.js")).unwrap(),
    );
    dist::shell_list::write(&folder).unwrap();
    Site::open(folder).unwrap()
}

/// The site with one file more, or another one.
pub(super) fn site_with(name: &str, path: &str, bytes: &[u8]) -> Site {
    let site = site(name);
    let file = site.folder.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
    Site::open(site.folder).unwrap()
}

/// The site passes the check.
pub(super) fn assert_passes(name: &str, check: fn(&Site) -> Result<Problems>) {
    assert_eq!(check(&site(name)).unwrap(), Problems::new());
}

/// With every `from` in a file replaced by `to`, the check complains in these words.
pub(super) fn assert_breaks(
    name: &str,
    file: &str,
    from: &str,
    to: &str,
    check: fn(&Site) -> Result<Problems>,
    words: &str,
) {
    let site = site(name);
    let text = site.text(file).unwrap();
    assert!(text.contains(from), "{file} holds no {from:?}");
    let site = site_with(name, file, text.replace(from, to).as_bytes());
    let found = check(&site).unwrap();
    assert!(
        found.iter().any(|problem| problem.contains(words)),
        "{file}, {from:?} to {to:?}: expected {words:?}, got {found:?}"
    );
}
