//! What is told of a stored model.

use model::manifest::FileHash;
use protocol::{FaultCode, HashOrigin, ModelDetails, Outcome, Request, RequestId};

use crate::disk::{outcome, served, visit_and_load};
use crate::foreign::{load_url, published};
use crate::support::{BASE_URL, Script, Tiny, World, fault, visit};

fn describe(id: u32, model_url: &str) -> Request {
    Request::DescribeModel {
        id: RequestId(id),
        model_url: model_url.to_owned(),
    }
}

fn described(world: &World, id: u32) -> ModelDetails {
    match outcome(world, RequestId(id)) {
        Outcome::ModelDescribed(details) => details,
        other => panic!("expected details, got {other:?}"),
    }
}

#[test]
fn a_package_says_what_it_is_and_which_files_it_has() {
    let world = served();
    let mut package = Tiny::default();
    let sources = &mut package.manifest.source.files;
    sources.push(FileHash {
        file: "model.safetensors".into(),
        bytes: 7,
        sha256: "ab".repeat(32),
    });
    world.serve(&package);
    visit_and_load(&world);
    // Spelled without its slash.
    let url = BASE_URL.trim_end_matches('/');
    visit(&world, Script::default(), &[describe(1, url)]);
    assert!(world.network.asked.borrow().is_empty());
    let details = described(&world, 1);
    assert_eq!(
        (details.model_url.as_str(), details.name.as_str()),
        (BASE_URL, "Tiny")
    );
    assert!(details.complete && details.revision.is_none());
    let names: Vec<&str> = details.files.iter().map(|file| &*file.name).collect();
    assert_eq!(
        names,
        [
            "manifest.json",
            "00000.bin",
            "00001.bin",
            "00002.bin",
            "tokenizer.json"
        ]
    );
    let journal = world.disk.journal.borrow();
    for file in &details.files {
        let entry = journal.values().find(|entry| entry.file == file.name);
        let entry = entry.unwrap();
        assert_eq!(
            (entry.bytes, &entry.sha256),
            (file.bytes.get(), &file.sha256)
        );
        assert!(file.is_stored);
    }
    let [source] = &details.sources[..] else {
        panic!("{:?}", details.sources)
    };
    assert_eq!(
        (source.name.as_str(), source.origin),
        ("model.safetensors", HashOrigin::Stated)
    );
    let last = details.memory.last().unwrap();
    assert_eq!(last.context, details.shape.context);
    assert!(last.kv_bytes.get() > 0 && last.weight_bytes.get() > 0);
}

#[test]
fn a_file_that_is_not_stored_is_named_as_such() {
    let world = served();
    visit_and_load(&world);
    let key = {
        let journal = world.disk.journal.borrow();
        let entry = journal.values().find(|entry| entry.file == "00001.bin");
        entry.unwrap().key()
    };
    world.disk.journal.borrow_mut().remove(&key);
    visit(&world, Script::default(), &[describe(1, BASE_URL)]);
    let details = described(&world, 1);
    assert!(!details.complete);
    let missing = details.files.iter().filter(|file| !file.is_stored);
    assert!(missing.map(|file| &*file.name).eq(["00001.bin"]));
}

#[test]
fn a_converted_model_names_its_commit_and_who_stated_the_hashes() {
    let (world, repository) = published("terns/packed");
    visit(&world, Script::default(), &[load_url("terns/packed")]);
    visit(&world, Script::default(), &[describe(1, "terns/packed")]);
    let details = described(&world, 1);
    assert_eq!(details.model_url, repository.key());
    assert_eq!(details.revision, Some("a".repeat(40)));
    assert_eq!(details.license.as_deref(), Some("mit"));
    for source in &details.sources {
        // The hub states the hashes of large files alone.
        let expected = match source.name.as_str() {
            "model.safetensors" => HashOrigin::Published,
            _ if source.bytes.get() > 100_000 => HashOrigin::Published,
            _ => HashOrigin::Computed,
        };
        assert_eq!(source.origin, expected, "{source:?}");
        assert_eq!(
            source.bytes.get(),
            repository.files[&source.name].len() as u64
        );
    }
    let parts = details.parts;
    assert!(parts.codes.get() > 0 && parts.tables.get() > 0 && parts.norms.get() > 0);
    let shards: u64 = (details.files.iter())
        .filter(|file| file.name.ends_with(".bin"))
        .map(|file| file.bytes.get())
        .sum();
    let named = parts.codes.get() + parts.tables.get() + parts.norms.get();
    assert!(named <= shards, "{named} of {shards}");
    assert!(shards - named < shards / 10, "padding: {named} of {shards}");
}

#[test]
fn what_is_not_stored_is_not_known() {
    let world = served();
    visit(&world, Script::default(), &[describe(1, BASE_URL)]);
    assert_eq!(fault(&world, RequestId(1)).code, FaultCode::NotFound);
}
