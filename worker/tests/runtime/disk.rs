//! What the tests of the store ask and look at.

use std::rc::Rc;

use crate::support::{BASE_URL, LOAD, Script, World, load, visit};
use protocol::{
    Event, LoadProgress, ModelInfo, ModelOffer, Outcome, Request, RequestId, StorageReport,
};

/// Bytes of the tiny package's weights and tokenizer.
pub(crate) const PACKAGE_BYTES: u64 = 46_336 + 2;

pub(crate) fn served() -> Rc<World> {
    Rc::new(World::served())
}

pub(crate) fn visit_and_load(world: &Rc<World>) {
    visit(world, Script::default(), &[load(LOAD)]);
}

pub(crate) fn outcome(world: &World, id: RequestId) -> Outcome {
    let events = world.events();
    let terminal = events
        .iter()
        .find(|event| event.id() == Some(id) && event.is_terminal());
    let Some(Event::Finished { outcome, .. }) = terminal else {
        panic!("expected an outcome, got {terminal:?}")
    };
    (**outcome).clone()
}

pub(crate) fn info(world: &World) -> ModelInfo {
    let Outcome::Loaded(info) = outcome(world, LOAD) else {
        panic!("not loaded")
    };
    info
}

pub(crate) fn offer(world: &World, id: u32) -> ModelOffer {
    let Outcome::Inspected(offer) = outcome(world, RequestId(id)) else {
        panic!("not inspected")
    };
    offer
}

pub(crate) fn report(world: &World, id: u32) -> StorageReport {
    let Outcome::Storage(report) = outcome(world, RequestId(id)) else {
        panic!("no report")
    };
    report
}

pub(crate) fn inspect(id: u32) -> Request {
    Request::Inspect {
        id: RequestId(id),
        model_url: BASE_URL.into(),
    }
}

pub(crate) fn storage(id: u32) -> Request {
    Request::Storage { id: RequestId(id) }
}

pub(crate) fn delete(id: u32, model_url: &str) -> Request {
    Request::DeleteModel {
        id: RequestId(id),
        model_url: model_url.into(),
    }
}

/// The files that were fetched, without their folder.
pub(crate) fn fetched(world: &World) -> Vec<String> {
    let asked = world.network.asked.borrow();
    asked
        .iter()
        .map(|ask| ask.url.rsplit('/').next().unwrap().to_owned())
        .collect()
}

pub(crate) fn progress(world: &World) -> Vec<LoadProgress> {
    let events = world.events();
    let progress = events.iter().filter_map(|event| match event {
        Event::Loading { progress, .. } => Some(*progress),
        _ => None,
    });
    progress.collect()
}
