//! A model is fetched for later, while another one is loaded.

use std::rc::Rc;

use protocol::{Event, FaultCode, Hello, LoadStage, Outcome, Request, RequestId, Status};

use crate::disk::{delete, fetched, outcome, progress, report, storage, visit_and_load};
use crate::foreign::published;
use crate::support::{
    BASE_URL, LOAD, Script, StoreBreak, Tiny, World, assert_converted, fault, load, question,
    shown, visit, worker_in,
};

const FETCH: RequestId = RequestId(5);
const LATER: &str = "https://host/models/later/";

fn download(id: u32, model_url: &str) -> Request {
    Request::Download {
        id: RequestId(id),
        model_url: model_url.to_owned(),
    }
}

/// A world with two packages on its server.
fn two_packages() -> Rc<World> {
    let world = World::served();
    let mut later = Tiny::default();
    later.manifest.name = "Later".into();
    world.serve_at(LATER, &later);
    Rc::new(world)
}

#[test]
fn a_download_for_later_leaves_the_loaded_model_ready() {
    let world = two_packages();
    let requests = [load(LOAD), download(5, LATER), question(6, 0), storage(7)];
    visit(&world, Script::default(), &requests);
    let model_url = LATER.to_owned();
    assert_eq!(outcome(&world, FETCH), Outcome::Downloaded { model_url });
    assert_eq!(shown(&world, 6).ids.len(), 50, "no load in between");
    let models = report(&world, 7).models;
    assert!(models.len() == 2 && models.iter().all(|model| model.complete));
    let again = [Request::Load {
        id: LOAD,
        model_url: LATER.to_owned(),
        settings: protocol::Settings::default(),
    }];
    visit(&world, Script::default(), &again);
    assert_eq!(fetched(&world), [""; 0], "everything was there");
    assert_eq!(crate::disk::info(&world).name, "Later");
}

/// Runs a worker that downloads, and cancels it for a question as soon as so many bytes have come.
fn interrupted(world: &Rc<World>, model_url: &str, bytes: u64) {
    let run = worker_in(world, Script::default());
    *world.on_event.borrow_mut() = Box::new(move |world, event| {
        if let Event::Loading {
            id: FETCH,
            progress,
        } = event
            && progress.fetched_bytes.get() > bytes
        {
            world.push(question(6, 0));
            world.push(Request::Cancel { id: FETCH });
        }
    });
    world.push(Request::Hello(Hello::own()));
    world.push(load(LOAD));
    world.push(download(5, model_url));
    world.run_until_idle(run);
    *world.on_event.borrow_mut() = Box::new(|_, _| {});
    assert_eq!(outcome(world, FETCH), Outcome::Cancelled);
    assert_eq!(shown(world, 6).ids.len(), 50);
}

#[test]
fn a_question_goes_first_and_the_download_goes_on_at_the_byte() {
    let world = two_packages();
    visit_and_load(&world);
    world.network.piece_bytes.set(1000);
    world.network.slowness.set(50);
    interrupted(&world, LATER, 20_000);
    let sent = world.network.shard_bytes.get();
    visit(&world, Script::default(), &[download(5, LATER), storage(7)]);
    assert!(matches!(outcome(&world, FETCH), Outcome::Downloaded { .. }));
    let again = world.network.shard_bytes.get();
    let total = 46_336;
    assert!(again < total, "{again} bytes were fetched again");
    assert!(
        sent + again <= total + 2 * 2 * crate::support::PART_BYTES,
        "{sent} and {again}"
    );
    assert!(report(&world, 7).models.iter().all(|model| model.complete));
}

/// The keys of what has come of files that are not whole.
fn parts(world: &World) -> Vec<String> {
    let records = world.disk.records.borrow();
    let parts = records.keys().filter(|key| key.starts_with("part/"));
    parts.cloned().collect()
}

#[test]
fn what_is_done_with_another_model_leaves_what_has_come() {
    let world = two_packages();
    visit_and_load(&world);
    world.network.piece_bytes.set(1000);
    world.network.slowness.set(50);
    interrupted(&world, LATER, 20_000);
    let before = parts(&world);
    assert!(!before.is_empty());
    visit_and_load(&world);
    assert_eq!(parts(&world), before, "behind a load");
    visit(&world, Script::default(), &[delete(1, BASE_URL)]);
    assert_eq!(parts(&world), before, "behind a deletion");
    visit(&world, Script::default(), &[delete(1, LATER)]);
    assert_eq!(parts(&world), Vec::<String>::new(), "nobody wants it");
}

#[test]
fn a_conversion_goes_on_as_well() {
    let (world, repository) = published("terns/three-shards");
    world.serve(&Tiny::default());
    visit_and_load(&world);
    world.network.slowness.set(50);
    interrupted(&world, "terns/three-shards", 150_000);
    world.network.slowness.set(0);
    visit(
        &world,
        Script::default(),
        &[download(5, "terns/three-shards")],
    );
    let model_url = repository.key();
    assert_eq!(outcome(&world, FETCH), Outcome::Downloaded { model_url });
    visit(&world, Script::default(), &[delete(1, BASE_URL)]);
    assert_converted(
        &world,
        &repository.key(),
        &repository.converted(None, Some("mit")),
    );
}

#[test]
fn only_downloading_is_told_of() {
    let world = two_packages();
    visit(&world, Script::default(), &[download(5, LATER)]);
    let told = progress(&world);
    assert!(!told.is_empty());
    assert!(told.iter().all(|told| told.stage == LoadStage::Download));
}

#[test]
fn what_can_not_be_kept_is_not_fetched_for_later() {
    let world = two_packages();
    let denied = [StoreBreak::Unavailable; 3];
    world.disk.breaks("open", &denied);
    visit(&world, Script::default(), &[download(5, LATER)]);
    assert_eq!(fault(&world, FETCH).code, FaultCode::Storage);
    assert_eq!(fetched(&world), [""; 0]);
    let files = format!("files:{}", "0".repeat(64));
    visit(&world, Script::default(), &[download(5, &files)]);
    assert_eq!(fault(&world, FETCH).code, FaultCode::FilesGone);
}

#[test]
fn a_device_that_is_lost_meanwhile_ends_the_download() {
    let script = Script {
        idle_losses: [Some(700)].into(),
        ..Script::default()
    };
    let world = two_packages();
    world.network.slowness.set(400);
    visit(
        &world,
        script,
        &[load(LOAD), download(5, LATER), storage(6)],
    );
    let losses = world
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Status(Status::DeviceLost { .. })));
    assert_eq!(losses.count(), 1);
    assert_eq!(outcome(&world, FETCH), Outcome::Cancelled);
}
