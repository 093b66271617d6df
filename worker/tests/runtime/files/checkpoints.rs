//! Files of others: converted as they would be if they came over a network.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use model::convert::{ConvertOptions, MemorySink, convert};
use model::source::MemorySource;
use protocol::{Event, FaultCode, ModelOffer};

use super::{
    REPOSITORIES, USE, assert_nothing_is_left, assert_stored, load_of, offline, take, taking,
};
use crate::disk::{info, progress};
use crate::support::{LOAD, MemoryFile, Published, Script, World, fault, visit};

#[test]
fn checkpoints_become_what_the_converter_makes_of_them() {
    for (name, repository) in &*REPOSITORIES {
        let ggufs: Vec<&String> = (repository.files.keys())
            .filter(|file| file.ends_with(".gguf"))
            .collect();
        let chosen: Vec<(Option<&String>, Vec<MemoryFile>)> = match ggufs.is_empty() {
            true => vec![(None, files_of(repository))],
            false => ggufs
                .into_iter()
                .map(|file| {
                    let bytes = repository.files[file].clone();
                    (Some(file), vec![MemoryFile::new(file, bytes)])
                })
                .collect(),
        };
        for (gguf, files) in chosen {
            let world = offline();
            let most_read: Vec<_> = files
                .iter()
                .map(|file| Rc::clone(&file.most_read))
                .collect();
            let offer = take(&world, files).unwrap();
            assert_stored(&world, &converted(repository, gguf));
            let notes = world.disk.record_keys();
            assert!(notes.iter().all(|key| !key.contains(' ')), "a note is left");
            // As much as a header needs, or a piece.
            assert!(most_read.iter().all(|most| most.get() <= 4 << 20), "{name}");
            visit(
                &world,
                Script::default(),
                &[load_of(LOAD, &offer.model_url)],
            );
            assert!(info(&world).cached);
        }
    }
}

fn files_of(repository: &Published) -> Vec<MemoryFile> {
    let files = repository.files.iter();
    files
        .map(|(name, bytes)| MemoryFile::new(name, bytes.clone()))
        .collect()
}

/// What `tern convert` makes of the same files, when it is told the name that the app gives.
fn converted(repository: &Published, gguf: Option<&String>) -> BTreeMap<String, Vec<u8>> {
    let name = match gguf {
        Some(file) => file.strip_suffix(".gguf").unwrap(),
        None => match repository
            .files
            .keys()
            .any(|file| file.starts_with("pytorch_model"))
        {
            true => "pytorch_model",
            false => "model",
        },
    };
    let options = ConvertOptions {
        file: gguf.cloned(),
        ..ConvertOptions::new(name)
    };
    let source = MemorySource::new(repository.files.clone());
    let mut sink = MemorySink::default();
    convert(&source, &mut sink, &options, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    sink.into_source().unwrap().files().clone()
}

#[test]
fn a_checkpoint_that_lacks_something_or_breaks_off_leaves_nothing() {
    let repository = &REPOSITORIES["terns/packed"];
    let mut files = files_of(repository);
    files.retain(|file| !worker::File::name(file).starts_with("tokenizer"));
    let fault_of = take(&offline(), files).unwrap_err();
    assert_eq!(fault_of.code, FaultCode::NoChat, "{fault_of}");
    // A file that is deleted while it is read.
    let files = files_of(repository);
    let gone: Vec<_> = files.iter().map(|file| Rc::clone(&file.is_gone)).collect();
    let world = offline();
    taking(&world, files, move |_, event| {
        if let Event::Loading { .. } = event {
            gone.iter().for_each(|gone| gone.set(true));
        }
    });
    let fault = fault(&world, USE);
    assert_eq!(fault.code, FaultCode::BadFiles);
    assert!(fault.detail.contains("could not be read"), "{fault}");
    assert_nothing_is_left(&world);
}

#[test]
fn what_was_not_chosen_with_the_rest_is_named() {
    let name = |file: &MemoryFile| worker::File::name(file);
    let mut packed = files_of(&REPOSITORIES["terns/packed"]);
    packed.retain(|file| name(file) == "model.safetensors");
    let mut cases = vec![(packed, "config.json".to_owned())];
    let sharded = &REPOSITORIES["terns/masters-sharded"];
    let shards = sharded.files.keys().filter(|file| file.contains("-of-"));
    for shard in shards {
        let mut files = files_of(sharded);
        files.retain(|file| name(file) != *shard);
        cases.push((files, shard.clone()));
    }
    assert!(cases.len() > 2);
    for (files, missing) in cases {
        let fault = take(&offline(), files).unwrap_err();
        assert_eq!(fault.code, FaultCode::BadFiles, "{fault}");
        assert!(fault.detail.contains(&missing), "{fault}");
        assert!(fault.detail.contains("choose all files"), "{fault}");
    }
}

/// Bytes that are read of files while they are taken, and what is offered.
fn read_of(world: &Rc<World>, files: Vec<MemoryFile>) -> (u64, ModelOffer) {
    let counts: Vec<_> = files.iter().map(|it| Rc::clone(&it.read_bytes)).collect();
    let offer = take(world, files).unwrap();
    (counts.iter().map(|count| count.get()).sum(), offer)
}

#[test]
fn a_conversion_of_files_that_was_cut_goes_on() {
    let repository = &REPOSITORIES["terns/three-shards"];
    let (whole, _) = read_of(&offline(), files_of(repository));
    let n_shards = |world: &World| {
        let journal = world.disk.journal.borrow();
        journal
            .values()
            .filter(|entry| entry.file.ends_with(".bin"))
            .count()
    };
    // A page that is closed behind the first shard, and one whose disk is full there.
    let closed = offline();
    closed.disk.put_millis.set(200);
    taking(&closed, files_of(repository), move |world, _| {
        world.killed.set(n_shards(world) > 0);
    });
    let full = offline();
    full.disk.quota_bytes.set(9 << 20);
    take(&full, files_of(repository)).unwrap();
    assert_eq!(fault(&full, USE).code, FaultCode::StorageFull);
    full.disk.quota_bytes.set(0);
    for world in [closed, full] {
        assert!(n_shards(&world) > 0);
        let (read, offer) = read_of(&world, files_of(repository));
        assert!(offer.stored_bytes.get() > 0 && !offer.complete, "{offer:?}");
        assert!(read < whole * 4 / 5, "{read} of {whole}");
        let progress = progress(&world);
        assert!(progress[0].bytes_done.get() > 0, "{progress:?}");
        assert_stored(&world, &converted(repository, None));
    }
}
