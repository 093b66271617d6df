//! The store when the database is not there, full, failing or silent.

use crate::disk::{
    delete, fetched, info, inspect, offer, outcome, progress, report, served, storage,
    visit_and_load,
};
use crate::support::{
    BASE_URL, LOAD, Mishap, Script, StoreBreak, Tiny, fault, load, question, shown, visit,
};
use protocol::{FaultCode, Fit, Outcome, Request, RequestId, Retry, StorageState};

#[test]
fn without_a_database_models_run_from_memory() {
    let world = served();
    world.disk.breaks("open", &[StoreBreak::Unavailable; 99]);
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
fn a_database_that_is_refused_for_a_moment_is_no_private_mode() {
    for times in [1, 2] {
        let world = served();
        visit(&world, Script::default(), &[load(LOAD)]);
        world
            .disk
            .breaks("open", &vec![StoreBreak::Unavailable; times]);
        visit(&world, Script::default(), &[load(LOAD)]);
        assert!(info(&world).cached, "{times}");
        assert!(fetched(&world).is_empty(), "all of it is stored");
    }
}

#[test]
fn an_offer_says_whether_there_is_room_for_the_download() {
    let rows = [
        (0, "Unknown"),
        (50_000_000, "Fits"),
        (
            40_000,
            "the download needs 1 MB, the browser lets 0 MB be stored",
        ),
    ];
    for (quota, words) in rows {
        let world = served();
        world.disk.quota_bytes.set(quota);
        visit(&world, Script::default(), &[inspect(1)]);
        let fit = match offer(&world, 1).fit {
            Fit::TooLarge { detail } => detail,
            fit => format!("{fit:?}"),
        };
        assert_eq!(fit, words);
    }
}

#[test]
fn a_full_store_keeps_what_it_has() {
    let world = served();
    let manifest_bytes = serde_json::to_vec(&Tiny::default().manifest).unwrap().len() as u64;
    // Room for the first shard or for the second, which is whole before.
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
        4,
        "manifest, tokenizer, and the two shards that fit"
    );
    world.disk.quota_bytes.set(0);
    visit_and_load(&world);
    assert_eq!(fetched(&world), ["manifest.json", "00000.bin"]);
}

#[test]
fn what_was_kept_of_a_file_makes_room_for_the_whole_of_it() {
    let world = served();
    world.network.piece_bytes.set(1000);
    let files = Tiny::default().files(BASE_URL);
    let bytes: usize = files.values().map(Vec::len).sum();
    world.disk.quota_bytes.set(bytes as u64);
    visit_and_load(&world);
    assert!(info(&world).cached);
    assert!(world.disk.count("put_record") > 0, "nothing was kept of it");
    assert!(world.disk.count("put") > files.len(), "there was room");
}

#[test]
fn a_database_that_fails_or_hangs_is_opened_again() {
    let operations = [
        "packages",
        "journal",
        "put_package",
        "put",
        "put_record",
        "record_keys",
        "get",
        "remove",
    ];
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
                // One connection may be lost for two files at once.
                assert!((1 + times..=2 + 2 * times).contains(&world.disk.count("open")));
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

/// That stage has no button to stop it.
#[test]
fn a_shard_that_went_bad_is_not_waited_for_long() {
    let world = served();
    visit_and_load(&world);
    world.disk.records.borrow_mut().clear();
    let mishaps = vec![Mishap::Unreachable; 99].into();
    world.network.mishaps.borrow_mut().insert(".bin", mishaps);
    visit(
        &world,
        Script::default(),
        &[Request::Online(false), load(LOAD)],
    );
    assert_eq!(fault(&world, LOAD).code, FaultCode::Network);
}

#[test]
fn a_network_that_is_away_is_said_when_something_is_missing() {
    let world = served();
    world
        .network
        .mishaps
        .borrow_mut()
        .insert("manifest.json", vec![Mishap::Unreachable; 9].into());
    visit(&world, Script::default(), &[inspect(1), load(RequestId(2))]);
    assert_eq!(fault(&world, RequestId(1)).code, FaultCode::Network);
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::Network);
}
