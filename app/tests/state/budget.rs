//! What models may take of the device: assumed by its kind, and learnt from pages that ended and models that worked.

use app::{Action, Change, Environment, Flight, Learnt, Opening, Sentinel, State, Step, Switches};
use protocol::{
    Budget, ByteCount, DeviceReport, Event, Hello, Limit, ModelInfo, ModelOffer, Outcome, Request,
};

use crate::support::{
    URL, act, all_written, db, event, finished, info, inspecting, loading, offer, opening,
    unanswered,
};

const MB: u64 = 1_000_000;

fn bytes(megabytes: u64) -> ByteCount {
    ByteCount::saturating(megabytes * MB)
}

/// A page of which an earlier one has left this.
fn opened_after(opening: Opening, flight: Flight) -> State {
    let mut state = unanswered(opening);
    let _spawn = act(&mut state, Action::EngineLock(true));
    let left = app::DbEvent::Opened {
        chats: Vec::new(),
        preferences: None,
        flight: Some(flight),
    };
    db(&mut state, left);
    state
}

fn killed_while_loading(megabytes: u64, learnt: Learnt) -> Flight {
    Flight {
        sentinel: Some(Sentinel {
            step: Step::Load,
            model_url: URL.to_owned(),
            kills: 0,
            bytes: megabytes * MB,
        }),
        learnt,
        entries: Vec::new(),
    }
}

/// What the worker is told to judge by before it looks at the model.
fn told(state: &mut State) -> Option<Budget> {
    let effects = event(state, Event::Hello(Hello::own()));
    effects.iter().find_map(|effect| match effect {
        app::Effect::Post(Request::Judge { budget, .. }) => Some(*budget),
        _ => None,
    })
}

/// A model that takes so much.
fn takes(megabytes: u64) -> (ModelOffer, ModelInfo) {
    let offer = ModelOffer {
        weight_bytes: bytes(megabytes - 30),
        kv_bytes: bytes(20),
        other_bytes: bytes(10),
        ..offer(true)
    };
    let info = ModelInfo {
        weight_bytes: bytes(megabytes - 30),
        kv_bytes: bytes(20),
        activation_bytes: bytes(10),
        ..info()
    };
    (offer, info)
}

fn last_flight(effects: &[app::Effect]) -> Flight {
    let mut flights = all_written(effects)
        .into_iter()
        .filter_map(|change| match change {
            Change::PutFlight(flight) => Some(flight),
            _ => None,
        });
    flights.next_back().expect("nothing was written")
}

#[test]
fn the_kind_of_device_is_what_is_assumed() {
    let agent = |agent: &str| agent.to_owned();
    let rows = [
        (Environment::default(), 3000),
        (
            Environment {
                ios: true,
                agent: agent("(iPhone; CPU)"),
                ..Environment::default()
            },
            1500,
        ),
        (
            Environment {
                ios: true,
                agent: agent("(Macintosh)"),
                ..Environment::default()
            },
            3000,
        ),
        (
            Environment {
                memory_gigabytes: Some(8.0),
                ..Environment::default()
            },
            4000,
        ),
        (
            Environment {
                memory_gigabytes: Some(4.0),
                ..Environment::default()
            },
            2000,
        ),
        (
            Environment {
                memory_gigabytes: Some(0.5),
                ..Environment::default()
            },
            1000,
        ),
        (
            Environment {
                memory_gigabytes: Some(f64::NAN),
                ..Environment::default()
            },
            3000,
        ),
    ];
    for (environment, megabytes) in rows {
        let (state, _) = State::new(Opening {
            environment: environment.clone(),
            ..opening()
        });
        assert_eq!(
            state.budget().assumed_bytes,
            bytes(megabytes),
            "{environment:?}"
        );
    }
}

#[test]
fn a_worker_is_told_only_what_it_does_not_judge_by_anyhow() {
    let mut state = opened_after(opening(), Flight::default());
    assert_eq!(told(&mut state), None);
    let switches = Switches {
        memory_megabytes: Some(300),
        ..Switches::default()
    };
    let learnt = Learnt {
        worked_bytes: 900 * MB,
        killed_bytes: Some(100 * MB),
        buffer_bytes: Some(MB),
    };
    let mut state = opened_after(
        Opening {
            switches,
            ..opening()
        },
        killed_while_loading(50, learnt),
    );
    let expected = Budget {
        assumed_bytes: bytes(300),
        ..Budget::default()
    };
    assert_eq!(
        told(&mut state),
        Some(expected),
        "the address says more than what was learnt"
    );
}

#[test]
fn a_kill_while_loading_lowers_the_budget_and_something_larger_that_works_raises_it() {
    let (offer, small) = takes(900);
    let mut state = opened_after(opening(), killed_while_loading(900, Learnt::default()));
    let budget = told(&mut state).unwrap();
    assert_eq!(budget.killed_bytes, Some(bytes(900)));
    assert_eq!(budget.bytes(None), 900 * MB - 1);
    // The same model with a shorter context works: that is no reason to believe in more.
    let mut state = opened_after(opening(), killed_while_loading(900, Learnt::default()));
    let id = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    let load = loading(&event(&mut state, finished(id, Outcome::Inspected(offer))));
    let smaller = ModelInfo {
        kv_bytes: bytes(10),
        ..small
    };
    let effects = state.on(Action::Event(finished(load, Outcome::Loaded(smaller))));
    let learnt = last_flight(&effects).learnt;
    assert_eq!(
        (learnt.worked_bytes, learnt.killed_bytes),
        (890 * MB, Some(900 * MB))
    );

    // Something larger works.
    let flight = Flight {
        learnt,
        ..Flight::default()
    };
    let mut state = opened_after(opening(), flight);
    assert_eq!(state.budget().bytes(None), 900 * MB - 1);
    let (offer, large) = takes(1200);
    let id = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    let load = loading(&event(&mut state, finished(id, Outcome::Inspected(offer))));
    let effects = state.on(Action::Event(finished(load, Outcome::Loaded(large))));
    let learnt = last_flight(&effects).learnt;
    assert_eq!(
        (learnt.worked_bytes, learnt.killed_bytes),
        (1200 * MB, None)
    );
    assert_eq!(state.budget().bytes(None), 3000 * MB);
}

#[test]
fn a_kill_with_less_than_what_worked_before_counts_all_the_same() {
    let learnt = Learnt {
        worked_bytes: 2000 * MB,
        ..Learnt::default()
    };
    let state = opened_after(opening(), killed_while_loading(900, learnt));
    assert_eq!(state.budget().bytes(None), 900 * MB - 1);
    // What is not known lowers nothing.
    let state = opened_after(opening(), killed_while_loading(0, learnt));
    assert_eq!(state.budget().killed_bytes, None);
}

#[test]
fn what_a_load_will_take_is_written_before_it_begins() {
    let mut state = opened_after(opening(), Flight::default());
    let id = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    let effects = state.on(Action::Event(finished(
        id,
        Outcome::Inspected(takes(900).0),
    )));
    let sentinel = last_flight(&effects).sentinel.unwrap();
    assert_eq!((sentinel.step, sentinel.bytes), (Step::Load, 900 * MB));
}

#[test]
fn a_small_adapter_is_remembered() {
    let mut state = crate::support::ready();
    let limit = |value| Limit {
        name: "maxBufferSize".to_owned(),
        value,
    };
    let report = DeviceReport {
        adapter: protocol::AdapterInfo::default(),
        adapter_features: Vec::new(),
        device_features: Vec::new(),
        language_features: Vec::new(),
        adapter_limits: vec![limit(300.0 * 1e6)],
        limits: Vec::new(),
        engine: String::new(),
        variant: String::new(),
        is_tuned: false,
        generation: 1,
    };
    let id = protocol::RequestId(1_000);
    let effects = state.on(Action::Event(finished(id, Outcome::Described(report))));
    assert_eq!(last_flight(&effects).learnt.buffer_bytes, Some(300 * MB));
    assert_eq!(state.budget().assumed_bytes, bytes(1200));
}
