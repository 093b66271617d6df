//! Trials of kernels: while nothing is asked, kept for the next start, and never in the way.

use std::rc::Rc;

use protocol::{BUILD, Event, Request, RequestId, Status};

use crate::support::{Break, LOAD, Script, World, load, question, shown, visit};

const SCOPE: &str = "A 64";

fn script(adapter: &'static str) -> Script {
    Script {
        adapter,
        kernels: vec![("fixed", 7, None), ("slow", 9, None), ("fast", 4, None)],
        ..Script::default()
    }
}

fn world() -> Rc<World> {
    Rc::new(World::served())
}

/// What the last worker was told, and tried.
fn preferred(world: &World) -> Vec<(String, String)> {
    world.preferred.take()
}

fn tried(world: &World) -> Vec<String> {
    world.tried.take()
}

fn told(world: &World) -> Vec<String> {
    let detail = |event: Event| match event {
        Event::Status(Status::Tuned { detail }) => Some(detail),
        _ => None,
    };
    world.events().into_iter().filter_map(detail).collect()
}

fn record(world: &World) -> serde_json::Value {
    let records = world.disk.records.borrow();
    let key = format!("tuned/{BUILD}/{}", scope(world));
    serde_json::from_slice(&records[&key]).unwrap()
}

/// The scope of the tiny model on adapter "A".
fn scope(world: &World) -> String {
    let records = world.disk.records.borrow();
    let start = format!("tuned/{BUILD}/");
    let mut scopes = records.keys().filter_map(|key| key.strip_prefix(&start));
    scopes.next().unwrap_or(SCOPE).to_owned()
}

fn overwrite(world: &World, text: &[u8]) {
    let key = format!("tuned/{BUILD}/{}", scope(world));
    world.disk.records.borrow_mut().insert(key, text.to_vec());
}

#[test]
fn the_fastest_is_found_while_nothing_is_asked_and_used_from_the_next_start_on() {
    let world = world();
    visit(&world, script("A"), &[load(LOAD)]);
    assert_eq!(tried(&world), ["fixed", "slow", "fast"]);
    assert_eq!(preferred(&world), [], "not in this worker");
    assert_eq!(told(&world).len(), 1);
    assert!(
        told(&world)[0].starts_with("fast of fixed "),
        "{:?}",
        told(&world)
    );
    assert_eq!(record(&world)["kernels"], "fast");
    for _ in 0..2 {
        visit(&world, script("A"), &[load(LOAD), question(2, 0)]);
        assert_eq!(preferred(&world), [(scope(&world), "fast".to_owned())]);
        assert_eq!(tried(&world), [] as [&str; 0], "once is enough");
        assert_eq!(shown(&world, 2).ids.len(), 50);
    }
}

#[test]
fn another_adapter_has_a_trial_of_its_own() {
    let world = world();
    visit(&world, script("A"), &[load(LOAD)]);
    visit(&world, script("B"), &[load(LOAD)]);
    assert_eq!(tried(&world).len(), 6);
    let mut other = script("B");
    other.kernels[1].1 = 1;
    visit(&world, other, &[load(LOAD)]);
    assert_eq!(tried(&world), [] as [&str; 0]);
    assert_eq!(preferred(&world).len(), 1 + 2, "the engine picks its own");
}

#[test]
fn a_record_that_can_not_be_used_is_replaced() {
    for broken in [
        &b""[..],
        b"\xff\x00",
        b"{}",
        b"[1,2,3]",
        br#"{"version":9,"scope":"A 64","tries":1,"kernels":"fast"}"#,
        br#"{"version":1,"scope":"another","tries":1,"kernels":"fast"}"#,
        // Kernels that the device does not have, or no longer computes right with.
        br#"{"version":1,"scope":"SCOPE","tries":1,"kernels":"gone"}"#,
    ] {
        let world = world();
        visit(&world, script("A"), &[load(LOAD)]);
        tried(&world);
        let text = String::from_utf8_lossy(broken).replace("SCOPE", &scope(&world));
        if broken.first() == Some(&0xff) {
            overwrite(&world, broken);
        } else {
            overwrite(&world, text.as_bytes());
        }
        visit(&world, script("A"), &[load(LOAD), question(2, 0)]);
        assert_eq!(tried(&world).len(), 3, "{text}");
        assert_eq!(record(&world)["kernels"], "fast");
        assert_eq!(shown(&world, 2).ids.len(), 50);
    }
}

#[test]
fn a_request_ends_a_trial_at_once_and_what_never_ends_is_not_tried_for_ever() {
    let world = world();
    for visits in 1..=6 {
        let plain = {
            visit(
                &self::world(),
                Script::default(),
                &[load(LOAD), question(2, 0)],
            );
            247.0
        };
        *world.on_event.borrow_mut() = Box::new(|world, event| {
            if event.id() == Some(LOAD) && event.is_terminal() {
                // The trial of the first kernels runs.
                world.push_later(4_100, question(2, 0));
            }
            if event.id() == Some(RequestId(2)) && event.is_terminal() {
                world.killed.set(true);
            }
        });
        visit(&world, script("A"), &[load(LOAD)]);
        assert_eq!(shown(&world, 2).usage.first_token_millis, plain);
        let n_tried = tried(&world).len();
        assert_eq!(n_tried, usize::from(visits <= 4), "visit {visits}");
        assert_eq!(told(&world), [] as [&str; 0]);
        assert_eq!(record(&world)["kernels"], serde_json::Value::Null);
    }
}

#[test]
fn kernels_that_fail_or_compute_something_else_do_not_win() {
    let world = world();
    let kernels = vec![
        ("fixed", 7, None),
        ("wrong", 1, None),
        ("broken", 1, Some((3, Break::Error))),
        ("hardly", 7, None),
    ];
    let script = Script {
        kernels,
        ..script("A")
    };
    visit(&world, script, &[load(LOAD)]);
    assert_eq!(record(&world)["kernels"], "fixed");
    let told = told(&world).join("");
    assert!(told.contains("broken fails (scripted)"), "{told}");
    assert!(told.contains("wrong makes other tokens"), "{told}");
}

#[test]
fn a_device_that_is_lost_in_a_trial_ends_it_for_this_worker_and_harms_nothing() {
    for kind in [Break::Lost, Break::Hang] {
        let world = world();
        let mut script = script("A");
        script.kernels[1].2 = Some((5, kind));
        visit(&world, script, &[load(LOAD)]);
        assert_eq!(tried(&world), ["fixed", "slow"]);
        assert_eq!(record(&world)["tries"], 1);
        let losses = world
            .events()
            .iter()
            .filter(|event| matches!(event, Event::Status(Status::DeviceLost { .. })))
            .count();
        assert_eq!(losses, 0, "the model's own device is there");
    }
}

#[test]
fn erasing_the_models_erases_trials() {
    let world = world();
    visit(&world, script("A"), &[load(LOAD)]);
    visit(&world, script("A"), &[Request::EraseModels { id: LOAD }]);
    assert!(world.disk.records.borrow().is_empty());
}
