//! Workers that die, loads that fail, builds that do not fit.

use app::{Action, Clock, Effect, Finish, Phase, State, strings};
use protocol::{Event, Fault, FaultCode, FinishReason, Hello, Outcome, Request, Retry};

use crate::support::{
    act, answered, answering, event, finished, generating, greet, info, inspecting, loading, new,
    offer, ready, tokens,
};

#[test]
fn an_answer_survives_its_worker() {
    let deaths: [fn(&mut State) -> Vec<Effect>; 3] = [
        |state| {
            event(
                state,
                Event::Trap {
                    text: "panic".into(),
                },
            )
        },
        |state| act(state, Action::WorkerError("out of memory".into())),
        |state| {
            (0..181)
                .flat_map(|_| act(state, Action::Tick(Clock::default())))
                .collect()
        },
    ];
    for death in deaths {
        let (mut state, old) = answering();
        assert_eq!(death(&mut state), [Effect::Spawn]);
        assert_eq!(
            (state.name(), state.status().as_str()),
            ("recovering", strings::RECOVERING)
        );
        let load = greet(&mut state);
        assert!(load > old, "numbers go on rising");
        let (id, job) = generating(&event(&mut state, finished(load, Outcome::Loaded(info()))));
        let seed = state.chats.open.turns[0].seed;
        assert_eq!(
            (&job.resume[..], job.sampling.seed, job.messages.len()),
            (&[1, 2][..], seed, 1)
        );
        event(&mut state, tokens(id, 0, "!", &[3]));
        event(&mut state, answered(id, FinishReason::Stop));
        let answer = &state.chats.open.turns[0].answer;
        assert_eq!(
            (answer.text.as_str(), &answer.ids[..], answer.recoveries),
            ("Hey!", &[1, 2, 3][..], 1)
        );
        assert_eq!(state.name(), "ready");
    }
}

#[test]
fn a_worker_that_keeps_dying_is_given_up() {
    let (mut state, _) = answering();
    for _ in 0..3 {
        assert_eq!(
            event(
                &mut state,
                Event::Trap {
                    text: "panic".into()
                }
            ),
            [Effect::Spawn]
        );
    }
    assert_eq!(
        event(
            &mut state,
            Event::Trap {
                text: "panic".into()
            }
        ),
        [Effect::Terminate]
    );
    assert_eq!(
        (state.name(), state.chats.open.turns[0].answer.finish),
        ("failed", Some(Finish::Failed))
    );
    assert_eq!(
        (state.engine.fault.as_ref().unwrap().code, state.advice()),
        (FaultCode::Trap, Some(Retry::Reload))
    );
    assert!(act(&mut state, Action::Tick(Clock::default())).is_empty());
    assert_eq!(act(&mut state, Action::Retry), [Effect::Spawn]);
    assert_eq!(
        (state.name(), state.engine.fault.is_some()),
        ("loading", false)
    );
}

#[test]
fn a_beating_worker_is_not_silent() {
    let mut state = ready();
    for _ in 0..500 {
        assert!(act(&mut state, Action::Tick(Clock::default())).is_empty());
        assert!(event(&mut state, Event::Beat).is_empty());
    }
}

#[test]
fn stop_while_the_worker_is_replaced_ends_the_answer_at_once() {
    let (mut state, _) = answering();
    event(
        &mut state,
        Event::Trap {
            text: "panic".into(),
        },
    );
    assert!(act(&mut state, Action::Stop).is_empty());
    assert_eq!(
        state.chats.open.turns[0].answer.finish,
        Some(Finish::Cancelled)
    );
    let load = greet(&mut state);
    let effects = event(&mut state, finished(load, Outcome::Loaded(info())));
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Post(Request::Generate { .. })))
    );
    assert_eq!(state.name(), "ready");
}

#[test]
fn a_worker_that_dies_after_stop_does_not_go_on() {
    let (mut state, _) = answering();
    let _cancel = act(&mut state, Action::Stop);
    assert_eq!(
        event(
            &mut state,
            Event::Trap {
                text: "panic".into()
            }
        ),
        [Effect::Spawn]
    );
    assert_eq!(
        state.chats.open.turns[0].answer.finish,
        Some(Finish::Cancelled)
    );
    assert_eq!(state.engine.phase, Phase::Starting);
}

#[test]
fn a_failed_load_can_be_tried_again() {
    let mut state = new();
    let load = greet(&mut state);
    let fault = Fault::new(FaultCode::Network, "reset");
    event(
        &mut state,
        Event::Failed {
            id: Some(load),
            fault: fault.clone(),
        },
    );
    assert_eq!(
        (state.name(), state.engine.fault.clone(), state.advice()),
        ("failed", Some(fault), Some(Retry::Again))
    );
    let look = inspecting(&act(&mut state, Action::Retry));
    let again = loading(&event(
        &mut state,
        finished(look, Outcome::Inspected(offer(true))),
    ));
    event(&mut state, finished(again, Outcome::Loaded(info())));
    assert_eq!(state.name(), "ready");
}

#[test]
fn a_failed_answer_goes_on_where_it_stopped() {
    let (mut state, id) = answering();
    event(
        &mut state,
        Event::Failed {
            id: Some(id),
            fault: Fault::new(FaultCode::Gpu, "no"),
        },
    );
    assert_eq!(
        (state.name(), state.chats.open.turns[0].answer.finish),
        ("ready", Some(Finish::Failed))
    );
    let (_, job) = generating(&act(&mut state, Action::Retry));
    assert_eq!(job.resume, [1, 2]);
    assert_eq!(
        (
            state.engine.fault.clone(),
            state.chats.open.turns[0].answer.finish
        ),
        (None, None)
    );
}

#[test]
fn another_build_is_refused_and_healed_if_it_can_be() {
    let mut state = new();
    let effects = event(
        &mut state,
        Event::Hello(Hello {
            version: 0,
            build: "old".into(),
        }),
    );
    assert_eq!(effects, [Effect::Terminate, Effect::Heal]);
    assert_eq!(
        (state.name(), state.advice()),
        ("failed", Some(Retry::Reload))
    );
}
