//! Clocks that jump: the wall clock says nothing but what is shown.

use app::{Action, Clock, Effect, State};
use protocol::{Event, FinishReason, Outcome, Status};

use crate::support::{
    act, answered, clock, event, finished, generating, info, loading, new, ready, send, tokens,
};

const TEN_YEARS: f64 = 3.2e11;

/// A tick at this second of the page, by a wall clock that is wrong by so much.
fn tick(state: &mut State, seconds: f64, wrong_by: f64) -> Vec<Effect> {
    let now = Clock {
        wall_millis: 1.7e12 + wrong_by,
        steady_millis: seconds * 1000.0,
    };
    act(state, Action::Tick(now))
}

#[test]
fn waits_and_silence_do_not_depend_on_the_wall_clock() {
    for wrong_by in [TEN_YEARS, -TEN_YEARS] {
        let mut state = ready();
        let (id, _) = generating(&send(&mut state, "Hello?"));
        event(&mut state, tokens(id, 0, "He", &[1]));
        let lost = Event::Status(Status::DeviceLost {
            detail: "gone".into(),
        });
        let load = loading(&event(&mut state, lost.clone()));
        assert!(tick(&mut state, 0.5, wrong_by).is_empty());
        let (id, _) = generating(&event(&mut state, finished(load, Outcome::Loaded(info()))));
        event(&mut state, tokens(id, 0, "y", &[2]));
        // The second loss waits a second of the steady clock, whatever the other one says.
        assert_eq!(event(&mut state, lost), []);
        assert!(tick(&mut state, 1.4, 0.0).is_empty());
        let load = loading(&tick(&mut state, 1.5, -wrong_by));
        let (id, job) = generating(&event(&mut state, finished(load, Outcome::Loaded(info()))));
        assert_eq!(job.resume, [1, 2]);
        event(&mut state, tokens(id, 0, "!", &[3]));
        event(&mut state, answered(id, FinishReason::Stop));
        for tenth in 0..50 {
            let effects = tick(&mut state, 2.0 + f64::from(tenth) / 10.0, wrong_by);
            assert!(effects.is_empty(), "{effects:?}");
        }
        assert_eq!(state.chats.open.turns[0].answer.text, "Hey!");
    }
}

#[test]
fn turns_keep_their_order_when_the_clock_goes_back() {
    let mut state = ready();
    for (second, wrong_by) in [(1.0, 0.0), (2.0, -TEN_YEARS), (3.0, TEN_YEARS)] {
        assert!(tick(&mut state, second, wrong_by).is_empty());
        let (id, _) = generating(&send(&mut state, "Hello?"));
        event(&mut state, tokens(id, 0, "Hi", &[1]));
        event(&mut state, answered(id, FinishReason::Stop));
    }
    let numbers: Vec<u32> = state
        .chats
        .open
        .turns
        .iter()
        .map(|turn| turn.number)
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn a_silent_worker_is_told_with_the_time_that_it_had() {
    let mut starting = new();
    let mut up = ready();
    for half_second in 1..=181 {
        let now = clock(f64::from(half_second) / 2.0);
        let _effects = starting.on(Action::Tick(now));
        let _effects = up.on(Action::Tick(now));
    }
    let says = |state: &State, words: &str| state.recorder().to_text().contains(words);
    assert!(says(&starting, "the worker said nothing for 90 s"));
    assert!(says(&up, "the worker said nothing for 30 s"));
}
