//! Models without a network: saved as one file, and taken from files that a person chose.

mod archives;
mod checkpoints;
mod refusals;
mod saving;
mod verifying;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;

use protocol::{Event, Fault, Hello, ModelOffer, Outcome, Request, RequestId, Settings};

use crate::disk::offer;
use crate::support::{
    BASE_URL, LOAD, MemoryFile, Published, Script, Tiny, World, load, repositories, visit,
    worker_in,
};

static REPOSITORIES: LazyLock<BTreeMap<String, Published>> = LazyLock::new(repositories);

const SAVE: RequestId = RequestId(2);
const OPEN: RequestId = RequestId(1);
const USE: RequestId = RequestId(2);

fn save(model_url: &str) -> Request {
    Request::SaveModel {
        id: SAVE,
        model_url: model_url.to_owned(),
    }
}

fn load_of(id: RequestId, model_url: &str) -> Request {
    Request::Load {
        id,
        model_url: model_url.to_owned(),
        settings: Settings::default(),
    }
}

/// The tiny package, as somebody's app saves it.
fn saved(package: &Tiny) -> MemoryFile {
    let world = Rc::new(World::default());
    world.serve(package);
    visit(&world, Script::default(), &[load(LOAD), save(BASE_URL)]);
    let outcome = world.events().into_iter().find_map(|event| match event {
        Event::Finished { id: SAVE, outcome } => Some(*outcome),
        _ => None,
    });
    let given = world.given.borrow();
    let file = &given[&SAVE];
    let Some(Outcome::Saved { name, bytes }) = outcome else {
        panic!("expected a file, got {outcome:?}")
    };
    assert_eq!(
        (name.as_str(), bytes.get()),
        ("Tiny.tern.tar", file.bytes().len() as u64)
    );
    MemoryFile::new(&name, file.bytes().to_vec())
}

/// The files of an archive that is known to be good.
fn unpacked(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut at = 0;
    while archive[at] != 0 {
        let text = |range: std::ops::Range<usize>| {
            let field = &archive[at + range.start..at + range.end];
            let end = field.iter().position(|byte| *byte == 0).unwrap();
            String::from_utf8(field[..end].to_vec()).unwrap()
        };
        let length = usize::from_str_radix(&text(124..136), 8).unwrap();
        files.insert(text(0..100), archive[at + 512..at + 512 + length].to_vec());
        at += 512 + length.div_ceil(512) * 512;
    }
    files
}

/// A world whose network has nothing.
fn offline() -> Rc<World> {
    Rc::new(World::default())
}

/// Runs a worker that opens files, and then loads what they are if they are anything.
fn take(world: &Rc<World>, files: Vec<MemoryFile>) -> Result<ModelOffer, Fault> {
    taking(world, files, |_, _| {});
    let events = world.events();
    let failed = events.iter().find_map(|event| match event {
        Event::Failed {
            id: Some(OPEN),
            fault,
        } => Some(fault.clone()),
        _ => None,
    });
    match failed {
        Some(fault) => Err(fault),
        None => Ok(offer(world, OPEN.0)),
    }
}

/// The files that are stored, by their names in the package.
fn stored(world: &World) -> BTreeMap<String, Vec<u8>> {
    let journal = world.disk.journal.borrow();
    let records = world.disk.records.borrow();
    let bytes = |entry: &worker::StoredFile| {
        let parts = entry.record_keys().map(|key| records[&key].clone());
        parts.flatten().collect()
    };
    journal
        .values()
        .map(|entry| (entry.file.clone(), bytes(entry)))
        .collect()
}

/// Says no more than the names: the bytes would fill pages.
fn assert_stored(world: &World, expected: &BTreeMap<String, Vec<u8>>) {
    let stored = stored(world);
    assert!(stored.keys().eq(expected.keys()), "{:?}", stored.keys());
    for (name, bytes) in expected {
        assert!(stored[name] == *bytes, "{name} differs");
    }
}

fn assert_nothing_is_left(world: &World) {
    assert_eq!(*world.disk.records.borrow(), BTreeMap::new());
    assert!(world.disk.journal.borrow().is_empty());
    assert!(world.disk.packages.borrow().is_empty());
}

/// The same, and somebody does something when the worker speaks.
fn taking(
    world: &Rc<World>,
    files: Vec<MemoryFile>,
    mut on_event: impl FnMut(&World, &Event) + 'static,
) {
    let run = worker_in(world, Script::default());
    let n_files = files.len() as u32;
    world.files.borrow_mut().insert(OPEN, files);
    *world.on_event.borrow_mut() = Box::new(move |world, event| {
        if let Event::Finished { id: OPEN, outcome } = event
            && let Outcome::Inspected(offer) = &**outcome
        {
            world.push(load_of(USE, &offer.model_url));
        }
        on_event(world, event);
    });
    world.push(Request::Hello(Hello::own()));
    world.push(Request::OpenFiles {
        id: OPEN,
        files: n_files,
    });
    world.run_until_idle(run);
    *world.on_event.borrow_mut() = Box::new(|_, _| {});
}
