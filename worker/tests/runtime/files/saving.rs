//! A stored model becomes one file.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use model::package::verify;
use model::source::MemorySource;
use protocol::FaultCode;
use worker::RECORD_BYTES;

use super::{REPOSITORIES, SAVE, assert_stored, load_of, offline, save, saved, take, unpacked};
use crate::support::{BASE_URL, LOAD, MemoryFile, Script, Tiny, World, fault, load, visit};

#[test]
fn a_saved_model_is_its_package() {
    for package in [Tiny::default(), Tiny::with_alike_shards()] {
        let archive = saved(&package);
        let files = unpacked(archive.bytes());
        let expected: BTreeMap<String, Vec<u8>> = package.files("").into_iter().collect();
        assert_eq!(files, expected);
        assert!(archive.bytes().starts_with(b"manifest.json\0"));
    }
}

#[test]
fn a_saved_conversion_is_a_package_that_can_be_verified() {
    let repository = &REPOSITORIES["terns/packed"];
    let world = offline();
    repository.serve(&world, 'a', false);
    let key = repository.key();
    visit(
        &world,
        Script::default(),
        &[load_of(LOAD, &key), save(&key)],
    );
    let archive = world.given.borrow()[&SAVE].bytes().to_vec();
    let source = MemorySource::new(unpacked(&archive));
    verify(&source, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!(*source.files(), repository.converted(None, Some("mit")));
    // And back, on a device that has no network.
    let other = offline();
    let archive = MemoryFile::new("x.tern.tar", archive);
    take(&other, vec![archive.clone()]).unwrap();
    assert_stored(&other, source.files());
    assert!(archive.most_read.get() <= RECORD_BYTES);
}

#[test]
fn only_what_is_stored_completely_can_be_saved() {
    let world = Rc::new(World::served());
    visit(&world, Script::default(), &[save(BASE_URL)]);
    assert_eq!(fault(&world, SAVE).code, FaultCode::NotFound);
    visit(&world, Script::default(), &[load(LOAD)]);
    let sha256 = &Tiny::default().manifest.shards[1].sha256;
    world
        .disk
        .records
        .borrow_mut()
        .remove(&format!("{sha256}/0"));
    visit(&world, Script::default(), &[save(BASE_URL)]);
    let fault = fault(&world, SAVE);
    assert_eq!(fault.code, FaultCode::Corrupt);
    assert!(fault.detail.starts_with("00001.bin is lost"), "{fault}");
    assert!(world.given.borrow().is_empty());
}
