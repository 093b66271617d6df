//! Lost devices, workers that die, loads that fail, builds that do not fit.

use app::{Action, Effect, Finish, Phase, State, strings};
use protocol::{
    Event, Fault, FaultCode, FinishReason, Hello, Outcome, Request, RequestId, Retry, Status,
};

use crate::support::{
    URL, act, answered, answering, clock, event, finished, generating, greet, info, inspecting,
    loading, new, offer, ready, send, tokens,
};

fn trap() -> Event {
    Event::Trap {
        text: "panic".into(),
    }
}

fn lost() -> Event {
    Event::Status(Status::DeviceLost {
        detail: "gone".into(),
    })
}

fn failed(id: RequestId, code: FaultCode) -> Event {
    Event::Failed {
        id: Some(id),
        fault: Fault::new(code, "scripted"),
    }
}

fn tick(state: &mut State, seconds: f64) -> Vec<Effect> {
    act(state, Action::Tick(clock(seconds)))
}

/// The new worker, or the old one with a new device, loads the model, and the answer ends as it would have.
fn goes_on(state: &mut State, load: RequestId) {
    let (id, job) = generating(&event(state, finished(load, Outcome::Loaded(info()))));
    let seed = state.chats.open.turns[0].seed;
    assert_eq!(
        (&job.resume[..], job.sampling.seed, job.messages.len()),
        (&[1, 2][..], seed, 1)
    );
    assert_eq!(state.status(), strings::RECOVERING);
    let (done, total) = (8, 8);
    event(state, Event::Prefill { id, done, total });
    assert_eq!(state.status(), strings::RECOVERING);
    event(state, tokens(id, 0, "!", &[3]));
    assert_eq!(state.name(), "busy");
    event(state, answered(id, FinishReason::Stop));
    let answer = &state.chats.open.turns[0].answer;
    assert_eq!(
        (answer.text.as_str(), &answer.ids[..], answer.recoveries),
        ("Hey!", &[1, 2, 3][..], 1)
    );
    assert_eq!((state.name(), state.engine.fault.clone()), ("ready", None));
}

#[test]
fn an_answer_survives_its_device() {
    for code in [Some(FaultCode::DeviceLost), None] {
        let (mut state, id) = answering();
        let effects = match code {
            // A question to a model that had lost its device before.
            Some(code) => event(&mut state, failed(id, code)),
            None => event(&mut state, lost()),
        };
        assert_eq!(
            (state.name(), state.status().as_str()),
            ("recovering", strings::RECOVERING)
        );
        // What the worker says behind it to the request that it broke off.
        assert_eq!(event(&mut state, failed(id, FaultCode::DeviceLost)), []);
        goes_on(&mut state, loading(&effects));
    }
}

#[test]
fn an_answer_survives_its_worker() {
    let deaths: [fn(&mut State) -> Vec<Effect>; 3] = [
        |state| event(state, trap()),
        |state| {
            let effects = act(state, Action::WorkerError("out of memory".into()));
            assert_eq!(effects, [Effect::Retire], "it may still hold a device");
            event(state, Event::Retired)
        },
        |state| {
            let silent: Vec<Effect> = (0..61).flat_map(|_| tick(state, 10.0)).collect();
            assert_eq!(silent, [Effect::Retire]);
            assert!(tick(state, 10.9).is_empty());
            tick(state, 11.0)
        },
    ];
    for death in deaths {
        let (mut state, old) = answering();
        assert_eq!(death(&mut state), [Effect::Terminate, Effect::Spawn]);
        assert_eq!(
            (state.name(), state.status().as_str()),
            ("recovering", strings::RECOVERING)
        );
        let load = greet(&mut state);
        assert!(load > old, "numbers go on rising");
        goes_on(&mut state, load);
    }
}

#[test]
fn a_worker_that_is_being_replaced_is_not_heard() {
    let (mut state, id) = answering();
    assert_eq!(
        act(&mut state, Action::WorkerError("x".into())),
        [Effect::Retire]
    );
    event(&mut state, tokens(id, 2, "late", &[3]));
    event(&mut state, answered(id, FinishReason::Stop));
    assert_eq!(event(&mut state, trap()), []);
    assert_eq!(state.chats.open.turns[0].answer.ids, [1, 2]);
    assert_eq!(
        event(&mut state, Event::Retired),
        [Effect::Terminate, Effect::Spawn]
    );
}

#[test]
fn a_device_that_is_lost_again_and_again_is_given_up_with_a_smaller_model_before() {
    let (mut state, _) = answering();
    let mut load = loading(&event(&mut state, lost()));
    let mut now = 1.0;
    for (context, wait) in [(0, 1.0), (512, 5.0), (512, 35.0)] {
        assert_eq!(
            event(&mut state, failed(load, FaultCode::DeviceLost)),
            [Effect::Retire]
        );
        assert_eq!(event(&mut state, Event::Retired), [Effect::Terminate]);
        assert!(tick(&mut state, now - 0.5).is_empty());
        now += wait;
        assert_eq!(tick(&mut state, now), [Effect::Spawn]);
        let effects = event(&mut state, Event::Hello(Hello::own()));
        load = loading(&effects);
        let settings = effects.iter().find_map(|effect| match effect {
            Effect::Post(Request::Load { settings, .. }) => Some(*settings),
            _ => None,
        });
        assert_eq!(settings.unwrap().context, context.min(100), "of {context}");
        now += 0.5;
        assert!(tick(&mut state, now).is_empty());
        now += 0.5;
    }
    assert_eq!(state.notice, None, "nothing runs yet");
    assert_eq!(
        event(&mut state, failed(load, FaultCode::DeviceLost)),
        [Effect::Terminate]
    );
    assert_eq!(
        (state.name(), state.chats.open.turns[0].answer.finish),
        ("failed", Some(Finish::Failed))
    );
    assert_eq!(
        (state.engine.fault.as_ref().unwrap().code, state.advice()),
        (FaultCode::DeviceLost, Some(Retry::Again))
    );
    assert!(tick(&mut state, now + 99.0).is_empty());
    assert_eq!(act(&mut state, Action::Retry), [Effect::Spawn]);
    assert_eq!(
        (state.name(), state.engine.fault.is_some()),
        ("loading", false)
    );
}

#[test]
fn an_adapter_that_stays_away_is_counted_down_and_the_person_need_not_wait() {
    for is_impatient in [false, true] {
        let (mut state, _) = answering();
        let load = loading(&event(&mut state, lost()));
        assert_eq!(
            event(&mut state, failed(load, FaultCode::NoAdapter)),
            [Effect::Retire]
        );
        assert_eq!(
            event(&mut state, Event::Retired),
            [Effect::Terminate, Effect::Spawn],
            "a fresh worker first"
        );
        let load = greet(&mut state);
        assert_eq!(
            event(&mut state, failed(load, FaultCode::NoAdapter)),
            [Effect::Retire]
        );
        assert_eq!(event(&mut state, Event::Retired), [Effect::Terminate]);
        assert_eq!(state.status(), strings::waiting(125));
        assert!(tick(&mut state, 60.0).is_empty());
        assert_eq!(state.status(), strings::waiting(65));
        assert!(!state.chats.open.turns.is_empty(), "the chat can be read");
        let effects = if is_impatient {
            act(&mut state, Action::Retry)
        } else {
            tick(&mut state, 125.0)
        };
        assert_eq!(effects, [Effect::Spawn]);
        let load = greet(&mut state);
        goes_on(&mut state, load);
    }
}

#[test]
fn without_an_adapter_from_the_start_it_is_said_at_once() {
    let mut state = new();
    let load = greet(&mut state);
    assert_eq!(event(&mut state, failed(load, FaultCode::NoAdapter)), []);
    assert_eq!(
        (state.name(), state.advice()),
        ("failed", Some(Retry::Again))
    );
    let look = inspecting(&act(&mut state, Action::Retry));
    loading(&event(
        &mut state,
        finished(look, Outcome::Inspected(offer(true))),
    ));
}

#[test]
fn a_device_that_is_lost_while_idle_is_replaced_and_questions_wait_for_it() {
    let mut state = ready();
    let load = loading(&event(&mut state, lost()));
    assert_eq!(
        (state.name(), state.status().as_str(), state.can_send()),
        ("recovering", strings::RESTARTING, true)
    );
    assert_eq!(send(&mut state, "Hello?"), []);
    assert_eq!(state.engine.phase, Phase::Answering);
    let (id, job) = generating(&event(&mut state, finished(load, Outcome::Loaded(info()))));
    assert_eq!((job.resume.len(), job.messages.len()), (0, 1));
    event(&mut state, tokens(id, 0, "Hi", &[1]));
    event(&mut state, answered(id, FinishReason::Stop));
    assert_eq!(
        (state.name(), state.chats.open.turns[0].answer.text.as_str()),
        ("ready", "Hi")
    );
}

#[test]
fn a_beating_worker_is_not_silent() {
    let mut state = ready();
    for _ in 0..500 {
        assert!(tick(&mut state, 0.0).is_empty());
        assert!(event(&mut state, Event::Beat).is_empty());
    }
}

#[test]
fn stop_while_the_worker_is_replaced_ends_the_answer_at_once() {
    for loss in [trap(), lost()] {
        let (mut state, _) = answering();
        let effects = event(&mut state, loss);
        assert!(act(&mut state, Action::Stop).is_empty());
        assert_eq!(
            state.chats.open.turns[0].answer.finish,
            Some(Finish::Cancelled)
        );
        assert_eq!(state.name(), "recovering", "the model is still away");
        let load = if effects.contains(&Effect::Spawn) {
            greet(&mut state)
        } else {
            loading(&effects)
        };
        let effects = event(&mut state, finished(load, Outcome::Loaded(info())));
        assert!(
            !effects
                .iter()
                .any(|effect| matches!(effect, Effect::Post(Request::Generate { .. })))
        );
        assert_eq!(state.name(), "ready");
    }
}

#[test]
fn a_worker_that_dies_after_stop_does_not_go_on() {
    let (mut state, _) = answering();
    let _cancel = act(&mut state, Action::Stop);
    assert_eq!(
        event(&mut state, trap()),
        [Effect::Terminate, Effect::Spawn]
    );
    assert_eq!(
        state.chats.open.turns[0].answer.finish,
        Some(Finish::Cancelled)
    );
    assert_eq!(state.engine.phase, Phase::Starting);
}

#[test]
fn the_model_can_be_deleted_while_it_is_brought_back() {
    let delete = |state: &mut State| act(state, Action::DeleteModel(URL.into()));
    // The same worker loads it again: the load is called off.
    let (mut state, _) = answering();
    let load = loading(&event(&mut state, lost()));
    let effects = delete(&mut state);
    assert!(
        matches!(effects[..], [
            Effect::Post(Request::Cancel { id }),
            Effect::Post(Request::DeleteModel { .. }),
        ] if id == load),
        "{effects:?}"
    );
    assert_eq!(
        state.chats.open.turns[0].answer.finish,
        Some(Finish::Interrupted)
    );
    assert_eq!(event(&mut state, finished(load, Outcome::Cancelled)), []);
    // There is no worker: the next one deletes it instead of loading it.
    let (mut state, _) = answering();
    event(&mut state, trap());
    assert_eq!(delete(&mut state), []);
    let effects = event(&mut state, Event::Hello(Hello::own()));
    let Some(Effect::Post(Request::DeleteModel { id, .. })) = effects.last() else {
        panic!("{effects:?}")
    };
    assert_eq!(
        effects.len(),
        2,
        "the greeting and the deletion: {effects:?}"
    );
    let bytes = protocol::ByteCount::saturating(7);
    let effects = event(&mut state, finished(*id, Outcome::Deleted { bytes }));
    inspecting(&effects);
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
