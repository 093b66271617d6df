//! Any events in any order.

use model::download::{Attempt, End, Event, Extent, Head, Policy, Problem, Want};
use proptest::prelude::*;

use crate::world::{Answer, Served, World, file, whole};

/// What happens next.
#[derive(Debug, Clone)]
enum Deed {
    /// So many steps of the world.
    Steps(usize),
    /// Time, with nothing coming.
    Sleep(u32),
    Tell(Event),
    /// The next request for a file is treated like this.
    Plan(usize, Answer),
    /// A file is replaced by another version.
    Replace(usize, u8),
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        (0usize..9000).prop_map(Answer::Cut),
        (0usize..9000).prop_map(Answer::End),
        (0usize..9000).prop_map(Answer::Stall),
        (0usize..9000).prop_map(Answer::Flip),
        Just(Answer::Whole),
        Just(Answer::Elsewhere),
        (0usize..9000).prop_map(Answer::Repeat),
        Just(Answer::Longer),
        (
            prop::sample::select(vec![204u16, 206, 403, 404, 416, 429, 500, 503, 511]),
            prop::option::of(0u32..900)
        )
            .prop_map(|(status, seconds)| Answer::Status(status, seconds)),
        Just(Answer::Page),
        Just(Answer::Encoded),
        Just(Answer::Refuse),
        Just(Answer::Silence),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let attempt = || (0u32..40).prop_map(Attempt);
    prop_oneof![
        1 => Just(Event::Wake),
        1 => any::<bool>().prop_map(Event::Online),
        1 => Just(Event::Pause),
        3 => Just(Event::Resume),
        // What is told of a request that does not run, or of bytes that nobody looked at, changes nothing. Numbers that run
        // are left out by the test.
        1 => attempt().prop_map(Event::Ended),
        1 => (attempt(), 0u64..5000).prop_map(|(attempt, n_bytes)| Event::Came(attempt, n_bytes)),
        1 => attempt().prop_map(|attempt| Event::Broke(attempt, "late".to_owned())),
        1 => attempt().prop_map(|attempt| Event::Answered(attempt, Head { status: 200, ..Head::default() })),
        1 => (0usize..4).prop_map(Event::Good),
        1 => (0usize..4).prop_map(|item| Event::Wrong(item, Problem::Changed)),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (1usize..30).prop_map(Deed::Steps),
        1 => (0u32..100_000).prop_map(Deed::Sleep),
        2 => event().prop_map(Deed::Tell),
        4 => (0usize..3, answer()).prop_map(|(item, answer)| Deed::Plan(item, answer)),
        1 => (0usize..3, 2u8..5).prop_map(|(item, version)| Deed::Replace(item, version)),
    ]
}

/// Three files: with a hash, without one, and a part without one.
fn wants() -> Vec<Want> {
    vec![
        whole("hashed", 7300),
        Want {
            extent: Extent::Unknown { max_bytes: 20_000 },
            has_hash: false,
            ..whole("unknown", 0)
        },
        Want {
            extent: Extent::Part {
                start: 500,
                bytes: 4000,
            },
            has_hash: false,
            ..whole("part", 0)
        },
    ]
}

fn is_late(event: &Event, world: &World) -> bool {
    match event {
        Event::Ended(attempt)
        | Event::Came(attempt, _)
        | Event::Broke(attempt, _)
        | Event::Answered(attempt, _) => !world.runs(*attempt),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn bytes_are_never_doubled_or_mixed_and_it_always_ends(
        deeds in prop::collection::vec(deed(), 0..60),
        chance in prop::collection::vec(0.0f64..1.0, 60),
    ) {
        let policy = Policy::default();
        let files = vec![file(7300, 1), file(6100, 1), file(5000, 1)];
        // Every version that a file ever had: what is good must be one of them.
        let mut versions: Vec<Vec<Vec<u8>>> = files.iter().map(|file| vec![file.bytes.clone()]).collect();
        let mut world = World::new(policy.clone(), wants(), files.clone());
        world.tell(Event::Wake);
        for (deed, random) in deeds.into_iter().zip(chance) {
            world.random = random;
            match deed {
                Deed::Steps(n) => {
                    for _ in 0..n {
                        if world.end.is_some() || !world.step() {
                            break;
                        }
                    }
                }
                Deed::Sleep(millis) => world.now += f64::from(millis),
                Deed::Tell(event) => {
                    if is_late(&event, &world) {
                        world.tell(event);
                    }
                }
                Deed::Plan(item, answer) => world.script[item].push_back(answer),
                // The file with the hash may be replaced too, by what its hash refuses; the right one comes back below.
                Deed::Replace(item, version) => {
                    let length = files[item].bytes.len() + usize::from(version) % 3 * 100;
                    let new = file(length, version);
                    let etag = [Some("\"two\""), Some("\"three\""), None][usize::from(version) - 2];
                    let new = Served { etag, ..new };
                    versions[item].push(new.bytes.clone());
                    world.files[item] = new;
                }
            }
        }
        // In the end all is well, and the person wants it.
        for script in &mut world.script {
            script.clear();
        }
        world.files[0] = files[0].clone();
        world.tell(Event::Online(true));
        world.tell(Event::Resume);
        let end = world.go_on();
        let ended_well = end == Some(End::Done);
        prop_assert!(ended_well || matches!(end, Some(End::Failed(_))), "{end:?}");
        prop_assert_eq!(ended_well, world.good.len() == 3);
        for (item, bytes) in &world.good {
            let want = &world.wants[*item];
            let is_one = versions[*item].iter().any(|version| {
                let start = want.extent.start() as usize;
                let end = want.extent.bytes().map_or(version.len(), |n| start + n as usize);
                version.get(start..end) == Some(&bytes[..])
            });
            let is_right = if want.has_hash { bytes == &files[*item].bytes } else { is_one || world.spoilt.contains(item) };
            prop_assert!(is_right, "{} is mixed", want.name);
        }
        prop_assert!(world.most_at_once <= policy.parallel);
        for (problem, wait) in world.troubles() {
            let most = match problem {
                Problem::Busy { .. } => policy.max_retry_after_millis,
                _ => policy.max_wait_millis,
            };
            prop_assert!((0.0..=most).contains(&wait), "{problem:?} waits {wait}");
        }
    }
}
