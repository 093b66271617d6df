//! Packages out of files: an archive, or the files of a folder.

use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::{Event, FaultCode, Hello, LoadStage, Outcome, Request, RequestId, is_of_files};

use super::{
    SAVE, USE, assert_nothing_is_left, assert_stored, load_of, offline, save, saved, stored, take,
    taking, unpacked,
};
use crate::disk::{delete, info, outcome, report, storage};
use crate::support::{
    BASE_URL, LOAD, MemoryFile, Script, Tiny, World, fault, load, visit, worker_in,
};

#[test]
fn an_archive_becomes_the_model() {
    let archive = saved(&Tiny::default());
    let world = offline();
    let offer = take(&world, vec![archive.clone()]).unwrap();
    assert_eq!((&*offer.name, offer.complete), ("Tiny", false));
    assert!(is_of_files(&offer.model_url) && offer.download_bytes.get() > 40_000);
    let loaded = world.events().into_iter().find_map(|event| match event {
        Event::Finished { id: USE, outcome } => Some(*outcome),
        _ => None,
    });
    assert!(
        matches!(&loaded, Some(Outcome::Loaded(info)) if info.cached),
        "{loaded:?}"
    );
    assert_stored(&world, &unpacked(archive.bytes()));
    assert!(archive.most_read.get() < archive.bytes().len() as u64);
    let copied = world.events().iter().any(|event| {
        matches!(event, Event::Loading { progress, .. }
            if progress.stage == LoadStage::Download && progress.bytes_done == progress.bytes_total)
    });
    assert!(copied);
    // From now on it needs nothing.
    let url = &offer.model_url;
    visit(&world, Script::default(), &[load_of(LOAD, url), storage(2)]);
    assert!(info(&world).cached);
    let models = report(&world, 2).models;
    assert!(
        models[0].complete && models[0].model_url == *url,
        "{models:?}"
    );
    // Chosen again, it is there already; and it can be deleted.
    assert!(take(&world, vec![archive]).unwrap().complete);
    visit(&world, Script::default(), &[delete(1, url)]);
    assert_nothing_is_left(&world);
}

#[test]
fn an_archive_of_what_is_stored_is_that_model() {
    let world = Rc::new(World::served());
    visit(&world, Script::default(), &[load(LOAD)]);
    let before = stored(&world);
    let offer = take(&world, vec![saved(&Tiny::default())]).unwrap();
    assert_eq!((&*offer.model_url, offer.complete), (BASE_URL, true));
    assert_eq!(world.disk.packages.borrow().len(), 1);
    assert_stored(&world, &before);
}

#[test]
fn the_files_of_a_package_are_a_package() {
    let files = unpacked(saved(&Tiny::default()).bytes());
    let chosen = |files: &BTreeMap<String, Vec<u8>>| {
        let file = |(name, bytes): (&String, &Vec<u8>)| MemoryFile::new(name, bytes.clone());
        files.iter().map(file).collect::<Vec<_>>()
    };
    let world = offline();
    take(&world, chosen(&files)).unwrap();
    assert_stored(&world, &files);
    let mut less = files.clone();
    less.remove("00001.bin");
    let fault = take(&offline(), chosen(&less)).unwrap_err();
    assert!(fault.detail.starts_with("00001.bin is missing"), "{fault}");
    let mut shorter = files;
    shorter.get_mut("00001.bin").unwrap().pop();
    let fault = take(&offline(), chosen(&shorter)).unwrap_err();
    assert!(fault.detail.starts_with("00001.bin: expected "), "{fault}");
}

#[test]
fn a_shard_that_is_lost_needs_the_files_again() {
    let world = offline();
    let url = take(&world, vec![saved(&Tiny::default())])
        .unwrap()
        .model_url;
    lose_a_shard(&world);
    visit(&world, Script::default(), &[load_of(LOAD, &url)]);
    let fault = fault(&world, LOAD);
    assert_eq!(fault.code, FaultCode::FilesGone);
    assert!(fault.detail.starts_with("00001.bin is lost"), "{fault}");
    assert!(world.network.asked.borrow().is_empty(), "no network has it");
    // Another model in between takes nothing away.
    let before = stored(&world).len();
    take(&world, vec![saved(&Tiny::with_alike_shards())]).unwrap();
    assert!(stored(&world).len() > 2 && world.disk.packages.borrow().contains_key(&url));
    assert_eq!(before, unpacked(saved(&Tiny::default()).bytes()).len() - 1);
    // With the files at hand only what is missing is copied.
    let offer = take(&world, vec![saved(&Tiny::default())]).unwrap();
    assert_eq!((&offer.model_url, offer.complete), (&url, false));
    assert!(offer.stored_bytes.get() > 0, "{offer:?}");
    assert_loaded(&world, USE);
    // The shard and the manifest.
    assert_eq!(world.disk.count("put"), 2);
    assert!(
        take(&world, vec![saved(&Tiny::default())])
            .unwrap()
            .complete
    );
}

fn lose_a_shard(world: &World) {
    let sha256 = &Tiny::default().manifest.shards[1].sha256;
    let mut records = world.disk.records.borrow_mut();
    records.remove(&format!("{sha256}/0")).unwrap();
}

fn assert_loaded(world: &World, id: RequestId) {
    let loaded = outcome(world, id);
    assert!(matches!(loaded, Outcome::Loaded(_)), "{loaded:?}");
}

#[test]
fn the_worker_that_noticed_a_loss_can_mend_it() {
    let world = offline();
    let archive = saved(&Tiny::default());
    let url = take(&world, vec![archive.clone()]).unwrap().model_url;
    lose_a_shard(&world);
    let run = worker_in(&world, Script::default());
    let (open, again) = (RequestId(2), RequestId(3));
    world.files.borrow_mut().insert(open, vec![archive]);
    world.push(Request::Hello(Hello::own()));
    world.push(load_of(LOAD, &url));
    world.push(Request::OpenFiles { id: open, files: 1 });
    world.push(load_of(again, &url));
    world.run_until_idle(run);
    assert_eq!(fault(&world, LOAD).code, FaultCode::FilesGone);
    assert_loaded(&world, again);
}

#[test]
fn a_repair_that_fails_or_is_cancelled_deletes_nothing() {
    let world = offline();
    let archive = saved(&Tiny::default());
    let url = take(&world, vec![archive.clone()]).unwrap().model_url;
    lose_a_shard(&world);
    visit(&world, Script::default(), &[save(&url)]);
    let unsaved = fault(&world, SAVE);
    assert!(
        unsaved.detail.contains("choose the model's files again"),
        "{unsaved}"
    );
    let before = world.disk.journal.borrow().clone();
    // The shard is damaged in the archive too.
    let mut damaged = archive.bytes().to_vec();
    let mut blocks = damaged.chunks(512);
    let header = blocks.position(|block| block.starts_with(b"00001.bin"));
    let at = (header.unwrap() + 1) * 512;
    damaged[at] ^= 1;
    take(&world, vec![MemoryFile::new("a.tar", damaged)]).unwrap();
    assert_eq!(fault(&world, USE).code, FaultCode::BadFiles);
    assert_eq!(*world.disk.journal.borrow(), before);
    taking(&world, vec![archive.clone()], |world, event| {
        if let Event::Loading { .. } = event {
            world.push(Request::Cancel { id: USE });
        }
    });
    assert_eq!(outcome(&world, USE), Outcome::Cancelled);
    let journal = world.disk.journal.borrow().clone();
    assert!(before.keys().all(|key| journal.contains_key(key)));
    take(&world, vec![archive]).unwrap();
    assert_loaded(&world, USE);
}
