//! What the page says of memory decides what is offered, and with which context a model is opened.

use protocol::{Budget, ByteCount, Fit, KvType, Request, Settings};

use crate::disk::{inspect, offer, served, visit_and_load};
use crate::support::{BASE_URL, LOAD, Script, Tiny, World, visit};

fn judge(assumed_bytes: u64, settings: Settings) -> Request {
    let budget = Budget {
        assumed_bytes: ByteCount::saturating(assumed_bytes),
        ..Budget::default()
    };
    Request::Judge { budget, settings }
}

fn offered(world: &World) -> (Fit, u32) {
    let offer = offer(world, 1);
    (offer.fit, offer.context)
}

/// A world whose browser says how much room there is, with a model of a longer context.
fn roomy() -> std::rc::Rc<World> {
    let world = served();
    world.disk.quota_bytes.set(50_000_000);
    let mut tiny = Tiny::default();
    tiny.manifest.architecture.context = 4096;
    world.serve(&tiny);
    world
}

#[test]
fn memory_decides_what_is_offered_and_opened() {
    let world = roomy();
    visit(&world, Script::default(), &[inspect(1)]);
    let full = offer(&world, 1);
    assert_eq!((&full.fit, full.context), (&Fit::Fits, 4096));
    let all = |offer: &protocol::ModelOffer| {
        offer.weight_bytes.get() + offer.kv_bytes.get() + offer.other_bytes.get()
    };
    assert!(full.other_bytes.get() > 0, "activations are counted");
    let contexts: Vec<u32> = full.kv_at.iter().map(|need| need.context).collect();
    assert_eq!(contexts, [2048, 4096]);
    assert_eq!(full.kv_at[1].bytes, full.kv_bytes);

    // A byte less than that, and the context is the next shorter one.
    let less = judge(all(&full) - 1, Settings::default());
    visit(&world, Script::default(), &[less.clone(), inspect(1)]);
    assert_eq!(offered(&world), (Fit::FitsWithContext(3840), 3840));
    let load = Request::Load {
        id: LOAD,
        model_url: BASE_URL.to_owned(),
        settings: Settings::default(),
    };
    visit(&world, Script::default(), &[less.clone(), load.clone()]);
    assert_eq!(world.opened.take(), [3840]);
    // What is stored is opened with it too, and looked at before.
    visit(&world, Script::default(), &[less.clone(), inspect(1)]);
    assert_eq!(offered(&world), (Fit::FitsWithContext(3840), 3840));
    // Whoever asks for a context gets it.
    let asked = Settings {
        context: 4096,
        ..Settings::default()
    };
    let load_asked = Request::Load {
        id: LOAD,
        model_url: BASE_URL.to_owned(),
        settings: asked,
    };
    visit(&world, Script::default(), &[less, load_asked]);
    assert_eq!(world.opened.take(), [4096]);
    // Nobody said anything: the usual one.
    visit_and_load(&world);
    assert_eq!(world.opened.take(), [4096]);
}

#[test]
fn what_never_fits_says_why_and_the_type_of_the_cache_counts() {
    let world = roomy();
    visit(
        &world,
        Script::default(),
        &[judge(1000, Settings::default()), inspect(1)],
    );
    let Fit::TooLarge { detail } = offer(&world, 1).fit else {
        panic!("it fits")
    };
    assert!(detail.contains("context of 512 tokens"), "{detail}");
    let kv = |kv: KvType| {
        let settings = Settings {
            kv,
            ..Settings::default()
        };
        visit(
            &world,
            Script::default(),
            &[judge(3_000_000_000, settings), inspect(1)],
        );
        offer(&world, 1).kv_bytes.get()
    };
    let (floats, bytes) = (kv(KvType::F16), kv(KvType::I8));
    assert!(bytes < floats * 3 / 4, "{bytes} of {floats}");
}

#[test]
fn missing_room_is_told_in_bytes() {
    let world = served();
    world.disk.quota_bytes.set(40_000);
    visit(&world, Script::default(), &[inspect(1)]);
    let offer = offer(&world, 1);
    let missing = offer.missing_bytes.get();
    assert!(
        missing > 0 && missing < offer.download_bytes.get(),
        "{offer:?}"
    );
}
