//! The hub as the app's own code reads it: addresses, listing, choices, and every file of every kind of repository.
#![allow(clippy::unwrap_used, reason = "tests")]

mod client;

use std::fs;
use std::path::PathBuf;

use client::{Reply, ask, follow, origin_of};
use faults::{Asked, Fault, Repository, Server, Site};
use fixtures::TempDir;
use model::HubError;
use model::convert::{ConvertOptions, plan};
use model::hash::hash_bytes;
use model::hub::{Address, Choice, ChoiceKind, Hub, Listing};
use model::source::MemorySource;

/// Where the page comes from.
const PAGE: &str = "http://127.0.0.1:1";

/// A hub with the repositories of the fixtures, which treats requests as `fault` says.
struct World {
    server: Server,
    hub: Hub,
    folder: TempDir,
}

fn world(fault: impl Fn(&Asked) -> Fault + Send + Sync + 'static) -> World {
    let folder = TempDir::new("repositories");
    let named = |name: String| {
        let folder = folder.path().join(&name);
        let license = Some("mit".to_owned());
        (
            name,
            Repository {
                folder,
                license,
                gated: false,
            },
        )
    };
    let site = Site {
        base: "/".to_owned(),
        repositories: fixtures::write_repositories(folder.path())
            .into_iter()
            .map(named)
            .collect(),
        ..Site::default()
    };
    let server = Server::start(site, fault).unwrap();
    let hub = Hub::new(&format!("http://{}", server.address())).unwrap();
    World {
        server,
        hub,
        folder,
    }
}

fn calm() -> World {
    world(|_: &Asked| Fault::default())
}

impl World {
    fn listing(&self, text: &str) -> Result<Listing, HubError> {
        let reply = self.list(text);
        assert_eq!(reply.status, 200, "{text}: {}", reply.text());
        Listing::from_json(&reply.body)
    }

    fn list(&self, text: &str) -> Reply {
        let Address::Repository(repository) = self.hub.parse(text).unwrap() else {
            panic!("{text} is no repository");
        };
        let url = self.hub.listing_url(&repository);
        follow(&url, PAGE, &[]).pop().unwrap()
    }

    fn url(&self, text: &str, commit: &str, file: &str) -> String {
        let Address::Repository(repository) = self.hub.parse(text).unwrap() else {
            panic!("{text} is no repository");
        };
        self.hub.file_url(&repository, commit, file)
    }

    fn store_origin(&self) -> String {
        format!("http://{}", self.server.store_address().unwrap())
    }

    fn path(&self, name: &str, file: &str) -> PathBuf {
        self.folder.path().join(name).join(file)
    }
}

/// Fetches what a choice needs and has the converter plan it: names, lengths and headers must be those of a model.
fn fetch_and_plan(world: &World, name: &str, listing: &Listing, choice: &Choice) {
    let mut source = MemorySource::default();
    for file in &choice.files {
        let listed = listing.file(file).unwrap();
        let replies = follow(&world.url(name, &listing.commit, file), PAGE, &[]);
        let reply = replies.last().unwrap();
        assert_eq!(
            (reply.status, reply.body.len() as u64),
            (200, listed.bytes),
            "{name}: {file}"
        );
        assert_eq!(
            reply.body,
            fs::read(world.path(name, file)).unwrap(),
            "{name}: {file}"
        );
        let is_large = listed.sha256.is_some();
        assert_eq!(
            origin_of(&reply.url) == world.store_origin(),
            is_large,
            "{name}: {file}"
        );
        if let Some(sha256) = &listed.sha256 {
            assert_eq!(
                &hash_bytes(file, &reply.body).sha256,
                sha256,
                "{name}: {file}"
            );
        }
        source.insert(file, reply.body.clone());
    }
    let options = ConvertOptions {
        file: Some(choice.file.clone()),
        ..ConvertOptions::new("test")
    };
    plan(&source, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn every_repository_is_listed_fetched_and_planned() {
    let world = calm();
    for (name, kinds, n_weights) in [
        ("terns/packed", &[ChoiceKind::Safetensors][..], 1),
        ("terns/packed-sharded", &[ChoiceKind::Safetensors], 3),
        ("terns/llama-divide", &[ChoiceKind::Safetensors], 1),
        ("terns/masters-sharded", &[ChoiceKind::Safetensors], 3),
        ("terns/1bitllm-names", &[ChoiceKind::Safetensors], 1),
        ("terns/gguf", &[ChoiceKind::Gguf, ChoiceKind::Gguf], 1),
    ] {
        let listing = world.listing(name).unwrap();
        assert_eq!(listing.license.as_deref(), Some("mit"));
        assert!(listing.file("README.md").is_some());
        let choices = listing.choices().unwrap();
        let found: Vec<ChoiceKind> = choices.iter().map(|choice| choice.kind).collect();
        assert_eq!(found, kinds, "{name}");
        for choice in &choices {
            let weights = choice
                .files
                .iter()
                .filter(|file| file.ends_with(".safetensors") || file.ends_with(".gguf"));
            assert_eq!(weights.count(), n_weights, "{name}");
            fetch_and_plan(&world, name, &listing, choice);
        }
    }
}

#[test]
fn a_large_file_comes_from_the_store_and_says_as_little_as_there() {
    let world = calm();
    let name = "terns/packed";
    let listing = world.listing(name).unwrap();
    let url = world.url(name, &listing.commit, "model.safetensors");
    let replies = follow(&url, PAGE, &[("Range", "bytes=1000-1009")]);
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [302, 206]);
    let sha256 = listing
        .file("model.safetensors")
        .unwrap()
        .sha256
        .clone()
        .unwrap();
    let bytes = fs::read(world.path(name, "model.safetensors")).unwrap();
    let [at_hub, at_store] = &replies[..] else {
        unreachable!("two")
    };
    assert_eq!(
        at_hub.header("x-linked-etag"),
        Some(&*format!("\"{sha256}\""))
    );
    assert_eq!(
        at_hub.header("x-linked-size"),
        Some(&*bytes.len().to_string())
    );
    assert_eq!(at_hub.header("x-repo-commit"), Some(&*listing.commit));
    assert!(
        at_hub
            .header("access-control-expose-headers")
            .unwrap()
            .contains("X-Linked-ETag")
    );
    assert_eq!(at_store.body, bytes[1000..1010]);
    assert_eq!(
        at_store.header("content-range"),
        Some(&*format!("bytes 1000-1009/{}", bytes.len()))
    );
    for absent in ["etag", "last-modified", "access-control-expose-headers"] {
        assert_eq!(at_store.header(absent), None, "{absent}");
    }
    let head = ask("HEAD", &url, &[]);
    assert_eq!((head.status, head.body.len()), (302, 0));
    let behind = ask("HEAD", &at_store.url, &[]);
    assert_eq!(
        behind.header("content-length"),
        Some(&*bytes.len().to_string())
    );
    // No permission is given to headers that need one.
    assert_eq!(
        ask("OPTIONS", &at_store.url, &[("Origin", PAGE)]).status,
        405
    );
    // Only the hub gives out addresses of the store.
    let bare = at_store.url.split('?').next().unwrap();
    assert_eq!(ask("GET", bare, &[]).status, 403);
    assert_eq!(
        ask("GET", &format!("{}/index.html", world.store_origin()), &[]).status,
        404
    );
}

#[test]
fn a_small_file_comes_from_the_hub_with_its_version() {
    let world = calm();
    let listing = world.listing("terns/packed").unwrap();
    let replies = follow(&world.url("terns/packed", "main", "config.json"), PAGE, &[]);
    let [first, last] = &replies[..] else {
        panic!("expected one redirect")
    };
    assert_eq!((first.status, last.status), (307, 200));
    assert_eq!(last.header("etag"), first.header("x-linked-etag"));
    assert!(last.url.contains(&listing.commit), "{}", last.url);
}

#[test]
fn a_new_version_leaves_the_old_one_where_it_was() {
    let world = calm();
    let (name, file) = ("terns/packed", "model.safetensors");
    let before = world.listing(name).unwrap();
    let folder = world.folder.path().join("next");
    fixtures::copy_folder(&fixtures::path("g256/packed"), &folder);
    let mut weights = fs::read(folder.join(file)).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    fs::write(folder.join(file), &weights).unwrap();
    let next = Repository {
        folder,
        ..Repository::default()
    };
    world.server.publish(name.to_owned(), next).unwrap();
    let after = world.listing(name).unwrap();
    assert_ne!(before.commit, after.commit);
    assert_eq!(
        world.listing(&format!("{name}@{}", before.commit)).unwrap(),
        before
    );
    let body = |commit: &str| {
        let replies = follow(&world.url(name, commit, file), PAGE, &[]);
        replies.into_iter().next_back().unwrap().body
    };
    assert_eq!(body(&after.commit), weights);
    assert_eq!(body("main"), weights);
    assert_eq!(
        body(&before.commit),
        fs::read(world.path(name, file)).unwrap()
    );
}

#[test]
fn refusals_are_those_of_the_hub() {
    let world = calm();
    let gated = Repository {
        folder: world.folder.path().join("terns/packed"),
        gated: true,
        ..Repository::default()
    };
    world
        .server
        .publish("terns/gated".to_owned(), gated)
        .unwrap();
    assert_eq!(world.listing("terns/gated"), Err(HubError::Gated));
    for (reply, status, code) in [
        (world.list("terns/nothing"), 401, "RepoNotFound"),
        (world.list("terns/packed@v9"), 404, "RevisionNotFound"),
    ] {
        assert_eq!(
            (reply.status, reply.header("x-error-code")),
            (status, Some(code))
        );
    }
    for (name, file, status, code) in [
        ("terns/gated", "model.safetensors", 401, "GatedRepo"),
        ("terns/packed", "pytorch_model.bin", 404, "EntryNotFound"),
    ] {
        let reply = follow(&world.url(name, "main", file), PAGE, &[])
            .pop()
            .unwrap();
        assert_eq!(
            (reply.status, reply.header("x-error-code")),
            (status, Some(code))
        );
    }
}

#[test]
fn faults_befall_the_hub_and_its_store() {
    let world = world(|asked: &Asked| {
        let is_store = asked.path.starts_with("/store/");
        Fault {
            cut_at: (is_store && asked.path.ends_with(".safetensors")).then_some(100),
            status: asked
                .path
                .starts_with("/api/models/terns/gguf/")
                .then_some(503),
            ..Fault::default()
        }
    });
    assert_eq!(world.list("terns/gguf").status, 503);
    let reply = follow(
        &world.url("terns/packed", "main", "model.safetensors"),
        PAGE,
        &[],
    )
    .pop()
    .unwrap();
    assert_eq!((reply.status, reply.body.len()), (200, 100));
}
