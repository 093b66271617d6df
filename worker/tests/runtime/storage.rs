//! The store: what is kept, what is fetched, and what happens when the database fails.

use std::rc::Rc;

use crate::support::{
    BASE_URL, LOAD, Script, StoreBreak, Tiny, World, fault, load, question, shown, worker_in,
};
use protocol::{
    Event, FaultCode, Hello, LoadProgress, LoadStage, ModelInfo, ModelOffer, Outcome, Request,
    RequestId, Retry, StorageReport, StorageState,
};
use worker::FetchError;

const PACKAGE_BYTES: u64 = 46_336 + 2;

fn served() -> Rc<World> {
    let world = Rc::new(World::default());
    world.serve(&Tiny::default());
    world
}

/// A worker's life in this world: greeted, then these requests.
fn visit(world: &Rc<World>, script: Script, requests: &[Request]) {
    let run = worker_in(world, script);
    world.push(Request::Hello(Hello::own()));
    for request in requests {
        world.push(request.clone());
    }
    world.run_until_idle(run);
}

fn visit_and_load(world: &Rc<World>) {
    visit(world, Script::default(), &[load(LOAD)]);
}

fn outcome(world: &World, id: RequestId) -> Outcome {
    let events = world.events();
    let terminal = events
        .iter()
        .find(|event| event.id() == Some(id) && event.is_terminal());
    let Some(Event::Finished { outcome, .. }) = terminal else {
        panic!("expected an outcome, got {terminal:?}")
    };
    (**outcome).clone()
}

fn info(world: &World) -> ModelInfo {
    let Outcome::Loaded(info) = outcome(world, LOAD) else {
        panic!("not loaded")
    };
    info
}

fn offer(world: &World, id: u32) -> ModelOffer {
    let Outcome::Inspected(offer) = outcome(world, RequestId(id)) else {
        panic!("not inspected")
    };
    offer
}

fn report(world: &World, id: u32) -> StorageReport {
    let Outcome::Storage(report) = outcome(world, RequestId(id)) else {
        panic!("no report")
    };
    report
}

fn inspect(id: u32) -> Request {
    Request::Inspect {
        id: RequestId(id),
        model_url: BASE_URL.into(),
    }
}

fn storage(id: u32) -> Request {
    Request::Storage { id: RequestId(id) }
}

fn delete(id: u32, model_url: &str) -> Request {
    Request::DeleteModel {
        id: RequestId(id),
        model_url: model_url.into(),
    }
}

/// The files that were fetched, without their folder.
fn fetched(world: &World) -> Vec<String> {
    let fetches = world.fetches.borrow();
    fetches
        .iter()
        .map(|(url, _)| url.rsplit('/').next().unwrap().to_owned())
        .collect()
}

fn progress(world: &World) -> Vec<LoadProgress> {
    let events = world.events();
    let progress = events.iter().filter_map(|event| match event {
        Event::Loading { progress, .. } => Some(*progress),
        _ => None,
    });
    progress.collect()
}

#[test]
fn a_second_visit_needs_no_network() {
    let world = served();
    visit_and_load(&world);
    assert_eq!(
        fetched(&world),
        [
            "manifest.json",
            "tokenizer.json",
            "00000.bin",
            "00001.bin",
            "00002.bin"
        ]
    );
    let requests = [inspect(1), load(RequestId(2)), question(3, 0), storage(4)];
    visit(&world, Script::default(), &requests);
    assert_eq!(fetched(&world), [""; 0]);
    assert!(offer(&world, 1).complete);
    assert!(
        matches!(outcome(&world, RequestId(2)), Outcome::Loaded(info) if info.cached),
        "from the store"
    );
    assert_eq!(shown(&world, 3).ids.len(), 50);
    assert!(progress(&world).iter().all(|p| p.fetched_bytes.get() == 0));
    assert!(
        progress(&world)
            .iter()
            .all(|p| p.stage != LoadStage::Download)
    );
}

#[test]
fn an_interrupted_download_goes_on_with_what_is_stored() {
    for n_stored in 0..3u32 {
        let world = served();
        world.slowness.set(150);
        let run = worker_in(&world, Script::default());
        world.push(Request::Hello(Hello::own()));
        world.push(load(LOAD));
        // The page goes when the given number of shards is stored and the next one is on its way.
        *world.on_event.borrow_mut() = Box::new(move |world, event| {
            if matches!(event, Event::Loading { progress, .. } if progress.shards_done == n_stored)
            {
                world.killed.set(true);
            }
        });
        world.run_until_idle(run);
        *world.on_event.borrow_mut() = Box::new(|_, _| {});
        let stored = world.disk.journal.borrow().len() as u32;
        assert_eq!(stored, n_stored + 2, "manifest, tokenizer and the shards");
        visit(&world, Script::default(), &[inspect(1), load(RequestId(2))]);
        let offer = offer(&world, 1);
        assert!(!offer.complete);
        assert_eq!(offer.download_bytes.get(), PACKAGE_BYTES);
        let shards: Vec<String> = fetched(&world)
            .into_iter()
            .filter(|file| file.ends_with(".bin"))
            .collect();
        let missing: Vec<String> = (n_stored..3).map(|n| format!("{n:05}.bin")).collect();
        assert_eq!(shards, missing);
        assert!(matches!(outcome(&world, RequestId(2)), Outcome::Loaded(_)));
        let first = progress(&world)[0];
        assert_eq!(
            (first.stage, first.shards_done),
            (LoadStage::Download, n_stored)
        );
    }
}

#[test]
fn bytes_are_counted_inside_a_shard_but_not_too_often() {
    let world = served();
    world.slowness.set(120);
    visit_and_load(&world);
    let steps: Vec<_> = progress(&world)
        .into_iter()
        .filter(|p| p.stage == LoadStage::Download)
        .map(|p| (p.shards_done, p.bytes_done.get(), p.fetched_bytes.get()))
        .collect();
    assert_eq!(
        steps,
        [
            (0, 0, 0),
            (0, 38_400, 38_400),
            (1, 45_568, 45_568),
            (2, 46_336, 46_336),
            (3, 46_336, 46_336),
        ]
    );
}

#[test]
fn what_has_gone_bad_or_missing_is_fetched_alone() {
    let damage: [fn(&mut Vec<u8>); 2] = [|record| record[7] ^= 1, |record| record.truncate(5)];
    for (index, file) in ["00000.bin", "00001.bin", "00002.bin"].iter().enumerate() {
        let key = |world: &World| {
            let journal = world.disk.journal.borrow();
            let entry = journal.values().find(|entry| entry.file == *file).unwrap();
            entry.record_keys().next().unwrap()
        };
        for damage in &damage {
            let world = served();
            visit_and_load(&world);
            let key = key(&world);
            damage(world.disk.records.borrow_mut().get_mut(&key).unwrap());
            visit_and_load(&world);
            assert_eq!(fetched(&world), [*file], "shard {index}");
            assert!(info(&world).cached);
            visit_and_load(&world);
            assert_eq!(fetched(&world), [""; 0], "repaired");
        }
        let world = served();
        visit_and_load(&world);
        let key = key(&world);
        world.disk.records.borrow_mut().remove(&key);
        visit_and_load(&world);
        assert_eq!(fetched(&world), [*file]);
    }
}

#[test]
fn a_bad_manifest_or_tokenizer_is_fetched_again() {
    for (name, expected) in [
        ("manifest.json", "manifest.json"),
        ("tokenizer.json", "tokenizer.json"),
    ] {
        let world = served();
        visit_and_load(&world);
        let journal = world.disk.journal.borrow().clone();
        let entry = journal.values().find(|entry| entry.file == name).unwrap();
        let key = entry.record_keys().next().unwrap();
        *world.disk.records.borrow_mut().get_mut(&key).unwrap() = b"[]".to_vec();
        visit_and_load(&world);
        assert_eq!(fetched(&world), [expected]);
        assert!(info(&world).cached);
    }
}

#[test]
fn a_lost_device_is_replaced_without_network() {
    let script = Script {
        sessions: [Some((20, crate::support::Break::Lost))].into(),
        ..Script::default()
    };
    let world = served();
    visit_and_load(&world);
    visit(&world, script, &[load(LOAD), question(2, 0)]);
    assert_eq!(shown(&world, 2).usage.recoveries, 1);
    assert_eq!(fetched(&world), [""; 0]);
}

#[test]
fn without_a_database_models_run_from_memory() {
    let world = served();
    world.disk.breaks("open", &[StoreBreak::Unavailable; 9]);
    let requests = [
        inspect(1),
        load(RequestId(2)),
        question(3, 0),
        storage(4),
        delete(5, BASE_URL),
    ];
    visit(&world, Script::default(), &requests);
    let denied = StorageState::Unavailable {
        detail: "denied".into(),
    };
    assert_eq!(offer(&world, 1).storage, denied);
    assert!(
        matches!(outcome(&world, RequestId(2)), Outcome::Loaded(info) if !info.cached),
        "from memory"
    );
    assert_eq!(shown(&world, 3).ids.len(), 50);
    assert_eq!(report(&world, 4).state, denied);
    let Outcome::Deleted { bytes } = outcome(&world, RequestId(5)) else {
        panic!("not deleted")
    };
    assert_eq!(bytes.get(), 0);
    assert!(world.disk.records.borrow().is_empty());
    let last = *progress(&world).last().unwrap();
    assert_eq!(last.fetched_bytes.get(), 46_336);
}

#[test]
fn a_full_store_keeps_what_it_has() {
    let world = served();
    let manifest_bytes = serde_json::to_vec(&Tiny::default().manifest).unwrap().len() as u64;
    // Room for the first shard, not for the second.
    world
        .disk
        .quota_bytes
        .set(manifest_bytes + 2 + 38_400 + 100);
    world.disk.breaks("put_package", &[StoreBreak::Full]);
    visit_and_load(&world);
    assert_eq!(fault(&world, LOAD).code, FaultCode::StorageFull);
    visit_and_load(&world);
    let fault = fault(&world, LOAD);
    assert_eq!(
        (fault.code, fault.retry),
        (FaultCode::StorageFull, Retry::Again)
    );
    assert!(
        fault
            .detail
            .starts_with("the model needs 1 MB more, the browser allows 1"),
        "{fault}"
    );
    assert_eq!(
        world.disk.journal.borrow().len(),
        3,
        "manifest, tokenizer, one shard"
    );
    world.disk.quota_bytes.set(0);
    visit_and_load(&world);
    assert_eq!(fetched(&world), ["manifest.json", "00001.bin", "00002.bin"]);
}

#[test]
fn a_database_that_fails_or_hangs_is_opened_again() {
    let operations = ["packages", "journal", "put_package", "put", "get", "remove"];
    for operation in operations {
        for broken in [StoreBreak::Lost, StoreBreak::Hang] {
            for times in [1, 2] {
                let world = served();
                world.disk.breaks(operation, &vec![broken; times]);
                let requests = [load(LOAD), load(RequestId(2)), delete(3, BASE_URL)];
                visit(&world, Script::default(), &requests);
                assert!(info(&world).cached, "{operation} {broken:?} {times}");
                assert!(
                    matches!(outcome(&world, RequestId(2)), Outcome::Loaded(info) if info.cached)
                );
                assert!(matches!(
                    outcome(&world, RequestId(3)),
                    Outcome::Deleted { .. }
                ));
                assert_eq!(fetched(&world).len(), 5, "each file once");
                assert_eq!(world.disk.count("open"), 1 + times);
                assert!(world.disk.records.borrow().is_empty());
            }
        }
    }
}

#[test]
fn a_database_that_stays_broken_is_given_up() {
    for (operation, broken) in [
        ("open", StoreBreak::Hang),
        ("journal", StoreBreak::Lost),
        ("put", StoreBreak::Hang),
        ("put", StoreBreak::Lost),
        // A database that was there and is gone after its connection was lost.
        ("put", StoreBreak::Unavailable),
    ] {
        let world = served();
        world.disk.breaks(operation, &[broken; 9]);
        visit_and_load(&world);
        let fault = fault(&world, LOAD);
        assert_eq!(
            (fault.code, fault.retry),
            (FaultCode::Storage, Retry::Reload),
            "{operation} {broken:?}"
        );
        assert_eq!(world.disk.count(operation), 3);
    }
}

#[test]
fn the_report_counts_what_is_stored() {
    let world = served();
    visit(
        &world,
        Script::default(),
        &[storage(1), load(RequestId(2)), storage(3)],
    );
    let empty = report(&world, 1);
    assert_eq!(
        (empty.models.len(), empty.usage_bytes.unwrap().get()),
        (0, 0)
    );
    let full = report(&world, 3);
    let model = &full.models[0];
    assert_eq!(
        (model.model_url.as_str(), model.name.as_str()),
        (BASE_URL, "Tiny")
    );
    assert!(model.complete);
    assert_eq!(model.stored_bytes, model.total_bytes);
    assert_eq!(full.usage_bytes.unwrap(), model.stored_bytes);
    assert_eq!(full.state, StorageState::Durable);
}

#[test]
fn deleting_unloads_the_model_and_leaves_what_others_need() {
    let world = served();
    let elsewhere = "https://host/models/copy/";
    world.serve_at(elsewhere, &Tiny::default());
    let other = Request::Load {
        id: RequestId(2),
        model_url: elsewhere.trim_end_matches('/').into(),
        settings: protocol::Settings::default(),
    };
    let requests = [
        load(LOAD),
        other,
        delete(3, elsewhere),
        question(4, 0),
        storage(5),
    ];
    visit(&world, Script::default(), &requests);
    let Outcome::Deleted { bytes } = outcome(&world, RequestId(3)) else {
        panic!("not deleted")
    };
    assert_eq!(bytes.get(), 0, "the first model needs the same files");
    assert_eq!(
        fault(&world, RequestId(4)).code,
        FaultCode::BadRequest,
        "unloaded"
    );
    assert_eq!(report(&world, 5).models.len(), 1);
    let requests = [
        load(LOAD),
        Request::EraseModels { id: RequestId(2) },
        storage(3),
    ];
    visit(&world, Script::default(), &requests);
    assert_eq!(fetched(&world), [""; 0], "the first model is whole");
    let Outcome::Deleted { bytes } = outcome(&world, RequestId(2)) else {
        panic!("not erased")
    };
    assert!(bytes.get() > PACKAGE_BYTES);
    assert_eq!(report(&world, 3).models, []);
    assert!(world.disk.records.borrow().is_empty() && world.disk.journal.borrow().is_empty());
}

#[test]
fn a_new_version_of_a_package_replaces_the_old_one_once_it_is_fetched() {
    let world = served();
    visit_and_load(&world);
    let before = world.disk.records.borrow().len();
    // A shard was lost, so the manifest is looked at again, and the server has another one by now.
    let entry = world.disk.journal.borrow().values().next().unwrap().clone();
    world.disk.journal.borrow_mut().remove(&entry.key());
    let mut next = Tiny::default();
    next.manifest.name = "Tiny 2".into();
    world.serve(&next);
    visit(&world, Script::default(), &[load(LOAD), storage(2)]);
    assert_eq!(info(&world).name, "Tiny 2");
    let models = report(&world, 2).models;
    assert_eq!((models.len(), models[0].name.as_str()), (1, "Tiny 2"));
    assert!(models[0].complete);
    assert_eq!(
        world.disk.records.borrow().len(),
        before,
        "nothing of the old one is left"
    );
}

#[test]
fn a_network_that_is_away_is_said_when_something_is_missing() {
    let world = served();
    world.mishaps.borrow_mut().insert(
        "manifest.json",
        vec![Err(FetchError::Network("offline".into())); 9].into(),
    );
    visit(&world, Script::default(), &[inspect(1), load(RequestId(2))]);
    assert_eq!(fault(&world, RequestId(1)).code, FaultCode::Network);
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::Network);
}
