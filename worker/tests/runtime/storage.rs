//! The store: what is kept, and what is fetched.

use crate::disk::{
    PACKAGE_BYTES, delete, fetched, info, inspect, offer, outcome, progress, report, served,
    storage, visit_and_load,
};
use crate::support::{
    BASE_URL, LOAD, Script, Tiny, World, fault, load, question, shown, visit, worker_in,
};
use protocol::{Event, FaultCode, Hello, LoadStage, Outcome, Request, RequestId, StorageState};

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
    for told in 0..3u32 {
        let world = served();
        world.network.slowness.set(150);
        let run = worker_in(&world, Script::default());
        world.push(Request::Hello(Hello::own()));
        world.push(load(LOAD));
        // The page goes when the given number of shards is stored and the next one is on its way.
        *world.on_event.borrow_mut() = Box::new(move |world, event| {
            if matches!(event, Event::Loading { progress, .. } if progress.shards_done == told) {
                world.killed.set(true);
            }
        });
        world.run_until_idle(run);
        *world.on_event.borrow_mut() = Box::new(|_, _| {});
        let journal = world.disk.journal.borrow().clone();
        let is_stored = |file: &&str| journal.values().any(|entry| entry.file == **file);
        let missing: Vec<&str> = ["00000.bin", "00001.bin", "00002.bin"]
            .into_iter()
            .filter(|file| !is_stored(file))
            .collect();
        let n_stored = 3 - missing.len() as u32;
        assert!(n_stored >= told, "what is told is stored");
        visit(&world, Script::default(), &[inspect(1), load(RequestId(2))]);
        let offer = offer(&world, 1);
        assert!(!offer.complete);
        assert_eq!(offer.download_bytes.get(), PACKAGE_BYTES);
        let shards: Vec<String> = fetched(&world)
            .into_iter()
            .filter(|file| file.ends_with(".bin"))
            .collect();
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
    world.network.slowness.set(120);
    visit_and_load(&world);
    let steps: Vec<_> = progress(&world)
        .into_iter()
        .filter(|p| p.stage == LoadStage::Download)
        .map(|p| (p.shards_done, p.bytes_done.get(), p.fetched_bytes.get()))
        .collect();
    assert_eq!(steps.first(), Some(&(0, 0, 0)));
    assert_eq!(steps.last(), Some(&(3, 46_336, 46_336)));
    assert!(steps.is_sorted(), "{steps:?}");
    let inside = steps.iter().filter(|step| step.0 == 0 && step.1 > 0);
    assert!((1..3).contains(&inside.count()), "{steps:?}");
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
            for told in progress(&world) {
                assert!(told.bytes_done <= told.bytes_total, "{told:?}");
                assert!(told.shards_done <= told.shards_total, "{told:?}");
            }
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

/// Nothing else would tell that a cache's copy is old; of a shard its hash does.
#[test]
fn only_a_manifest_is_asked_for_past_the_browsers_cache() {
    let world = served();
    visit_and_load(&world);
    for ask in &*world.network.asked.borrow() {
        assert_eq!(ask.fresh, ask.url.ends_with("manifest.json"), "{ask:?}");
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
    let again = [
        load(LOAD),
        question(2, 0),
        load(RequestId(3)),
        question(4, 0),
    ];
    visit(&world, script, &again);
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::DeviceLost);
    assert_eq!(shown(&world, 4).ids.len(), 50);
    assert_eq!(fetched(&world), [""; 0]);
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
    let files = world.disk.record_keys();
    let records = world.disk.records.borrow();
    let bytes: usize = files.iter().map(|key| records[key].len()).sum();
    assert_eq!(bytes as u64, model.stored_bytes.get());
    assert!(full.usage_bytes.unwrap() > model.stored_bytes, "and notes");
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
