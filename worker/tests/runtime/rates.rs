//! How fast tokens come: devices that become slow, and the energy cap.

use std::cell::RefCell;
use std::rc::Rc;

use crate::support::{LOAD, Script, Shown, Tiny, World, load, play, question, shown, visit};
use protocol::{Event, FinishReason, Request, RequestId};

/// An answer of so many tokens.
fn long(n_tokens: usize) -> Script {
    Script {
        // The prompt has 30.
        stop_at: 30 + n_tokens,
        context: 20_000,
        ..Script::default()
    }
}

fn limit(tokens_per_second: u32) -> Request {
    Request::LimitRate { tokens_per_second }
}

fn undisturbed(n_tokens: usize) -> Shown {
    shown(&play(long(n_tokens), &[question(2, 0)], |_, _| {}), 2)
}

/// When tokens came, by the events that brought them.
type Times = Rc<RefCell<Vec<f64>>>;

/// An answer on a device whose tokens take as long as `step_millis` says, by the seconds since the first.
fn on_device(n_tokens: usize, step_millis: fn(f64) -> u32) -> (Rc<World>, Vec<f64>) {
    let times = Times::default();
    let told = Rc::clone(&times);
    let world = play(long(n_tokens), &[question(2, 0)], move |world, event| {
        if matches!(event, Event::Tokens { .. }) {
            let mut told = told.borrow_mut();
            told.push(world.time());
            let seconds = (world.time() - told[0]) / 1000.0;
            world.step_millis.set(step_millis(seconds));
        }
    });
    let times = times.take();
    (world, times)
}

fn slowdowns(world: &World) -> Vec<(bool, u32)> {
    let told = |event: Event| match event {
        Event::Slowdown {
            id,
            is_slow,
            percent,
        } => {
            assert_eq!(id, RequestId(2));
            Some((is_slow, percent))
        }
        _ => None,
    };
    world.events().into_iter().filter_map(told).collect()
}

#[test]
fn a_device_that_becomes_slow_gets_less_to_do_and_is_told_of_once() {
    let (world, times) = on_device(2500, |seconds| match seconds {
        ..10.0 => 20,
        10.0..50.0 => 50,
        _ => 20,
    });
    assert_eq!(slowdowns(&world), [(true, 40), (false, 100)]);
    assert_eq!(shown(&world, 2).ids, undisturbed(2500).ids);
    assert_eq!(*world.ahead.borrow(), [2, 1, 2]);
    // Smoothly: no token waits for anything but its own step.
    let mut gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.all(|gap| gap <= 50.0), "{gaps:?}");
    let spent = |from: f64, to: f64| {
        let within = |at: &&f64| (from..to).contains(&((**at - times[0]) / 1000.0));
        times.iter().filter(within).count() as f64 / (to - from)
    };
    assert!((spent(12.0, 50.0) - 20.0).abs() < 0.5);
    assert!((spent(52.0, 70.0) - 50.0).abs() < 0.5);
}

#[test]
fn a_fast_device_gets_steps_together_and_a_resting_one_does_not() {
    for (step_millis, together) in [(1, 8), (4, 4), (20, 2), (120, 1)] {
        let world = play(long(120), &[question(2, 0)], move |world, _| {
            world.step_millis.set(step_millis);
        });
        assert_eq!(world.together.get(), together, "{step_millis} ms");
        assert_eq!(shown(&world, 2).ids, undisturbed(120).ids);
    }
    let world = play(long(120), &[limit(60), question(2, 0)], |world, _| {
        world.step_millis.set(1);
    });
    assert_eq!(world.together.get(), 1);
}

#[test]
fn another_model_begins_with_nothing_known() {
    let world = Rc::new(World::served());
    let other = "https://host/models/other/";
    world.serve_at(other, &Tiny::default());
    world.step_millis.set(1);
    let firsts = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&firsts);
    *world.on_event.borrow_mut() = Box::new(move |world, event| match event {
        // The first tokens of an answer tell how many steps it began with.
        Event::Tokens { id, .. } if !noted.borrow().iter().any(|(known, _)| known == id) => {
            noted.borrow_mut().push((*id, world.together.get()));
        }
        _ => {}
    });
    let load_other = Request::Load {
        id: RequestId(4),
        model_url: other.to_owned(),
        settings: protocol::Settings::default(),
    };
    let requests = [
        load(LOAD),
        question(2, 0),
        question(3, 0),
        load_other,
        question(5, 1),
    ];
    visit(&world, long(120), &requests);
    let together: Vec<u32> = firsts.borrow().iter().map(|(_, n)| *n).collect();
    assert_eq!(together[1..], [8, 2], "{firsts:?}");
}

#[test]
fn what_is_slow_from_the_start_or_for_a_moment_is_not_told() {
    let (world, _) = on_device(400, |_| 200);
    assert_eq!(slowdowns(&world), []);
    let (world, _) = on_device(2000, |seconds| if seconds % 12.0 < 6.0 { 20 } else { 60 });
    assert_eq!(slowdowns(&world), []);
}

#[test]
fn the_energy_cap_holds_within_five_per_cent_and_changes_no_token() {
    let expected = undisturbed(120).ids;
    for cap in [1, 3, 10, 25, 60] {
        let world = play(long(120), &[limit(cap), question(2, 0)], |_, _| {});
        let answer = shown(&world, 2);
        assert_eq!(
            (&answer.ids, answer.reason),
            (&expected, FinishReason::Stop)
        );
        let off = answer.usage.tokens_per_second / f64::from(cap) - 1.0;
        assert!(
            off.abs() < 0.05,
            "{cap}: {}",
            answer.usage.tokens_per_second
        );
        assert_eq!(*world.ahead.borrow(), [0], "the device rests in between");
        assert_eq!(slowdowns(&world), [], "it is no slowdown");
    }
    // A device that can't do as many is not held up.
    let world = play(long(120), &[limit(1000), question(2, 0)], |_, _| {});
    let rate = shown(&world, 2).usage.tokens_per_second;
    assert!((rate - 1000.0 / 7.0).abs() < 1.0, "{rate}");
}

#[test]
fn the_energy_cap_takes_effect_in_the_running_answer() {
    let times = Times::default();
    let told = Rc::clone(&times);
    let world = play(long(700), &[question(2, 0)], move |world, event| {
        if matches!(event, Event::Tokens { .. }) {
            let mut told = told.borrow_mut();
            told.push(world.time());
            match told.len() {
                20 => world.push(limit(10)),
                120 => world.push(limit(0)),
                _ => {}
            }
        }
    });
    assert_eq!(shown(&world, 2).ids, undisturbed(700).ids);
    assert_eq!(*world.ahead.borrow(), [2, 0, 2]);
    let times = times.take();
    let capped = times[118] - times[21];
    assert!((capped / 9_700.0 - 1.0).abs() < 0.05, "{capped} ms");
    assert!(times[20] - times[0] < 500.0);
    assert!(times[140] - times[120] < 500.0);
}

#[test]
fn a_capped_answer_is_stopped_at_once() {
    let mut asked_at = 0.0;
    let world = play(
        long(500),
        &[limit(1), question(2, 0)],
        move |world, event| match event {
            Event::Tokens { sequence: 3, .. } => {
                asked_at = world.time() + 400.0;
                world.push_later(400, Request::Cancel { id: RequestId(2) });
            }
            Event::Finished { id, .. } if id.0 == 2 => assert_eq!(world.time(), asked_at),
            _ => {}
        },
    );
    let answer = shown(&world, 2);
    assert_eq!(
        (answer.ids.len(), answer.reason),
        (4, FinishReason::Cancelled)
    );
}

#[test]
fn a_cap_ends_a_slowdown_that_was_told() {
    let times = Times::default();
    let told = Rc::clone(&times);
    let world = play(long(1500), &[question(2, 0)], move |world, event| {
        if matches!(event, Event::Tokens { .. }) {
            let mut told = told.borrow_mut();
            told.push(world.time());
            let seconds = (world.time() - told[0]) / 1000.0;
            world.step_millis.set(if seconds < 10.0 { 20 } else { 50 });
        }
        if matches!(event, Event::Slowdown { is_slow: true, .. }) {
            world.push(limit(10));
        }
    });
    assert_eq!(slowdowns(&world), [(true, 40), (false, 100)]);
}
