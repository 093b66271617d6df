//! Shards that are read ahead of their use: faster, and otherwise as if they were read one after the other.

use std::cell::Cell;
use std::rc::Rc;

use crate::disk::{delete, fetched, info, progress, served, visit_and_load};
use crate::support::{
    BASE_URL, LOAD, Mishap, Open, Script, StoreBreak, Tiny, World, fault, load, visit, worker_in,
};
use protocol::{Event, FaultCode, Hello, LoadStage, Outcome, Request, RequestId};

/// How long a file takes to be read in these tests.
const READ_MILLIS: u32 = 100;
/// Shards that are read at once.
const AHEAD: usize = 3;

/// A world with a package in its store, whose shards take their time from now on.
fn stored(package: &Tiny) -> Rc<World> {
    let world = Rc::new(World::default());
    world.serve(package);
    visit_and_load(&world);
    world.disk.get_millis.set(READ_MILLIS);
    world.disk.most_reading.set(0);
    world
}

fn opens(open: Open) -> Script {
    Script {
        opens: [open].into(),
        ..Script::default()
    }
}

#[test]
fn shards_are_read_beside_each_other_but_not_all_at_once() {
    let world = stored(&Tiny::with_alike_shards());
    visit_and_load(&world);
    assert_eq!(world.disk.most_reading.get(), AHEAD);
    assert_eq!(
        world.disk.count("get"),
        2 + 5,
        "manifest and tokenizer, shards"
    );
    // Five shards, three at a time.
    let times = info(&world).times;
    let read_millis = times.read_millis + times.upload_millis;
    let one_by_one = f64::from(5 * READ_MILLIS);
    assert!(read_millis < 0.7 * one_by_one, "{times:?}");
    assert!(times.read_millis > 0.4 * one_by_one - 30.0, "{times:?}");
    let done: Vec<_> = progress(&world)
        .into_iter()
        .filter(|p| p.stage == LoadStage::Upload)
        .map(|p| p.shards_done)
        .collect();
    assert!(
        done.is_sorted() && done.first() == Some(&0) && done.last() == Some(&5),
        "{done:?}"
    );
}

#[test]
fn what_fails_ahead_is_told_when_it_is_its_turn() {
    // Manifest, tokenizer and the first shard can be read, nothing behind them.
    let broken = [vec![StoreBreak::Works; 3], vec![StoreBreak::Lost; 99]].concat();
    let world = stored(&Tiny::default());
    world.disk.breaks("get", &broken);
    visit_and_load(&world);
    let told = fault(&world, LOAD);
    assert_eq!(told.code, FaultCode::Storage);
    assert!(told.detail.starts_with("reading 00001.bin"), "{told}");

    // The device is lost before that is of interest.
    let world = stored(&Tiny::default());
    world.disk.breaks("get", &broken);
    visit(&world, opens(Open::LostAtShard(0)), &[load(LOAD)]);
    assert_eq!(fault(&world, LOAD).code, FaultCode::DeviceLost);
}

#[test]
fn a_lost_device_does_not_wait_for_what_is_read_ahead() {
    let world = stored(&Tiny::default());
    let mut breaks = vec![StoreBreak::Works; 3];
    breaks.extend([StoreBreak::Hang; 9]);
    world.disk.breaks("get", &breaks);
    let began = world.time();
    visit(&world, opens(Open::LostAtShard(0)), &[load(LOAD)]);
    assert_eq!(fault(&world, LOAD).code, FaultCode::DeviceLost);
    assert!(world.time() - began < 1000.0, "{}", world.time() - began);
    assert_eq!(world.disk.reading.get(), 0, "nothing goes on");
}

#[test]
fn a_silent_device_is_lost_also_while_the_next_shards_are_there() {
    let world = stored(&Tiny::with_alike_shards());
    let began = world.time();
    visit(&world, opens(Open::HangsAtShard(0)), &[load(LOAD)]);
    assert_eq!(fault(&world, LOAD).code, FaultCode::DeviceLost);
    let waited = world.time() - began;
    assert!((90_000.0..95_000.0).contains(&waited), "{waited}");
    assert_eq!(
        world.disk.count("get"),
        2 + 1 + AHEAD,
        "no more than may be in memory"
    );
}

/// A visit that loads the model and cancels that after so long.
fn visit_and_cancel(world: &Rc<World>, millis: u32) {
    let run = worker_in(world, Script::default());
    world.push(Request::Hello(Hello::own()));
    world.push(load(LOAD));
    world.push_later(millis, Request::Cancel { id: LOAD });
    world.run_until_idle(run);
}

fn is_cancelled(world: &World) -> bool {
    let end = Event::Finished {
        id: LOAD,
        outcome: Box::new(Outcome::Cancelled),
    };
    world.events().contains(&end)
}

/// Loading ends with the cancel wherever it comes, and what was begun is not followed by anything.
#[test]
fn a_cancel_ends_what_is_read_ahead() {
    let mut cancelled = 0;
    for millis in (0..700).step_by(7) {
        let world = stored(&Tiny::default());
        let calls = Rc::new(Cell::new(None));
        let noted = Rc::clone(&calls);
        *world.on_event.borrow_mut() = Box::new(move |world, event| {
            if event.id() == Some(LOAD) && event.is_terminal() {
                noted.set(Some(world.disk.calls.borrow().len()));
            }
        });
        visit_and_cancel(&world, millis);
        cancelled += usize::from(is_cancelled(&world));
        let n_calls = world.disk.calls.borrow().len();
        assert_eq!(calls.get(), Some(n_calls), "{millis}");
        assert_eq!(world.disk.reading.get(), 0, "{millis}");
    }
    assert!((30..100).contains(&cancelled), "{cancelled}");
}

#[test]
fn a_shard_that_is_mended_is_mended_for_all_that_are_like_it() {
    let world = stored(&Tiny::with_alike_shards());
    let entry = {
        let journal = world.disk.journal.borrow();
        let entry = journal.values().find(|entry| entry.bytes == 256);
        entry.unwrap().clone()
    };
    let key = entry.record_keys().next().unwrap();
    let damage: [fn(&World, &str); 2] = [
        |world, key| world.disk.records.borrow_mut().get_mut(key).unwrap()[7] ^= 1,
        |world, key| drop(world.disk.records.borrow_mut().remove(key)),
    ];
    for damage in damage {
        damage(&world, &key);
        visit_and_load(&world);
        assert!(info(&world).cached);
        assert_eq!(fetched(&world).len(), 1, "{:?}", fetched(&world));
        assert_eq!(world.disk.most_reading.get(), AHEAD);
        visit_and_load(&world);
        assert_eq!(fetched(&world), [""; 0], "mended");
    }
}

#[test]
fn shards_that_are_all_gone_come_one_by_one() {
    let world = stored(&Tiny::default());
    world
        .disk
        .records
        .borrow_mut()
        .retain(|_, record| record.len() <= 2 || record[0] == b'{');
    visit_and_load(&world);
    assert_eq!(fetched(&world), ["00000.bin", "00001.bin", "00002.bin"]);
    assert!(info(&world).cached);
    for told in progress(&world) {
        assert!(told.bytes_done <= told.bytes_total, "{told:?}");
    }
}

#[test]
fn nothing_is_fetched_ahead_where_nothing_can_be_kept() {
    let world = served();
    world.disk.breaks("open", &[StoreBreak::Unavailable; 99]);
    let mishaps = vec![Mishap::Unreachable; 99].into();
    world
        .network
        .mishaps
        .borrow_mut()
        .insert("00001.bin", mishaps);
    visit_and_cancel(&world, 60_000);
    assert!(is_cancelled(&world));
    let fetched = fetched(&world);
    assert!(fetched.contains(&"00001.bin".to_owned()), "{fetched:?}");
    assert!(!fetched.contains(&"00002.bin".to_owned()), "{fetched:?}");
}

/// The note of the package's fingerprints; empty where there is none.
fn fingerprints(world: &World) -> String {
    let records = world.disk.records.borrow();
    let mut own = records
        .iter()
        .filter(|(key, _)| key.starts_with("fingerprints/"));
    let note = own.next().map_or(&[][..], |(_, note)| note);
    assert!(own.next().is_none(), "one package, one note");
    String::from_utf8(note.to_vec()).unwrap()
}

fn forget_fingerprints(world: &World) {
    let mut records = world.disk.records.borrow_mut();
    records.retain(|key, _| !key.starts_with("fingerprints/"));
}

fn set_fingerprints(world: &World, note: &str) {
    let mut records = world.disk.records.borrow_mut();
    let mut notes = records
        .iter_mut()
        .filter(|(key, _)| key.starts_with("fingerprints/"));
    *notes.next().unwrap().1 = note.into();
}

/// How many files a visit that loads the model has hashed, and whether all came out of the store.
fn hashed_by_visit(world: &Rc<World>) -> usize {
    visit_and_load(world);
    assert!(info(world).cached);
    assert_eq!(fetched(world), [""; 0]);
    world.hashed.borrow().len()
}

#[test]
fn shards_that_came_out_right_once_are_told_by_their_fingerprints() {
    let world = stored(&Tiny::with_alike_shards());
    let note = fingerprints(&world);
    assert_ne!(note, "");
    assert_eq!(hashed_by_visit(&world), 2, "manifest and tokenizer");
    assert_eq!(world.disk.count("put_record"), 0, "nothing is new");
    assert_eq!(fingerprints(&world), note);
    // A store of an earlier version has no such note.
    forget_fingerprints(&world);
    assert_eq!(hashed_by_visit(&world), 2 + 5);
    assert_eq!(fingerprints(&world), note);
}

#[test]
fn a_note_that_is_wrong_costs_time_and_no_shard() {
    let world = stored(&Tiny::default());
    let note = fingerprints(&world);
    let digit = note.rfind(|c: char| c.is_ascii_hexdigit()).unwrap();
    let flipped = if note[digit..].starts_with('0') {
        "1"
    } else {
        "0"
    };
    let mut wrong = note.clone();
    wrong.replace_range(digit..=digit, flipped);
    for (other, n_hashed) in [(wrong.as_str(), 1), ("", 3), ("{}", 3), ("\u{fffd}", 3)] {
        set_fingerprints(&world, other);
        assert_eq!(hashed_by_visit(&world), 2 + n_hashed, "{other}");
        assert_eq!(fingerprints(&world), note, "mended");
    }
}

#[test]
fn a_note_that_finds_no_room_costs_time_and_no_model() {
    for kind in [StoreBreak::Full, StoreBreak::Lost, StoreBreak::Unavailable] {
        let world = served();
        world.disk.breaks("put_record", &[kind; 99]);
        visit_and_load(&world);
        assert!(info(&world).cached);
        assert_eq!(fingerprints(&world), "");
        assert_eq!(hashed_by_visit(&world), 2 + 3);
    }
}

#[test]
fn a_note_that_can_not_be_read_costs_time_and_no_model() {
    let world = stored(&Tiny::default());
    // Nothing else is read by its key alone.
    world.disk.breaks("record", &[StoreBreak::Lost; 3]);
    assert_eq!(hashed_by_visit(&world), 2 + 3);
    assert_eq!(hashed_by_visit(&world), 2);
}

#[test]
fn a_model_that_is_ready_does_not_wait_for_its_note() {
    let world = served();
    visit_and_load(&world);
    let usual = info(&world).load_millis;
    forget_fingerprints(&world);
    world.disk.breaks("put_record", &[StoreBreak::Hang]);
    visit_and_load(&world);
    assert!(info(&world).cached);
    assert!(info(&world).load_millis < usual + 1_100.0);
    assert_eq!(hashed_by_visit(&world), 2, "it came all the same");
}

#[test]
fn a_note_is_of_the_shards_that_the_package_has_now() {
    let world = stored(&Tiny::default());
    let before = fingerprints(&world);
    let entry = world.disk.journal.borrow().values().next().unwrap().clone();
    world.disk.journal.borrow_mut().remove(&entry.key());
    world.serve(&Tiny::with_alike_shards());
    visit_and_load(&world);
    let after = fingerprints(&world);
    assert_ne!(before, after);
    let journal = world.disk.journal.borrow().clone();
    let noted = after.split('"').filter(|text| text.len() == 64);
    let noted: Vec<&str> = noted.collect();
    assert_eq!(noted.len(), 3, "three of five are alike");
    for sha256 in noted {
        let mut own = journal.values().map(|entry| &entry.sha256);
        assert!(own.any(|own| own == sha256), "{sha256} is of another one");
    }
    assert_eq!(hashed_by_visit(&world), 2);
}

#[test]
fn the_note_goes_with_its_model_and_with_no_other() {
    let world = stored(&Tiny::default());
    let note = fingerprints(&world);
    // Its address begins with the first one's, and it has the same shards.
    let longer = format!("{BASE_URL}more/");
    world.serve_at(&longer, &Tiny::default());
    let load_longer = Request::Load {
        id: RequestId(1),
        model_url: longer.clone(),
        settings: protocol::Settings::default(),
    };
    visit(
        &world,
        Script::default(),
        &[load_longer, delete(2, BASE_URL)],
    );
    assert_eq!(fingerprints(&world), note, "of the longer one");
    visit(&world, Script::default(), &[delete(1, &longer)]);
    assert_eq!(world.disk.records.borrow().len(), 0);
}
