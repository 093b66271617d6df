//! What is no model, is damaged, or breaks off: it is said in words, and nothing is left.

use protocol::{Event, FaultCode, Outcome, Request};

use super::{
    USE, assert_nothing_is_left, assert_stored, load_of, offline, saved, take, taking, unpacked,
};
use crate::support::{LOAD, MemoryFile, Script, StoreBreak, Tiny, fault, visit};

#[test]
fn truncated_archives_leave_nothing() {
    let archive = saved(&Tiny::default());
    let whole = archive.bytes();
    for length in (0..whole.len()).step_by(997).chain([whole.len() - 1]) {
        let world = offline();
        let cut = MemoryFile::new("cut.tern.tar", whole[..length].to_vec());
        let fault = take(&world, vec![cut]).unwrap_err();
        assert_eq!(fault.code, FaultCode::BadFiles, "{length}: {fault}");
        assert!(fault.detail.contains("is not whole"), "{length}: {fault}");
        assert_nothing_is_left(&world);
    }
}

#[test]
fn damaged_archives_leave_nothing() {
    let archive = saved(&Tiny::default());
    let shard = Tiny::default().manifest.shards[2].sha256.clone();
    let mut damaged = archive.bytes().to_vec();
    // The last byte of the last shard lies in front of its padding and the end.
    let end = damaged.iter().rposition(|byte| *byte != 0).unwrap();
    damaged[end] ^= 1;
    let world = offline();
    take(&world, vec![MemoryFile::new("a.tar", damaged)]).unwrap();
    let fault = fault(&world, USE);
    assert_eq!(fault.code, FaultCode::BadFiles);
    assert!(fault.detail.contains(&shard), "{fault}");
    assert_nothing_is_left(&world);
}

#[test]
fn what_fails_is_told_and_not_that_cleaning_up_failed() {
    let archive = saved(&Tiny::default());
    let mut damaged = archive.bytes().to_vec();
    let end = damaged.iter().rposition(|byte| *byte != 0).unwrap();
    damaged[end] ^= 1;
    let world = offline();
    world.disk.breaks("remove", &[StoreBreak::Lost; 9]);
    take(&world, vec![MemoryFile::new("a.tar", damaged)]).unwrap();
    assert_eq!(fault(&world, USE).code, FaultCode::BadFiles);
    let world = offline();
    world.disk.breaks("remove", &[StoreBreak::Lost; 9]);
    taking(&world, vec![archive], |world, event| {
        if let Event::Loading { .. } = event {
            world.push_later(3, Request::Cancel { id: USE });
        }
    });
    assert_eq!(crate::disk::outcome(&world, USE), Outcome::Cancelled);
}

#[test]
fn what_is_no_model_is_refused_in_words() {
    let file = |name: &str, bytes: &[u8]| MemoryFile::new(name, bytes.to_vec());
    for (files, words) in [
        (vec![], "expected from 1 to 10000 files, got 0"),
        (vec![file("a.txt", b"hello")], "the files are no model"),
        (vec![file("empty", b"")], "the files are no model"),
        (vec![file("a.tar", &[b'x'; 4096])], "this is no tar archive"),
        (vec![file("a.tar", b"")], "the archive is not whole"),
        (
            vec![file("a.tar", &[0; 1024])],
            "the first file of the archive must be manifest.json",
        ),
        (
            vec![file("a.tern.tar", b""), file("b", b"")],
            "a.tern.tar is an archive: choose it alone",
        ),
        (
            vec![file("a", b""), file("a", b"")],
            "two of the files are called a",
        ),
    ] {
        let world = offline();
        let fault = take(&world, files).unwrap_err();
        assert_eq!(fault.code, FaultCode::BadFiles);
        assert!(fault.detail.starts_with(words), "{fault}");
        assert_nothing_is_left(&world);
    }
    let fault = take(
        &offline(),
        vec![file("manifest.json", b"{}"), file("a", b"")],
    )
    .unwrap_err();
    assert_eq!(fault.code, FaultCode::BadModel);
    let fault = take(&offline(), vec![file("a.gguf", b"GGUF\x03\0\0\0")]).unwrap_err();
    assert_eq!(fault.code, FaultCode::Unsupported, "{fault}");
}

#[test]
fn a_full_disk_is_said_with_what_is_missing_and_can_be_mended() {
    let archive = saved(&Tiny::default());
    let world = offline();
    world.disk.quota_bytes.set(45_000);
    take(&world, vec![archive.clone()]).unwrap();
    let fault = fault(&world, USE);
    assert_eq!(fault.code, FaultCode::StorageFull);
    assert!(fault.missing_bytes.is_some(), "{fault}");
    world.disk.quota_bytes.set(0);
    take(&world, vec![archive.clone()]).unwrap();
    assert_stored(&world, &unpacked(archive.bytes()));
}

#[test]
fn a_cancelled_copy_leaves_nothing() {
    let world = offline();
    taking(&world, vec![saved(&Tiny::default())], |world, event| {
        if let Event::Loading { .. } = event {
            world.push_later(3, Request::Cancel { id: USE });
        }
    });
    let cancelled = world.events().iter().any(|event| {
        matches!(event, Event::Finished { id: USE, outcome } if **outcome == Outcome::Cancelled)
    });
    assert!(cancelled && world.disk.count("put") > 0);
    assert_nothing_is_left(&world);
}

#[test]
fn what_a_closed_page_has_left_goes_when_other_files_are_chosen() {
    let (one, other) = (saved(&Tiny::default()), saved(&Tiny::with_alike_shards()));
    let world = offline();
    taking(&world, vec![one], |world, event| {
        let is_loading = matches!(event, Event::Loading { .. });
        if is_loading && world.disk.count("put") > 1 {
            world.killed.set(true);
        }
    });
    assert!(!world.disk.packages.borrow().is_empty());
    // Without the files it can't go on, with them it can.
    let url = world.disk.packages.borrow().keys().next().unwrap().clone();
    visit(&world, Script::default(), &[load_of(LOAD, &url)]);
    assert_eq!(fault(&world, LOAD).code, FaultCode::FilesGone);
    take(&world, vec![other.clone()]).unwrap();
    let mut expected = unpacked(other.bytes());
    // Shards that are alike are stored once.
    expected.retain(|name, _| !["00003.bin", "00004.bin"].contains(&&**name));
    assert_stored(&world, &expected);
    assert!(!world.disk.packages.borrow().contains_key(&url));
    let journal = world.disk.journal.borrow();
    assert!(journal.values().all(|entry| entry.package != url));
}

#[test]
fn a_browser_that_keeps_nothing_is_told_apart() {
    let world = offline();
    world.disk.breaks("open", &[StoreBreak::Unavailable; 9]);
    let fault = take(&world, vec![saved(&Tiny::default())]).unwrap_err();
    assert_eq!(fault.code, FaultCode::Storage);
}
