//! Embedding and head in fewer bits: offered with what it does to memory, and another model than in the usual precision.

use std::rc::Rc;

use model::convert::EmbedFormat;
use protocol::{Event, Hello, Precision, Request, RequestId, Settings};

use crate::disk::{info, offer};
use crate::support::{
    LOAD, Published, Script, World, assert_converted, repositories, visit, worker_in,
};

const NAME: &str = "terns/packed-sharded";

fn load(model_url: &str) -> Request {
    Request::Load {
        id: LOAD,
        model_url: model_url.to_owned(),
        settings: Settings::default(),
    }
}

fn inspect(model_url: &str) -> Request {
    Request::Inspect {
        id: RequestId(1),
        model_url: model_url.to_owned(),
    }
}

fn published() -> (Rc<World>, Published) {
    let world = World::default();
    world.network.piece_bytes.set(60_000);
    let repository = repositories().remove(NAME).unwrap();
    repository.serve(&world, 'a', false);
    (Rc::new(world), repository)
}

#[test]
fn each_precision_is_offered_and_becomes_what_the_converter_makes_in_it() {
    for (precision, embed, ending) in [
        (Precision::Q8, EmbedFormat::Q8, ""),
        (Precision::Q6, EmbedFormat::Q6 { group: 64 }, "#embed=q6"),
        (Precision::Q4, EmbedFormat::Q4, "#embed=q4"),
    ] {
        let (world, repository) = published();
        let key = format!("{}{ending}", repository.key());
        visit(&world, Script::default(), &[inspect(&key)]);
        let offer = offer(&world, 1);
        assert_eq!(offer.model_url, key);
        let precisions: Vec<Precision> = offer.precisions.iter().map(|one| one.precision).collect();
        assert_eq!(precisions, Precision::ALL);
        let weights = |index: usize| offer.precisions[index].weight_bytes;
        assert!(
            weights(0) > weights(1) && weights(1) > weights(2),
            "{:?}",
            offer.precisions
        );
        let own = offer
            .precisions
            .iter()
            .find(|one| one.precision == precision)
            .unwrap();
        assert_eq!(
            (&own.model_url, own.weight_bytes),
            (&key, offer.weight_bytes)
        );
        visit(&world, Script::default(), &[load(&key)]);
        assert!(info(&world).cached);
        assert_converted(&world, &key, &repository.converted_with(embed));
    }
}

#[test]
fn what_is_begun_in_one_precision_never_goes_on_in_another() {
    let (world, repository) = published();
    let usual = repository.key();
    let fewer = format!("{usual}#embed=q6");
    // The page is closed in the middle of the first one.
    let run = worker_in(&world, Script::default());
    *world.on_event.borrow_mut() = Box::new(|world, event| {
        let n_stored = world.disk.journal.borrow().len();
        if matches!(event, Event::Loading { .. }) && n_stored > 0 {
            world.killed.set(true);
        }
    });
    world.push(Request::Hello(Hello::own()));
    world.push(load(&usual));
    world.run_until_idle(run);
    *world.on_event.borrow_mut() = Box::new(|_, _| {});
    let begun = world.disk.journal.borrow().len();
    assert!(begun > 0, "nothing was begun");
    visit(&world, Script::default(), &[inspect(&fewer)]);
    assert_eq!(
        offer(&world, 1).stored_bytes.get(),
        0,
        "the other one was begun"
    );
    visit(&world, Script::default(), &[load(&fewer)]);
    // Both are there now, one whole and one begun; each is deleted by itself.
    let delete = |model_url: &str| Request::DeleteModel {
        id: RequestId(1),
        model_url: model_url.to_owned(),
    };
    visit(&world, Script::default(), &[delete(&usual)]);
    let expected = repository.converted_with(EmbedFormat::Q6 { group: 64 });
    assert_converted(&world, &fewer, &expected);
    visit(&world, Script::default(), &[delete(&fewer)]);
    visit(&world, Script::default(), &[load(&usual)]);
    assert_converted(&world, &usual, &repository.converted_with(EmbedFormat::Q8));
}
