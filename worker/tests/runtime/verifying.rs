//! A stored model is checked, and what has gone bad is got again.

use std::rc::Rc;

use protocol::{
    Event, FaultCode, LoadStage, Outcome, Request, RequestId, Status, StorageState, VerifyReport,
};

use crate::disk::{fetched, outcome, progress, report, served, storage, visit_and_load};
use crate::foreign::{load_url, published};
use crate::support::{
    BASE_URL, LOAD, Script, Tiny, World, assert_converted, fault, load, question, shown, visit,
    worker_in,
};

const CHECK: RequestId = RequestId(9);

pub(crate) fn verify(model_url: &str) -> Request {
    Request::VerifyModel {
        id: CHECK,
        model_url: model_url.to_owned(),
    }
}

pub(crate) fn verified(world: &World) -> VerifyReport {
    match outcome(world, CHECK) {
        Outcome::Verified(report) => report,
        other => panic!("expected a report, got {other:?}"),
    }
}

/// The key of the first record of a stored file.
pub(crate) fn record_of(world: &World, file: &str) -> String {
    let journal = world.disk.journal.borrow();
    let entry = journal.values().find(|entry| entry.file == file).unwrap();
    entry.record_keys().next().unwrap()
}

pub(crate) fn flip(world: &World, file: &str) {
    let key = record_of(world, file);
    world.disk.records.borrow_mut().get_mut(&key).unwrap()[1] ^= 1;
}

fn check(world: &Rc<World>) -> VerifyReport {
    visit(world, Script::default(), &[verify(BASE_URL)]);
    verified(world)
}

#[test]
fn a_whole_model_is_read_once_and_asks_nobody() {
    let world = served();
    visit_and_load(&world);
    let found = check(&world);
    assert_eq!((found.files, found.bytes.get()), (5, 46_338));
    assert_eq!(
        (found.is_right(), found.repaired, found.fault),
        (true, vec![], None)
    );
    assert_eq!(fetched(&world), [""; 0]);
    let told = progress(&world);
    assert!(told.iter().all(|told| told.stage == LoadStage::Verify));
    let last = told.last().unwrap();
    assert_eq!((last.shards_done, last.bytes_done.get()), (4, 46_338));
}

#[test]
fn only_what_is_wrong_is_fetched() {
    for file in ["00000.bin", "00002.bin", "tokenizer.json", "manifest.json"] {
        let world = served();
        visit_and_load(&world);
        flip(&world, file);
        let found = check(&world);
        assert_eq!((found.repaired, found.broken), (vec![file.into()], vec![]));
        assert_eq!(fetched(&world), [file]);
        assert_eq!(check(&world).repaired, Vec::<String>::new());
        let key = record_of(&world, file);
        world.disk.records.borrow_mut().remove(&key);
        assert_eq!(check(&world).repaired, [file], "missing");
    }
}

#[test]
fn what_can_not_be_had_is_named_and_asked_for_once() {
    let world = served();
    visit_and_load(&world);
    flip(&world, "00000.bin");
    flip(&world, "00002.bin");
    let files = world.network.files.take();
    let found = check(&world);
    assert_eq!(found.repaired, [""; 0]);
    assert_eq!(found.broken, ["00000.bin", "00002.bin"]);
    assert_eq!(found.fault.unwrap().code, FaultCode::NotFound);
    assert_eq!(fetched(&world), ["00000.bin"]);
    // The wrong ones are still there: another try mends them.
    *world.network.files.borrow_mut() = files;
    let found = check(&world);
    assert_eq!(found.repaired, ["00000.bin", "00002.bin"]);
    assert!(found.is_right() && found.fault.is_none());
}

#[test]
fn a_manifest_of_another_version_is_not_taken() {
    let world = served();
    visit_and_load(&world);
    flip(&world, "manifest.json");
    let mut next = Tiny::default();
    next.manifest.name = "Tiny 2".into();
    world.serve(&next);
    let found = check(&world);
    assert_eq!(found.broken, ["manifest.json"]);
    assert_eq!(found.fault.unwrap().code, FaultCode::Corrupt);
    assert_eq!(world.disk.journal.borrow().len(), 5, "nothing was dropped");
}

#[test]
fn a_shard_of_a_converted_model_is_made_again() {
    let (world, repository) = published("terns/packed");
    let expected = repository.converted(None, Some("mit"));
    visit(&world, Script::default(), &[load_url("terns/packed")]);
    let shard = expected.keys().find(|name| name.ends_with(".bin"));
    for file in [shard.unwrap().as_str(), "manifest.json"] {
        flip(&world, file);
        visit(&world, Script::default(), &[verify("terns/packed")]);
        let found = verified(&world);
        assert_eq!((found.repaired, found.broken), (vec![file.into()], vec![]));
        assert_converted(&world, &repository.key(), &expected);
    }
}

#[test]
fn a_check_can_be_cancelled_and_the_model_stays_ready() {
    let world = served();
    visit_and_load(&world);
    world.disk.get_millis.set(50);
    let run = worker_in(&world, Script::default());
    world.push(Request::Hello(protocol::Hello::own()));
    world.push(load(LOAD));
    world.push(verify(BASE_URL));
    world.push(question(10, 0));
    *world.on_event.borrow_mut() = Box::new(|world, event| {
        if let Event::Loading {
            id: CHECK,
            progress,
        } = event
            && progress.shards_done == 0
        {
            world.push(Request::Cancel { id: CHECK });
        }
    });
    world.run_until_idle(run);
    *world.on_event.borrow_mut() = Box::new(|_, _| {});
    assert_eq!(outcome(&world, CHECK), Outcome::Cancelled);
    assert_eq!(shown(&world, 10).ids.len(), 50);
}

#[test]
fn a_device_that_is_lost_meanwhile_is_told_of_at_once() {
    let script = Script {
        idle_losses: [Some(700)].into(),
        ..Script::default()
    };
    let world = served();
    visit_and_load(&world);
    world.disk.get_millis.set(500);
    visit(&world, script, &[load(LOAD), verify(BASE_URL), storage(10)]);
    let events = world.events();
    let at = |is_meant: fn(&Event) -> bool| events.iter().position(is_meant).unwrap();
    let lost = at(|event| matches!(event, Event::Status(Status::DeviceLost { .. })));
    let ended = at(|event| event.id() == Some(CHECK) && event.is_terminal());
    assert_eq!(lost + 1, ended, "{events:?}");
    assert_eq!(outcome(&world, CHECK), Outcome::Cancelled);
    assert_eq!(report(&world, 10).state, StorageState::Durable);
}

#[test]
fn what_is_not_stored_can_not_be_checked() {
    let world = served();
    visit(&world, Script::default(), &[verify(BASE_URL)]);
    assert_eq!(fault(&world, CHECK).code, FaultCode::NotFound);
}
