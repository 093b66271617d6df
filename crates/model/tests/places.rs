//! Addresses with the server that they mean.

#![allow(clippy::unwrap_used, reason = "tests")]

use model::HubError;
use model::hub::{Address, Place};
use proptest::prelude::*;

/// The key of what was written, and whether that has to be converted.
fn read(text: &str) -> (String, bool) {
    let place = Place::parse(text).unwrap();
    (place.key(), place.is_foreign())
}

#[test]
fn many_spellings_have_one_key() {
    let repository = "https://huggingface.co/terns/one/tree/main";
    for text in [
        "terns/one",
        " huggingface.co/terns/one ",
        "https://huggingface.co/terns/one/",
        "https://huggingface.co/terns/one/tree/main",
        "https://huggingface.co/terns/one/blob/main/README.md",
    ] {
        assert_eq!(read(text), (repository.to_string(), true), "{text}");
    }
    for (text, key) in [
        (
            "terns/one@v1/rc",
            "https://huggingface.co/terns/one/tree/v1%2Frc",
        ),
        (
            "https://huggingface.co/terns/one/resolve/main/a%20b.gguf?download=true",
            "https://huggingface.co/terns/one/blob/main/a%20b.gguf",
        ),
        (
            "https://a.example/m.gguf?key=1",
            "https://a.example/m.gguf?key=1",
        ),
        (
            "http://127.0.0.1:4000/terns/one/tree/main",
            "http://127.0.0.1:4000/terns/one/tree/main",
        ),
        (
            "http://localhost:4000/terns/one/resolve/main/m.gguf",
            "http://localhost:4000/terns/one/blob/main/m.gguf",
        ),
    ] {
        assert_eq!(read(text), (key.to_string(), true), "{text}");
    }
}

#[test]
fn packages_stay_packages() {
    for (text, key) in [
        ("https://a.example/tern/", "https://a.example/tern/"),
        (
            "https://a.example/models/tern",
            "https://a.example/models/tern/",
        ),
        (
            "http://127.0.0.1:4000/models/toy/",
            "http://127.0.0.1:4000/models/toy/",
        ),
        (
            "https://a.example/bitnet-1.58",
            "https://a.example/bitnet-1.58/",
        ),
        ("http://localhost/manifest.json", "http://localhost/"),
        (
            "https://huggingface.co/terns/one/resolve/0123/",
            "https://huggingface.co/terns/one/resolve/0123/",
        ),
    ] {
        assert_eq!(read(text), (key.to_string(), false), "{text}");
    }
}

#[test]
fn the_format_of_the_embedding_is_part_of_the_key() {
    let repository = "https://huggingface.co/terns/one/tree/main";
    for (text, key) in [
        ("terns/one#embed=q8", repository.to_string()),
        ("terns/one#embed=q6", format!("{repository}#embed=q6")),
        (
            "https://huggingface.co/terns/one/#embed=q4",
            format!("{repository}#embed=q4"),
        ),
        (
            "https://a.example/m.gguf?key=1#embed=q6",
            "https://a.example/m.gguf?key=1#embed=q6".to_string(),
        ),
    ] {
        assert_eq!(read(text), (key, true), "{text}");
    }
    // Nothing else stands there, and packages have what they have.
    for text in [
        "terns/one#embed=",
        "terns/one#embed=q5",
        "terns/one#embed=q6#embed=q4",
        "terns/one#embed=q6/x",
        "#embed=q6",
        "https://a.example/models/tern/#embed=q6",
        "files:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef#embed=q6",
    ] {
        assert!(Place::parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_can_not_be_used_is_refused() {
    for text in [
        "",
        "tern",
        "../one",
        "terns/one@",
        "terns/o%2Fne",
        "https://a.example/m.bin",
        "https://huggingface.co/terns",
        "https://huggingface.co/terns/one/tree/..%2F..%2Fx",
        "https://huggingface.co/terns/one/tree/%00",
        "https://huggingface.co/terns%2Fx/one/tree/main",
    ] {
        assert!(Place::parse(text).is_err(), "{text}");
    }
    let insecure = Place::parse("http://a.example/terns/one/tree/main");
    assert!(matches!(insecure, Err(HubError::NotSecure { .. })));
    // Such a file is none of the repository's; the page means the repository.
    let place = Place::parse("https://huggingface.co/terns/one/blob/main/a%2F..%2Fb.gguf").unwrap();
    assert!(matches!(place.address(), Address::Repository(it) if it.file.is_none()));
}

proptest! {
    #[test]
    fn a_key_is_its_own_key(text in "(https?://)?(huggingface.co|localhost:1|127.0.0.1|a.b|c)?(/[a-z%F2. @]{0,6}){0,6}") {
        if let Ok(place) = Place::parse(&text) {
            let again = Place::parse(&place.key());
            prop_assert_eq!(again.as_ref(), Ok(&place));
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,80}") {
        Place::parse(&text).ok();
    }
}

#[test]
fn chosen_files_have_a_place_that_no_network_has() {
    let id = "0123456789abcdef".repeat(4);
    let place = Place::chosen(&id).unwrap();
    assert_eq!(place.key(), format!("files:{id}"));
    assert_eq!(Place::parse(&place.key()), Ok(place.clone()));
    assert!(place.is_chosen() && !place.is_foreign());
    for wrong in ["", "0", &id[1..], &id.to_uppercase(), &format!("{id}/")] {
        assert!(Place::chosen(wrong).is_err(), "{wrong}");
    }
    assert!(!Place::parse("https://a.example/m/").unwrap().is_chosen());
}
