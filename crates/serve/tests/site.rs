//! The site as a browser meets it: raw requests over a connection, so that nothing smooths over what is really sent.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

const HEADERS: &str = "/*\n  X-Content-Type-Options: nosniff\n/\n  X-Page: yes\n/app-*\n  Cache-Control: max-age=9, immutable\n";

/// Serves a folder with some files for the rest of the process.
fn server(name: &str, base: &str) -> SocketAddr {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(folder.join("models")).unwrap();
    for (path, bytes) in [
        ("index.html", b"<!doctype html>".as_slice()),
        ("_headers", HEADERS.as_bytes()),
        ("manifest.webmanifest", b"{}"),
        ("app-1.js", "1;".repeat(5000).as_bytes()),
        ("app-1_bg.wasm", &[0; 10_000]),
        (
            "models/w.bin",
            &(0..=255).cycle().take(4096).collect::<Vec<u8>>(),
        ),
        ("models/a b.txt", b"x"),
    ] {
        fs::write(folder.join(path), bytes).unwrap();
    }
    fs::write(folder.parent().unwrap().join("secret.txt"), "secret").unwrap();
    let router = serve::router(&folder, base).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            axum_server::from_tcp(listener)
                .unwrap()
                .serve(router.into_make_service())
                .await
                .unwrap();
        });
    });
    address
}

/// Head and body of the answer. Header names are in lower case, as the server writes them.
fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let split = reply
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(reply[..split].to_vec()).unwrap();
    (head, reply[split + 4..].to_vec())
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn types_that_browsers_insist_on() {
    let address = server("types", "/");
    for (path, expected) in [
        ("/", "text/html"),
        ("/app-1.js", "text/javascript"),
        ("/app-1_bg.wasm", "application/wasm"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/models/w.bin", "application/octet-stream"),
        ("/models/a%20b.txt", "text/plain"),
    ] {
        let (head, _) = ask(address, "GET", path, "");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        assert_eq!(header(&head, "content-type"), Some(expected), "{path}");
    }
}

#[test]
fn ranges_of_weights_and_nothing_compressed_about_them() {
    let address = server("ranges", "/");
    let (head, body) = ask(address, "GET", "/models/w.bin", "Accept-Encoding: gzip\r\n");
    assert_eq!(
        (header(&head, "content-length"), body.len()),
        (Some("4096"), 4096),
        "{head}"
    );
    assert_eq!(header(&head, "content-encoding"), None);
    let (head, body) = ask(
        address,
        "GET",
        "/models/w.bin",
        "Range: bytes=10-19\r\nAccept-Encoding: gzip\r\n",
    );
    assert!(head.starts_with("HTTP/1.1 206"), "{head}");
    assert_eq!(header(&head, "content-range"), Some("bytes 10-19/4096"));
    assert_eq!(body, (10..20).collect::<Vec<u8>>());
    let (head, _) = ask(address, "GET", "/models/w.bin", "Range: bytes=4096-\r\n");
    assert!(head.starts_with("HTTP/1.1 416"), "{head}");
    let (head, body) = ask(address, "HEAD", "/models/w.bin", "");
    assert_eq!(
        (header(&head, "content-length"), body.len()),
        (Some("4096"), 0)
    );
}

#[test]
fn code_is_compressed_for_those_who_ask() {
    let address = server("compression", "/");
    for path in ["/app-1.js", "/app-1_bg.wasm"] {
        let (head, body) = ask(address, "GET", path, "Accept-Encoding: gzip\r\n");
        assert_eq!(header(&head, "content-encoding"), Some("gzip"), "{head}");
        assert!(body.len() < 1000, "{path}: {}", body.len());
        let (head, body) = ask(address, "GET", path, "");
        assert_eq!(
            (header(&head, "content-encoding"), body.len()),
            (None, 10_000),
            "{head}"
        );
    }
}

#[test]
fn the_rules_of_the_headers_file_and_what_holds_without_one() {
    let address = server("rules", "/");
    let (head, _) = ask(address, "GET", "/", "");
    assert_eq!(header(&head, "x-page"), Some("yes"));
    assert_eq!(header(&head, "x-content-type-options"), Some("nosniff"));
    assert_eq!(header(&head, "cache-control"), Some("no-cache"));
    let (head, _) = ask(address, "GET", "/app-1.js", "");
    assert_eq!(header(&head, "cache-control"), Some("max-age=9, immutable"));
    assert_eq!(header(&head, "x-page"), None);
    let (head, _) = ask(address, "GET", "/missing", "");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    assert_eq!(header(&head, "cache-control"), Some("no-store"));
}

#[test]
fn a_kept_copy_is_confirmed() {
    let address = server("tags", "/");
    let (head, _) = ask(address, "GET", "/app-1.js", "");
    let tag = header(&head, "etag").unwrap().to_owned();
    let (head, body) = ask(
        address,
        "GET",
        "/app-1.js",
        &format!("If-None-Match: {tag}\r\n"),
    );
    assert!(
        head.starts_with("HTTP/1.1 304") && body.is_empty(),
        "{head}"
    );
    let (head, _) = ask(address, "GET", "/app-1.js", "If-None-Match: \"other\"\r\n");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[test]
fn below_a_base_the_site_is_the_same_and_elsewhere_is_nothing() {
    for base in ["/some/path", "some/path/"] {
        let address = server("base", base);
        for (path, status, location) in [
            ("/", "307", Some("/some/path/")),
            ("/some/path", "307", Some("/some/path/")),
            ("/some/path/", "200", None),
            ("/some/path/models/w.bin?x=1", "200", None),
            ("/some/pathological", "404", None),
            ("/models/w.bin", "404", None),
        ] {
            let (head, _) = ask(address, "GET", path, "");
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}")),
                "{path}: {head}"
            );
            assert_eq!(header(&head, "location"), location, "{path}");
        }
        let (head, _) = ask(address, "GET", "/some/path/app-1.js", "");
        assert_eq!(header(&head, "cache-control"), Some("max-age=9, immutable"));
    }
}

#[test]
fn nothing_outside_the_folder_and_nothing_but_reading() {
    let address = server("outside", "/");
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/models/..%2f..%2fsecret.txt",
        "//secret.txt",
        "/..%5csecret.txt",
        "/_headers",
        "/models/",
    ] {
        let (head, body) = ask(address, "GET", path, "");
        assert!(head.starts_with("HTTP/1.1 4"), "{path}: {head}");
        assert!(!String::from_utf8_lossy(&body).contains("secret"), "{path}");
    }
    let (head, _) = ask(address, "POST", "/", "Content-Length: 0\r\n");
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
}
