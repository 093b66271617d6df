//! What is lost and made again, or not: commits, shards, transfers.

use std::rc::Rc;

use protocol::{Event, FaultCode, LoadStage, Outcome, Request, RequestId, Settings, Status};

use super::{
    GGUF_URL, REPOSITORIES, cut_off_behind, inspect, load_url, plan, published, visit_and_load,
    world,
};
use crate::disk::{fetched, info, outcome, progress, report, storage};
use crate::support::{LOAD, Mishap, Published, Script, World, assert_converted, fault, visit};

const NAME: &str = "terns/three-shards";

/// A file that lies by itself, in a world of its own, and what becomes of it.
fn by_itself() -> (Rc<World>, std::collections::BTreeMap<String, Vec<u8>>) {
    let world = world();
    let repository = Published {
        name: "files".to_owned(),
        ..REPOSITORIES["terns/gguf"].clone()
    };
    let bytes = repository.files["g256-i2_s.gguf"].clone();
    world
        .network
        .files
        .borrow_mut()
        .insert(GGUF_URL.to_owned(), bytes);
    (world, repository.converted(Some("g256-i2_s.gguf"), None))
}

fn lose_a_shard(world: &World) {
    let journal = world.disk.journal.borrow();
    let shard = journal
        .values()
        .find(|entry| entry.file.ends_with(".bin"))
        .unwrap();
    let key = shard.record_keys().next().unwrap();
    world.disk.records.borrow_mut().get_mut(&key).unwrap()[7] ^= 1;
}

#[test]
fn a_conversion_whose_commit_is_gone_begins_again() {
    let (world, repository) = published(NAME);
    let expected = repository.converted(None, Some("mit"));
    world.network.slowness.set(50);
    cut_off_behind(&world, NAME, 1);
    let before = world.disk.journal.borrow().clone();
    assert!(!before.is_empty());
    let fault_of_look = || {
        visit(&world, Script::default(), &[inspect(1, NAME)]);
        assert_eq!(*world.disk.journal.borrow(), before, "all is kept");
        fault(&world, RequestId(1)).code
    };
    // The files are gone, and the list still names them.
    let old = "a".repeat(40);
    world
        .network
        .files
        .borrow_mut()
        .retain(|url, _| !url.contains(&old));
    assert_eq!(fault_of_look(), FaultCode::NotFound);
    // The list does not come.
    plan(&world, "blobs=true", vec![Mishap::Status(503, None); 9]);
    assert_eq!(fault_of_look(), FaultCode::Busy);
    plan(&world, "blobs=true", vec![]);
    // The history was written anew.
    repository.serve(&world, 'b', false);
    visit_and_load(&world, NAME);
    assert!(info(&world).cached);
    assert_converted(&world, &repository.key(), &expected);
}

/// Loads a model that lost a shard which can't be made again alone, and then once more.
fn assert_left_alone(world: &Rc<World>, url: &str, key: &str) {
    let before = world.disk.journal.borrow().len();
    visit_and_load(world, url);
    let lost = fault(world, LOAD);
    assert_eq!(lost.code, FaultCode::Corrupt, "{lost}");
    assert!(lost.detail.contains("is lost in the store"), "{lost}");
    assert!(
        world.network.sent_bytes.get() < 100_000,
        "hardly anything is fetched"
    );
    assert_eq!(
        world.disk.journal.borrow().len(),
        before - 1,
        "the rest stays"
    );
    // Only whoever loads it again has it fetched.
    visit(world, Script::default(), &[storage(1)]);
    let models = report(world, 1).models;
    assert!(
        !models[0].complete && models[0].model_url == key,
        "{models:?}"
    );
    visit_and_load(world, url);
    assert!(info(world).cached);
}

#[test]
fn a_lost_shard_that_can_not_be_made_again_costs_nothing_else() {
    // The file was replaced.
    let (world, expected) = by_itself();
    visit_and_load(&world, GGUF_URL);
    lose_a_shard(&world);
    world.network.version.set("two");
    assert_left_alone(&world, GGUF_URL, GGUF_URL);
    assert_converted(&world, GGUF_URL, &expected);
    // Its server names no version.
    let (world, expected) = by_itself();
    world.network.is_nameless.set(true);
    visit_and_load(&world, GGUF_URL);
    lose_a_shard(&world);
    assert_left_alone(&world, GGUF_URL, GGUF_URL);
    assert_converted(&world, GGUF_URL, &expected);
    // Nothing is known of the conversion any more.
    let (world, repository) = published(NAME);
    let key = repository.key();
    visit_and_load(&world, NAME);
    lose_a_shard(&world);
    let note = format!("repacking/{key} ");
    world.disk.records.borrow_mut().remove(&note).unwrap();
    assert_left_alone(&world, NAME, &key);
    assert_converted(&world, &key, &repository.converted(None, Some("mit")));
    // The commit is gone, and there is another one.
    lose_a_shard(&world);
    let old = "a".repeat(40);
    world
        .network
        .files
        .borrow_mut()
        .retain(|url, _| !url.contains(&old));
    repository.serve(&world, 'b', false);
    assert_left_alone(&world, NAME, &key);
    assert_converted(&world, &key, &repository.converted(None, Some("mit")));
}

#[test]
fn the_worker_that_noticed_a_loss_fetches_the_model_again() {
    let (world, expected) = by_itself();
    visit_and_load(&world, GGUF_URL);
    lose_a_shard(&world);
    world.network.version.set("two");
    let again = Request::Load {
        id: RequestId(2),
        model_url: GGUF_URL.to_owned(),
        settings: Settings::default(),
    };
    visit(&world, Script::default(), &[load_url(GGUF_URL), again]);
    assert_eq!(fault(&world, LOAD).code, FaultCode::Corrupt);
    let loaded = outcome(&world, RequestId(2));
    assert!(matches!(loaded, Outcome::Loaded(_)), "{loaded:?}");
    assert_converted(&world, GGUF_URL, &expected);
}

#[test]
fn a_tokenizer_is_fetched_once() {
    let (world, repository) = published("terns/packed");
    visit_and_load(&world, "terns/packed");
    let asked = fetched(&world);
    let n_asked = asked
        .iter()
        .filter(|file| *file == "tokenizer.json")
        .count();
    assert_eq!(n_asked, 1, "{asked:?}");
    let expected = repository.converted(None, Some("mit"));
    assert_converted(&world, &repository.key(), &expected);
}

#[test]
fn a_cut_file_without_a_version_begins_again() {
    for cuts in [1, 5] {
        let (world, expected) = by_itself();
        world.network.is_nameless.set(true);
        let mut mishaps = vec![Mishap::None];
        mishaps.extend(vec![Mishap::Cut(100_000); cuts]);
        mishaps.push(Mishap::None);
        mishaps.extend(vec![Mishap::Cut(100_000); cuts]);
        plan(&world, "i2_s.gguf", mishaps);
        visit_and_load(&world, GGUF_URL);
        assert!(info(&world).cached);
        assert_converted(&world, GGUF_URL, &expected);
    }
    let (world, _) = by_itself();
    world.network.is_nameless.set(true);
    plan(&world, "i2_s.gguf", {
        let mut mishaps = vec![Mishap::None];
        mishaps.extend(vec![Mishap::Cut(100_000); 500]);
        mishaps
    });
    visit_and_load(&world, GGUF_URL);
    let failed = fault(&world, LOAD);
    assert_eq!(failed.code, FaultCode::Network, "{failed}");
    assert!(failed.detail.contains("names no version"), "{failed}");
}

#[test]
fn a_conversion_counts_its_files_up_to_the_last() {
    let (world, _) = published(NAME);
    world.network.slowness.set(50);
    visit_and_load(&world, NAME);
    let mut told = progress(&world);
    told.retain(|progress| progress.stage == LoadStage::Download);
    let last = told.last().unwrap();
    assert_eq!(
        (last.shards_done, last.bytes_done),
        (last.shards_total, last.bytes_total)
    );
    let is_between = |n: u32| n > 0 && n < last.shards_total;
    assert!(told.iter().any(|it| is_between(it.shards_done)), "{told:?}");
    assert!(told.is_sorted_by_key(|it| (it.shards_done, it.bytes_done.get())));
}

#[test]
fn a_slow_disk_is_no_silent_network() {
    let (world, repository) = published(NAME);
    // A shard and the note behind it take longer than a server may be silent, each less than a database may.
    world.disk.put_millis.set(14_000);
    visit_and_load(&world, NAME);
    let retries = world
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Status(Status::FetchRetry { .. })));
    assert_eq!(retries.collect::<Vec<_>>(), []);
    let expected = repository.converted(None, Some("mit"));
    assert_converted(&world, &repository.key(), &expected);
}
