//! Models of others: looked up, fetched, converted on their way, over a bad network and by pages that are closed.

mod repairs;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;

use protocol::{Event, FaultCode, Hello, Outcome, Request, RequestId, Settings, Status};

use crate::disk::{delete, fetched, info, offer, report, storage};
use crate::support::{
    LOAD, Mishap, Published, Script, World, assert_converted, fault, repositories, visit, worker_in,
};

static REPOSITORIES: LazyLock<BTreeMap<String, Published>> = LazyLock::new(repositories);

const GGUF_URL: &str = "https://host/files/g256-i2_s.gguf";

pub(crate) fn load_url(model_url: &str) -> Request {
    Request::Load {
        id: LOAD,
        model_url: model_url.to_owned(),
        settings: Settings::default(),
    }
}

fn inspect(id: u32, model_url: &str) -> Request {
    Request::Inspect {
        id: RequestId(id),
        model_url: model_url.to_owned(),
    }
}

fn world() -> Rc<World> {
    let world = World::default();
    world.network.piece_bytes.set(60_000);
    Rc::new(world)
}

fn plan(world: &World, ending: &'static str, mishaps: Vec<Mishap>) {
    let mut plans = world.network.mishaps.borrow_mut();
    plans.insert(ending, mishaps.into());
}

fn visit_and_load(world: &Rc<World>, model_url: &str) {
    visit(world, Script::default(), &[load_url(model_url)]);
}

/// A world whose hub has one repository.
pub(crate) fn published(name: &str) -> (Rc<World>, &'static Published) {
    let world = world();
    let repository = &REPOSITORIES[name];
    repository.serve(&world, 'a', false);
    (world, repository)
}

/// Runs a worker that loads a model, until `should_close` says of an event that the page is closed there.
fn cut_off(
    world: &Rc<World>,
    model_url: &str,
    mut should_close: impl FnMut(&World, &Event) -> bool + 'static,
) {
    let run = worker_in(world, Script::default());
    *world.on_event.borrow_mut() = Box::new(move |world, event| {
        if should_close(world, event) {
            world.killed.set(true);
        }
    });
    world.push(Request::Hello(Hello::own()));
    world.push(load_url(model_url));
    world.run_until_idle(run);
    *world.on_event.borrow_mut() = Box::new(|_, _| {});
}

/// Closes the page as soon as so many shards are stored.
fn cut_off_behind(world: &Rc<World>, model_url: &str, n_shards: usize) {
    cut_off(world, model_url, move |world, _| {
        let journal = world.disk.journal.borrow();
        let shards = journal
            .values()
            .filter(|entry| entry.file.ends_with(".bin"));
        shards.count() >= n_shards
    });
}

#[test]
fn every_kind_becomes_what_the_converter_makes_of_it() {
    for (name, repository) in &*REPOSITORIES {
        let world = world();
        repository.serve(&world, 'a', false);
        let mut choices = vec![(None, repository.key())];
        if name.ends_with("gguf") {
            choices = ["g256-i2_s.gguf", "g256-tq2_0.gguf"]
                .map(|file| {
                    let key = format!("https://huggingface.co/{name}/blob/main/{file}");
                    (Some(file), key)
                })
                .to_vec();
        }
        for (weights, key) in choices {
            let expected = repository.converted(weights, Some("mit"));
            let spelling = if weights.is_some() { &key } else { name };
            visit(&world, Script::default(), &[inspect(1, spelling)]);
            let offer = offer(&world, 1);
            assert_eq!((&offer.model_url, offer.complete), (&key, false));
            assert_eq!(offer.license.as_deref(), Some("mit"));
            assert!(offer.download_bytes.get() > 100_000, "{offer:?}");
            assert_eq!(offer.stored_bytes.get(), 0);
            assert!(world.disk.journal.borrow().is_empty());
            visit_and_load(&world, &key);
            assert!(info(&world).cached);
            assert_converted(&world, &key, &expected);
            // From now on it needs nobody.
            visit(
                &world,
                Script::default(),
                &[load_url(&key), inspect(2, spelling), storage(3)],
            );
            assert!(info(&world).cached && crate::disk::offer(&world, 2).complete);
            assert_eq!(fetched(&world), Vec::<String>::new());
            let models = report(&world, 3).models;
            assert!(
                models[0].complete && models[0].model_url == key,
                "{models:?}"
            );
            visit(&world, Script::default(), &[delete(1, &key)]);
            assert!(world.disk.records.borrow().is_empty());
            assert!(world.disk.packages.borrow().is_empty());
        }
    }
}

#[test]
fn a_shaky_network_changes_nothing() {
    let (_, repository) = published("terns/packed");
    let expected = repository.converted(None, Some("mit"));
    for mishap in [
        Mishap::Unreachable,
        Mishap::Cut(150_000),
        Mishap::Short(150_000),
        Mishap::Stall(150_000),
        Mishap::Status(503, None),
        Mishap::Page,
        Mishap::Whole,
    ] {
        let (world, repository) = published("terns/packed");
        // The header comes first, in two requests; then the weights.
        let mut mishaps = vec![mishap.clone(); 1];
        mishaps.extend([Mishap::None, mishap.clone(), mishap.clone()]);
        plan(&world, "model.safetensors", mishaps);
        visit_and_load(&world, "terns/packed");
        assert!(info(&world).cached, "{mishap:?}");
        assert_converted(&world, &repository.key(), &expected);
    }
}

#[test]
fn a_closed_page_goes_on_with_the_commit_it_began_with() {
    let name = "terns/three-shards";
    let (world, repository) = published(name);
    let expected = repository.converted(None, Some("mit"));
    let total: u64 = repository
        .files
        .values()
        .map(|file| file.len() as u64)
        .sum();
    assert!(expected.len() >= 5, "{:?}", expected.keys());
    // Events come only while time passes.
    world.network.slowness.set(50);
    cut_off_behind(&world, name, 1);
    let first = world.network.sent_bytes.get();
    assert!(first < total, "{first} of {total}");
    assert!(world.disk.packages.borrow().contains_key(&repository.key()));
    // Something else was published meanwhile.
    REPOSITORIES["terns/packed"].serve(&world, 'b', false);
    let other = Published {
        name: name.to_owned(),
        files: REPOSITORIES["terns/packed"].files.clone(),
    };
    other.serve(&world, 'b', false);
    visit(&world, Script::default(), &[inspect(1, name), storage(2)]);
    let found = offer(&world, 1);
    assert!(found.stored_bytes.get() > 0 && !found.complete, "{found:?}");
    assert!(!report(&world, 2).models[0].complete);
    visit_and_load(&world, name);
    assert!(info(&world).cached);
    assert_converted(&world, &repository.key(), &expected);
    let second = world.network.sent_bytes.get();
    // The stored shard was made of 16 MiB; the step at work, of at most 8 MiB, is read again.
    assert!(second < total * 4 / 5, "{second} of {total} again");
}

#[test]
fn pages_that_are_closed_anywhere_end_with_the_same_bytes() {
    let name = "terns/masters-sharded";
    let (world, repository) = published(name);
    let expected = repository.converted(None, Some("mit"));
    for n in 1..12 {
        let left = Cell::new(n);
        cut_off(&world, name, move |_, event| {
            left.set(left.get() - i32::from(matches!(event, Event::Loading { .. })));
            left.get() < 0
        });
    }
    visit_and_load(&world, name);
    assert_converted(&world, &repository.key(), &expected);
}

#[test]
fn a_file_by_itself_is_of_one_version() {
    let repository = Published {
        name: "files".to_owned(),
        ..REPOSITORIES["terns/gguf"].clone()
    };
    let bytes = &repository.files["g256-i2_s.gguf"];
    let expected = repository.converted(Some("g256-i2_s.gguf"), None);
    let serve = |world: &World, bytes: &[u8]| {
        let mut files = world.network.files.borrow_mut();
        files.insert(GGUF_URL.to_owned(), bytes.to_vec());
    };
    let plain = world();
    serve(&plain, bytes);
    visit_and_load(&plain, GGUF_URL);
    assert!(info(&plain).cached);
    assert_converted(&plain, GGUF_URL, &expected);

    // It is replaced in the middle of the transfer.
    let changing = world();
    serve(&changing, bytes);
    plan(&changing, "i2_s.gguf", vec![Mishap::None; 40]);
    let has_changed = Cell::new(false);
    *changing.on_event.borrow_mut() = Box::new(move |world, event| {
        if matches!(event, Event::Loading { .. }) && !has_changed.replace(true) {
            world.network.version.set("two");
        }
    });
    visit_and_load(&changing, GGUF_URL);
    assert_eq!(fault(&changing, LOAD).code, FaultCode::Corrupt);
    assert!(changing.disk.journal.borrow().is_empty());
    *changing.on_event.borrow_mut() = Box::new(|_, _| {});
    visit_and_load(&changing, GGUF_URL);
    assert_converted(&changing, GGUF_URL, &expected);
}

#[test]
fn what_can_not_be_used_is_told_apart() {
    let check = |change: &dyn Fn(&World, &mut Published), address: &str, code, words: &str| {
        let world = world();
        let mut repository = REPOSITORIES["terns/packed"].clone();
        repository.serve(&world, 'a', false);
        change(&world, &mut repository);
        visit(
            &world,
            Script::default(),
            &[inspect(1, address), load_url(address)],
        );
        let failed = fault(&world, RequestId(1));
        assert_eq!(failed.code, code, "{failed}");
        assert!(failed.detail.contains(words), "{failed}");
        assert!(
            world.disk.records.borrow().is_empty(),
            "{:?}",
            world.disk.records.borrow().keys()
        );
    };
    let nothing = |_: &World, _: &mut Published| {};
    use FaultCode as F;
    check(&nothing, "tern", F::BadAddress, "is no address of a model");
    check(
        &nothing,
        "http://a.example/m.gguf",
        F::BadAddress,
        "https only",
    );
    check(
        &nothing,
        "https://host/none.gguf",
        F::NotFound,
        "no such file",
    );
    check(&nothing, "terns/packed@v2", F::NotFound, "no revision v2");
    let refused = |world: &World, _: &mut Published| {
        plan(world, "blobs=true", vec![Mishap::Status(401, None); 2]);
    };
    check(
        &refused,
        "terns/packed",
        F::Refused,
        "does not exist, or is only for people",
    );
    let gated = |world: &World, it: &mut Published| it.serve(world, 'a', true);
    check(&gated, "terns/packed", F::Refused, "signed in");
    let no_tokenizer = |world: &World, it: &mut Published| {
        it.files.retain(|name, _| !name.starts_with("tokenizer"));
        it.serve(world, 'a', false);
    };
    check(&no_tokenizer, "terns/packed", F::NoChat, "no tokenizer");
    let no_weights = |world: &World, it: &mut Published| {
        it.files.remove("model.safetensors");
        it.serve(world, 'a', false);
    };
    check(
        &no_weights,
        "terns/packed",
        F::Unsupported,
        "no weights that can be read",
    );
    let other = |world: &World, it: &mut Published| {
        let json = br#"{"architectures": ["MambaForCausalLM"], "model_type": "mamba"}"#;
        it.files.insert("config.json".to_owned(), json.to_vec());
        it.serve(world, 'a', false);
    };
    check(&other, "terns/packed", F::Unsupported, "amba");
}

#[test]
fn bytes_that_are_not_the_published_ones_leave_nothing() {
    let (world, repository) = published("terns/packed");
    let length = repository.files["model.safetensors"].len();
    plan(
        &world,
        "model.safetensors",
        vec![Mishap::None, Mishap::None, Mishap::Flip(length - 100)],
    );
    visit_and_load(&world, "terns/packed");
    let failed = fault(&world, LOAD);
    assert_eq!(failed.code, FaultCode::Corrupt, "{failed}");
    assert!(world.disk.records.borrow().is_empty());
    visit_and_load(&world, "terns/packed");
    let expected = repository.converted(None, Some("mit"));
    assert_converted(&world, &repository.key(), &expected);
}

#[test]
fn a_lost_shard_is_made_again_alone() {
    let name = "terns/three-shards";
    let (world, repository) = published(name);
    let expected = repository.converted(None, Some("mit"));
    let total: u64 = repository
        .files
        .values()
        .map(|file| file.len() as u64)
        .sum();
    visit_and_load(&world, name);
    let journal = world.disk.journal.borrow().clone();
    for file in ["weights-00002.bin", "tokenizer.json"] {
        let entry = journal.values().find(|entry| entry.file == file).unwrap();
        let key = entry.record_keys().next().unwrap();
        world.disk.records.borrow_mut().get_mut(&key).unwrap()[7] ^= 1;
        visit_and_load(&world, name);
        assert!(info(&world).cached, "{file}");
        let again = world.network.sent_bytes.get();
        assert!(
            again > 0 && again < total * 2 / 3,
            "{file}: {again} of {total}"
        );
        assert_converted(&world, &repository.key(), &expected);
    }
}

#[test]
fn it_rests_and_ends_when_the_person_says_so() {
    let (world, repository) = published("terns/packed");
    world.network.slowness.set(50);
    let run = worker_in(&world, Script::default());
    world.push(Request::Hello(Hello::own()));
    world.push(load_url("terns/packed"));
    world.push_later(700, Request::Pause { id: LOAD });
    world.push_later(60_000, Request::Resume { id: LOAD });
    world.run_until_idle(run);
    assert!(world.time() > 60_000.0 && info(&world).cached);
    let words: Vec<Event> = world.events();
    for status in [Status::DownloadPaused, Status::DownloadResumed] {
        assert!(words.contains(&Event::Status(status)));
    }
    let expected = repository.converted(None, Some("mit"));
    assert_converted(&world, &repository.key(), &expected);

    let (world, _) = published("terns/packed");
    world.network.slowness.set(50);
    let run = worker_in(&world, Script::default());
    world.push(Request::Hello(Hello::own()));
    world.push(load_url("terns/packed"));
    world.push_later(700, Request::Cancel { id: LOAD });
    world.run_until_idle(run);
    assert_eq!(crate::disk::outcome(&world, LOAD), Outcome::Cancelled);
}
