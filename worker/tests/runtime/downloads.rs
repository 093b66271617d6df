//! The download of a package over a bad network, by pages that are closed at any moment.

use std::cell::Cell;
use std::rc::Rc;

use crate::disk::{delete, fetched, info, outcome, report, served, storage, visit_and_load};
use crate::support::{
    BASE_URL, LOAD, Mishap, PART_BYTES, Script, Tiny, World, fault, load, visit, worker_in,
};
use proptest::prelude::*;
use protocol::{Event, FaultCode, FetchTrouble, Hello, Outcome, Request, RequestId, Status};
use worker::Ask;

const SHARDS: [&str; 3] = ["00000.bin", "00001.bin", "00002.bin"];
/// Bytes of all shards.
const WEIGHT_BYTES: u64 = 46_336;

fn plan(world: &World, ending: &'static str, mishaps: Vec<Mishap>) {
    let mut plans = world.network.mishaps.borrow_mut();
    plans.insert(ending, mishaps.into());
}

/// The requests for a file.
fn asked(world: &World, file: &str) -> Vec<Ask> {
    let asked = world.network.asked.borrow();
    let own = asked.iter().filter(|ask| ask.url.ends_with(file));
    own.cloned().collect()
}

/// Where the requests for a file begin.
fn starts(world: &World, file: &str) -> Vec<u64> {
    let first = |ask: &Ask| ask.range.map_or(0, |(first, _)| first);
    asked(world, file).iter().map(first).collect()
}

/// What the person was told of a file's troubles.
fn troubles(world: &World, name: &str) -> Vec<(u32, FetchTrouble)> {
    let told = world.events().into_iter().filter_map(|event| match event {
        Event::Status(Status::FetchRetry {
            file,
            attempt,
            trouble,
            ..
        }) if file == name => Some((attempt, trouble)),
        _ => None,
    });
    told.collect()
}

/// The whole package is stored, and nothing else.
fn assert_stored(world: &World) {
    let files = Tiny::default().files(BASE_URL);
    let journal = world.disk.journal.borrow();
    assert_eq!(journal.len(), files.len());
    let records = world.disk.records.borrow();
    assert_eq!(world.disk.record_keys().len(), files.len());
    for entry in journal.values() {
        let key = entry.record_keys().next().unwrap();
        assert_eq!(records[&key], files[&format!("{BASE_URL}{}", entry.file)]);
    }
}

/// Runs a worker that loads the model, until `should_close` says of an event that the page is closed there.
fn cut_off(world: &Rc<World>, mut should_close: impl FnMut(&World, &Event) -> bool + 'static) {
    let run = worker_in(world, Script::default());
    *world.on_event.borrow_mut() = Box::new(move |world, event| {
        if should_close(world, event) {
            world.killed.set(true);
        }
    });
    world.push(Request::Hello(Hello::own()));
    world.push(load(LOAD));
    world.run_until_idle(run);
    *world.on_event.borrow_mut() = Box::new(|_, _| {});
}

#[test]
fn a_shaky_network_is_tried_again_from_where_it_broke() {
    use FetchTrouble as T;
    for (mishap, trouble, start) in [
        (Mishap::Unreachable, T::Connection, 0),
        (Mishap::Cut(5000), T::Connection, 5000),
        (Mishap::Short(5000), T::Connection, 5000),
        (Mishap::Stall(5000), T::Stalled, 5000),
        (Mishap::Status(503, None), T::Busy, 0),
        (Mishap::Status(429, Some(30)), T::Busy, 0),
        (Mishap::Page, T::WebPage, 0),
        (Mishap::Flip(77), T::Wrong, 0),
        (Mishap::Other(vec![1; 38_400]), T::Wrong, 0),
        (Mishap::Other(vec![1; 38_401]), T::Wrong, 0),
        (Mishap::Other(vec![1; 38_399]), T::Wrong, 0),
    ] {
        let world = served();
        plan(&world, "00000.bin", vec![mishap.clone()]);
        plan(&world, "manifest.json", vec![Mishap::Status(500, None)]);
        visit_and_load(&world);
        assert!(info(&world).cached, "{mishap:?}");
        assert_eq!(troubles(&world, "00000.bin"), [(2, trouble)], "{mishap:?}");
        assert_eq!(troubles(&world, "manifest.json"), [(2, T::Busy)]);
        assert_eq!(starts(&world, "00000.bin"), [0, start], "{mishap:?}");
        let fresh: Vec<bool> = asked(&world, "00000.bin")
            .iter()
            .map(|ask| ask.fresh)
            .collect();
        assert_eq!(fresh, [false, trouble == T::Wrong], "past the caches");
        assert_stored(&world);
    }
}

#[test]
fn what_stays_wrong_is_told_apart() {
    for (mishap, code, n_requests) in [
        (Mishap::Unreachable, FaultCode::Network, 8),
        (Mishap::Status(503, None), FaultCode::Busy, 8),
        (Mishap::Status(503, Some(3600)), FaultCode::Busy, 1),
        (Mishap::Page, FaultCode::WebPage, 8),
        (Mishap::Status(404, None), FaultCode::NotFound, 1),
        (Mishap::Status(403, None), FaultCode::Refused, 1),
        (Mishap::Status(302, None), FaultCode::Network, 1),
        (Mishap::Other(vec![1; 38_400]), FaultCode::Corrupt, 3),
        (Mishap::Other(vec![]), FaultCode::Corrupt, 3),
    ] {
        let world = served();
        plan(&world, "00000.bin", vec![mishap.clone(); 20]);
        visit_and_load(&world);
        let fault = fault(&world, LOAD);
        assert_eq!(fault.code, code, "{mishap:?}");
        assert!(fault.detail.starts_with("00000.bin: "), "{fault}");
        assert_eq!(asked(&world, "00000.bin").len(), n_requests, "{mishap:?}");
        // What can't be had keeps nothing else from being right.
        world.network.mishaps.borrow_mut().clear();
        visit_and_load(&world);
        assert_stored(&world);
    }
}

#[test]
fn a_manifest_that_does_not_come_is_not_waited_for_long() {
    for mishap in [Mishap::Unreachable, Mishap::Page] {
        let world = served();
        plan(&world, "manifest.json", vec![mishap; 9]);
        // Also when it is known that there is no connection.
        visit(
            &world,
            Script::default(),
            &[Request::Online(false), load(LOAD)],
        );
        assert!(matches!(
            fault(&world, LOAD).code,
            FaultCode::Network | FaultCode::WebPage
        ));
        assert_eq!(asked(&world, "manifest.json").len(), 4);
    }
}

#[test]
fn shards_come_two_at_a_time() {
    let world = served();
    world.network.slowness.set(50);
    visit_and_load(&world);
    assert_eq!(world.network.most_open.get(), 2);
    assert_stored(&world);
}

#[test]
fn a_closed_page_goes_on_at_the_byte_and_doubles_none() {
    for answer in [Mishap::None, Mishap::Whole] {
        let world = served();
        world.network.piece_bytes.set(1000);
        world.network.slowness.set(150);
        cut_off(
            &world,
            |_, event| matches!(event, Event::Loading { progress, .. } if progress.fetched_bytes.get() > 20_000),
        );
        let held: u64 = {
            let records = world.disk.records.borrow();
            let parts = records.iter().filter(|(key, _)| key.starts_with("part/"));
            parts.map(|(_, part)| part.len() as u64).sum()
        };
        assert!(held > 0, "parts are stored");
        visit(&world, Script::default(), &[storage(1)]);
        let model = report(&world, 1).models.remove(0);
        let whole: u64 = (world.disk.journal.borrow().values())
            .map(|entry| entry.bytes)
            .sum();
        assert_eq!(model.stored_bytes.get(), whole + held, "parts count");
        assert!(!model.complete);
        plan(&world, "00000.bin", vec![answer.clone()]);
        visit_and_load(&world);
        let start = starts(&world, "00000.bin")[0];
        assert!(start > 0 && start <= held, "{start} of {held}");
        assert!(info(&world).cached, "{answer:?}");
        assert_stored(&world);
    }
}

#[test]
fn parts_that_have_gone_bad_cost_one_file() {
    for spoil in [
        (|part: &mut Vec<u8>| part[9] ^= 1) as fn(&mut Vec<u8>),
        |part| part.truncate(7),
    ] {
        let world = served();
        world.network.piece_bytes.set(1000);
        world.network.slowness.set(150);
        cut_off(
            &world,
            |_, event| matches!(event, Event::Loading { progress, .. } if progress.fetched_bytes.get() > 20_000),
        );
        let mut records = world.disk.records.borrow_mut();
        let part = records.iter_mut().find(|(key, _)| key.starts_with("part/"));
        spoil(part.expect("parts are stored").1);
        drop(records);
        visit_and_load(&world);
        assert!(info(&world).cached);
        assert_stored(&world);
    }
}

#[test]
fn a_pause_asks_for_nothing_keeps_what_has_come_and_ends() {
    let world = served();
    world.network.piece_bytes.set(1000);
    world.network.slowness.set(150);
    let run = worker_in(&world, Script::default());
    let paused_at = Rc::new(Cell::new(None));
    let seen = Rc::clone(&paused_at);
    *world.on_event.borrow_mut() = Box::new(move |world, event| match event {
        Event::Loading { progress, .. }
            if progress.fetched_bytes.get() > 5_500 && seen.get().is_none() =>
        {
            seen.set(Some(0));
            world.push(Request::Pause { id: LOAD });
        }
        Event::Status(Status::DownloadPaused) => {
            seen.set(Some(world.network.asked.borrow().len()));
            world.push_later(3_600_000, Request::Resume { id: LOAD });
        }
        Event::Status(Status::DownloadResumed) => {
            let n_asked = world.network.asked.borrow().len();
            assert_eq!(seen.get(), Some(n_asked), "nothing is asked for meanwhile");
            let records = world.disk.records.borrow();
            let parts = records.iter().filter(|(key, _)| key.starts_with("part/"));
            let held: usize = parts.map(|(_, part)| part.len()).sum();
            assert!(held >= 5_500, "{held} bytes would be lost with the page");
        }
        _ => {}
    });
    world.push(Request::Hello(Hello::own()));
    world.push(load(LOAD));
    world.run_until_idle(run);
    assert!(info(&world).cached);
    assert!(starts(&world, "00000.bin")[1] > 0, "goes on");
    assert_eq!(
        world.network.sent_bytes.get(),
        WEIGHT_BYTES + others(),
        "nothing twice"
    );
    assert_stored(&world);
}

/// Bytes of manifest and tokenizer.
fn others() -> u64 {
    let files = Tiny::default().files(BASE_URL);
    let others = files.iter().filter(|(url, _)| !url.ends_with(".bin"));
    others.map(|(_, bytes)| bytes.len() as u64).sum()
}

#[test]
fn a_download_that_is_cancelled_while_it_rests_ends() {
    let world = served();
    let run = worker_in(&world, Script::default());
    *world.on_event.borrow_mut() = Box::new(|world, event| {
        if matches!(event, Event::Status(Status::DownloadPaused)) {
            world.push_later(1000, Request::Cancel { id: LOAD });
        }
    });
    world.push(Request::Hello(Hello::own()));
    world.push(load(LOAD));
    world.push(Request::Pause { id: LOAD });
    world.run_until_idle(run);
    assert_eq!(outcome(&world, LOAD), Outcome::Cancelled);
    assert_eq!(asked(&world, ".bin"), []);
    // Another request does not rest.
    visit_and_load(&world);
    assert_stored(&world);
}

#[test]
fn without_a_connection_it_waits_and_goes_on_at_once() {
    let world = served();
    plan(&world, "00000.bin", vec![Mishap::Unreachable; 30]);
    plan(&world, "00001.bin", vec![Mishap::Unreachable; 30]);
    let run = worker_in(&world, Script::default());
    let at = Rc::new(Cell::new(0.0));
    let back = Rc::clone(&at);
    *world.on_event.borrow_mut() = Box::new(move |world, event| {
        if let Event::Status(Status::FetchRetry { attempt: 20, .. }) = event {
            world.network.mishaps.borrow_mut().clear();
            back.set(world.time());
            world.push(Request::Online(true));
        }
    });
    world.push(Request::Hello(Hello::own()));
    world.push(Request::Online(false));
    world.push(load(LOAD));
    world.run_until_idle(run);
    assert!(info(&world).cached, "no number of failures ends it");
    assert!(at.get() > 300_000.0);
    assert!(world.time() < at.get() + 2000.0, "at once");
}

#[test]
fn a_store_without_room_for_parts_may_have_room_for_files() {
    let world = served();
    world.network.piece_bytes.set(1000);
    world
        .disk
        .breaks("put_record", &[crate::support::StoreBreak::Full; 99]);
    visit_and_load(&world);
    let tries = world.disk.count("put_record");
    assert!(tries <= 3, "once a connection, and the fingerprints");
    assert_stored(&world);
}

#[test]
fn what_has_come_of_a_model_goes_with_it() {
    let world = served();
    world.network.piece_bytes.set(1000);
    world.network.slowness.set(150);
    cut_off(
        &world,
        |_, event| matches!(event, Event::Loading { progress, .. } if progress.fetched_bytes.get() > 20_000),
    );
    visit(&world, Script::default(), &[delete(1, BASE_URL)]);
    assert!(matches!(
        outcome(&world, RequestId(1)),
        Outcome::Deleted { bytes } if bytes.get() > 10_000
    ));
    assert!(world.disk.records.borrow().is_empty());
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        3 => Just(Mishap::None),
        1 => Just(Mishap::Unreachable),
        1 => (500u16..505).prop_map(|status| Mishap::Status(status, Some(2))),
        1 => Just(Mishap::Page),
        1 => Just(Mishap::Whole),
        2 => (0usize..40_000).prop_map(Mishap::Cut),
        1 => (0usize..40_000).prop_map(Mishap::Short),
        1 => (0usize..40_000).prop_map(Mishap::Stall),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Pages that are closed at any moment, over a network that does anything but lie, end with exactly the package, and
    /// each of them fetches again only what one that is closed may lose of each connection.
    #[test]
    fn any_mishaps_end_with_the_package(
        piece_bytes in 300usize..3000,
        slowness in 1u32..400,
        closed_at in prop::collection::vec(1usize..60, 0..6),
        mishaps in prop::collection::vec(prop::collection::vec(mishap(), 0..6), 3),
    ) {
        let world = served();
        world.network.piece_bytes.set(piece_bytes);
        world.network.slowness.set(slowness);
        let is_whole = mishaps.iter().flatten().any(|mishap| *mishap == Mishap::Whole);
        for (file, mishaps) in SHARDS.iter().zip(mishaps) {
            plan(&world, file, mishaps);
        }
        let mut sent = 0;
        for &n_events in &closed_at {
            let mut left = n_events;
            cut_off(&world, move |_, _| {
                left = left.saturating_sub(1);
                left == 0
            });
            sent += shard_bytes(&world);
        }
        visit_and_load(&world);
        sent += shard_bytes(&world);
        prop_assert!(info(&world).cached);
        assert_stored(&world);
        let kills = closed_at.len() as u64;
        let most = WEIGHT_BYTES + kills * 2 * (2 * PART_BYTES + 2 * piece_bytes as u64);
        // Where the server sends no parts, what is held comes again.
        prop_assert!(is_whole || sent <= most, "{sent} of at most {most}");
        visit_and_load(&world);
        prop_assert_eq!(fetched(&world), [""; 0]);
    }
}

/// Bytes of weights that this page has fetched.
fn shard_bytes(world: &World) -> u64 {
    world.network.shard_bytes.get()
}
