//! The stories of the page, without a page.
#![allow(clippy::unwrap_used, reason = "tests")]

use app::{Action, Check, Effect, Finish, Phase, State, Switches, strings};
use proptest::prelude::*;
use protocol::{
    ByteCount, EqualityReport, Event, Fault, FaultCode, FinishReason, Generate, Hello,
    LoadProgress, ModelInfo, Outcome, Request, RequestId, Retry, Role, SamplingSettings, Status,
    Usage,
};

const URL: &str = "https://host/models/m/";

fn new() -> State {
    let (state, effects) = State::new(Switches::default(), URL.to_owned());
    assert_eq!(effects, [Effect::Spawn]);
    state
}

fn event(state: &mut State, event: Event) -> Vec<Effect> {
    state.on(Action::Event(event))
}

fn send(state: &mut State, text: &str) -> Vec<Effect> {
    state.on(Action::Send {
        text: text.to_owned(),
        seed: 9,
    })
}

fn info() -> ModelInfo {
    let bytes = ByteCount::default();
    ModelInfo {
        name: "Tiny".into(),
        license: None,
        context: 100,
        sampling: Some(SamplingSettings {
            temperature: 0.4,
            ..Default::default()
        }),
        weight_bytes: bytes,
        kv_bytes: bytes,
        activation_bytes: bytes,
        load_millis: 1.0,
    }
}

fn finished(id: RequestId, outcome: Outcome) -> Event {
    Event::Finished {
        id,
        outcome: Box::new(outcome),
    }
}

fn answered(id: RequestId, reason: FinishReason) -> Event {
    finished(
        id,
        Outcome::Answered {
            reason,
            usage: Usage::default(),
        },
    )
}

fn tokens(id: RequestId, sequence: u32, text: &str, ids: &[u32]) -> Event {
    Event::Tokens {
        id,
        sequence,
        text: text.into(),
        ids: ids.to_vec(),
    }
}

/// The only load among the effects.
fn loading(effects: &[Effect]) -> RequestId {
    let ids: Vec<RequestId> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Post(Request::Load { id, model_url, .. }) if model_url == URL => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 1, "{effects:?}");
    ids[0]
}

/// The only answer asked for among the effects.
fn generating(effects: &[Effect]) -> (RequestId, Generate) {
    let mut jobs = effects.iter().filter_map(|effect| match effect {
        Effect::Post(Request::Generate { id, job }) => Some((*id, job.clone())),
        _ => None,
    });
    let job = jobs
        .next()
        .unwrap_or_else(|| panic!("no answer asked for: {effects:?}"));
    assert!(jobs.next().is_none());
    job
}

fn greet(state: &mut State) -> RequestId {
    let effects = event(state, Event::Hello(Hello::own()));
    assert_eq!(effects[0], Effect::Post(Request::Hello(Hello::own())));
    loading(&effects)
}

fn ready() -> State {
    let mut state = new();
    let load = greet(&mut state);
    let effects = event(&mut state, finished(load, Outcome::Loaded(info())));
    assert!(matches!(
        effects[..],
        [Effect::Post(Request::DescribeDevice { .. })]
    ));
    assert_eq!(state.phase, Phase::Ready);
    state
}

/// A page whose worker has sent two tokens of an answer.
fn answering() -> (State, RequestId) {
    let mut state = ready();
    let (id, job) = generating(&send(&mut state, " Hello? "));
    assert_eq!(job.messages.len(), 1);
    assert_eq!(
        (job.messages[0].role, job.messages[0].content.as_str()),
        (Role::User, "Hello?")
    );
    assert_eq!((job.sampling.temperature, job.sampling.seed), (0.4, 9));
    assert!(event(&mut state, tokens(id, 0, "He", &[1])).is_empty());
    assert!(event(&mut state, tokens(id, 1, "y", &[2])).is_empty());
    (state, id)
}

#[test]
fn from_opening_to_an_answer() {
    let mut state = new();
    assert_eq!(
        (state.name(), state.status().as_str()),
        ("loading", strings::STARTING)
    );
    let load = greet(&mut state);
    let progress = LoadProgress {
        shards_done: 1,
        shards_total: 2,
        ..LoadProgress {
            shards_done: 0,
            shards_total: 0,
            bytes_done: ByteCount::default(),
            bytes_total: ByteCount::new(2_000_000).unwrap(),
        }
    };
    event(&mut state, Event::Loading { id: load, progress });
    assert_eq!(state.status(), "Loading the model: 0.0 of 2.0 MB");
    assert!(send(&mut state, "too early").is_empty());
    event(&mut state, finished(load, Outcome::Loaded(info())));
    assert_eq!(
        (state.name(), state.status().as_str()),
        ("ready", "Tiny is ready")
    );
    assert!(send(&mut state, " \n ").is_empty());
    let (id, _) = generating(&send(&mut state, "Hello?"));
    assert_eq!(
        (state.name(), state.status().as_str()),
        ("busy", strings::THINKING)
    );
    event(
        &mut state,
        Event::Prefill {
            id,
            done: 64,
            total: 100,
        },
    );
    assert_eq!(state.status(), "Reading your message… 64 of 100");
    event(&mut state, tokens(id, 0, "Hey", &[1, 2]));
    assert_eq!(state.status(), strings::ANSWERING);
    assert!(send(&mut state, "not now").is_empty());
    event(&mut state, answered(id, FinishReason::Stop));
    assert_eq!(state.name(), "ready");
    let answer = &state.turns[0].answer;
    assert_eq!(
        (answer.text.as_str(), &answer.ids[..], answer.finish),
        ("Hey", &[1, 2][..], Some(Finish::Stop))
    );

    let (_, job) = generating(&send(&mut state, "And?"));
    let said: Vec<_> = job
        .messages
        .iter()
        .map(|message| (message.role, message.content.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (Role::User, "Hello?"),
            (Role::Assistant, "Hey"),
            (Role::User, "And?")
        ]
    );
}

#[test]
fn stop_asks_once_and_waits_for_the_end() {
    let (mut state, id) = answering();
    assert_eq!(
        state.on(Action::Stop),
        [Effect::Post(Request::Cancel { id })]
    );
    assert!(state.on(Action::Stop).is_empty());
    event(&mut state, tokens(id, 2, "!", &[3]));
    event(&mut state, answered(id, FinishReason::Cancelled));
    assert_eq!(state.turns[0].answer.finish, Some(Finish::Cancelled));
    assert_eq!(
        (state.turns[0].answer.text.as_str(), state.name()),
        ("Hey!", "ready")
    );
}

#[test]
fn a_lost_device_is_shown_until_the_answer_goes_on() {
    let (mut state, id) = answering();
    event(
        &mut state,
        Event::Status(Status::DeviceLost {
            detail: "gone".into(),
        }),
    );
    assert_eq!(
        (state.name(), state.status().as_str()),
        ("recovering", strings::RECOVERING)
    );
    event(
        &mut state,
        Event::Status(Status::DeviceRestored { generation: 2 }),
    );
    event(
        &mut state,
        Event::Prefill {
            id,
            done: 8,
            total: 8,
        },
    );
    assert_eq!(state.status(), strings::RECOVERING);
    event(&mut state, tokens(id, 2, "!", &[3]));
    assert_eq!(
        (state.name(), state.turns[0].answer.recoveries),
        ("busy", 1)
    );
    event(&mut state, answered(id, FinishReason::Stop));
    assert_eq!(
        (state.turns[0].answer.text.as_str(), state.fault.clone()),
        ("Hey!", None)
    );
}

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
        |state| state.on(Action::WorkerError("out of memory".into())),
        |state| (0..91).flat_map(|_| state.on(Action::Tick)).collect(),
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
        assert_eq!(
            (&job.resume[..], job.sampling.seed, job.messages.len()),
            (&[1, 2][..], 9, 1)
        );
        event(&mut state, tokens(id, 0, "!", &[3]));
        event(&mut state, answered(id, FinishReason::Stop));
        let answer = &state.turns[0].answer;
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
        (state.name(), state.turns[0].answer.finish),
        ("failed", Some(Finish::Failed))
    );
    assert_eq!(
        (state.fault.as_ref().unwrap().code, state.advice()),
        (FaultCode::Trap, Some(Retry::Reload))
    );
    assert!(state.on(Action::Tick).is_empty());
    assert_eq!(state.on(Action::Retry), [Effect::Spawn]);
    assert_eq!((state.name(), state.fault.is_some()), ("loading", false));
}

#[test]
fn a_beating_worker_is_not_silent() {
    let mut state = ready();
    for _ in 0..500 {
        assert!(state.on(Action::Tick).is_empty());
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
    assert!(state.on(Action::Stop).is_empty());
    assert_eq!(state.turns[0].answer.finish, Some(Finish::Cancelled));
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
    let _cancel = state.on(Action::Stop);
    assert_eq!(
        event(
            &mut state,
            Event::Trap {
                text: "panic".into()
            }
        ),
        [Effect::Spawn]
    );
    assert_eq!(state.turns[0].answer.finish, Some(Finish::Cancelled));
    assert_eq!(state.phase, Phase::Starting);
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
        (state.name(), state.fault.clone(), state.advice()),
        ("failed", Some(fault), Some(Retry::Again))
    );
    let again = loading(&state.on(Action::Retry));
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
        (state.name(), state.turns[0].answer.finish),
        ("ready", Some(Finish::Failed))
    );
    let (_, job) = generating(&state.on(Action::Retry));
    assert_eq!(job.resume, [1, 2]);
    assert_eq!(
        (state.fault.clone(), state.turns[0].answer.finish),
        (None, None)
    );
}

#[test]
fn another_build_is_refused() {
    let mut state = new();
    let effects = event(
        &mut state,
        Event::Hello(Hello {
            version: 0,
            build: "old".into(),
        }),
    );
    assert_eq!(effects, [Effect::Terminate]);
    assert_eq!(
        (state.name(), state.advice()),
        ("failed", Some(Retry::Reload))
    );
}

#[test]
fn checks_are_settled_once() {
    let mut state = new();
    let early = state.on(Action::Check {
        key: 1,
        check: Check::Variants,
    });
    assert!(matches!(
        early[..],
        [Effect::Settle {
            key: 1,
            result: Err(_)
        }]
    ));
    let mut state = ready();
    let check = Check::Prefill {
        lengths: vec![1, 2],
        truncate: 0,
    };
    let effects = state.on(Action::Check { key: 2, check });
    let [Effect::Post(Request::PrefillEqualsDecode { id, .. })] = effects[..] else {
        panic!("{effects:?}")
    };
    let report = Outcome::Compared(EqualityReport { results: vec![] });
    let settled = event(&mut state, finished(id, report.clone()));
    assert_eq!(
        settled,
        [Effect::Settle {
            key: 2,
            result: Ok(Box::new(report))
        }]
    );

    let _posted = state.on(Action::Check {
        key: 3,
        check: Check::Variants,
    });
    let effects = event(
        &mut state,
        Event::Trap {
            text: "panic".into(),
        },
    );
    assert!(matches!(
        effects[..],
        [
            Effect::Settle {
                key: 3,
                result: Err(_)
            },
            Effect::Spawn
        ]
    ));
}

#[test]
fn a_new_chat_forgets() {
    let (mut state, id) = answering();
    let _nothing = state.on(Action::NewChat);
    assert_eq!(state.turns.len(), 1, "not while an answer runs");
    event(&mut state, answered(id, FinishReason::Stop));
    let _nothing = state.on(Action::NewChat);
    assert!(state.turns.is_empty());
    let (_, job) = generating(&send(&mut state, "Again"));
    assert_eq!(job.messages.len(), 1);
}

#[test]
fn late_words_about_an_old_request_change_nothing() {
    let (mut state, id) = answering();
    event(&mut state, answered(id, FinishReason::Stop));
    let before = state.clone();
    event(&mut state, tokens(id, 2, "late", &[3]));
    event(&mut state, answered(id, FinishReason::Length));
    event(
        &mut state,
        Event::Failed {
            id: Some(id),
            fault: Fault::new(FaultCode::Gpu, "late"),
        },
    );
    assert_eq!(state, before);
}

/// Anything that can happen, in any order; ids are small so that they often hit.
fn any_action() -> impl Strategy<Value = Action> {
    let id = (1u32..12).prop_map(RequestId);
    let fault = Fault::new(FaultCode::Gpu, "x");
    prop_oneof![
        Just(Action::Event(Event::Hello(Hello::own()))),
        Just(Action::Event(Event::Trap { text: "x".into() })),
        Just(Action::Event(Event::Status(Status::DeviceLost {
            detail: "x".into()
        }))),
        Just(Action::Event(Event::Status(Status::DeviceRestored {
            generation: 2
        }))),
        id.clone()
            .prop_map(|id| Action::Event(finished(id, Outcome::Loaded(info())))),
        id.clone()
            .prop_map(|id| Action::Event(finished(id, Outcome::Cancelled))),
        id.clone()
            .prop_map(|id| Action::Event(answered(id, FinishReason::Stop))),
        id.clone()
            .prop_map(|id| Action::Event(tokens(id, 0, "t", &[7]))),
        id.prop_map(move |id| Action::Event(Event::Failed {
            id: Some(id),
            fault: fault.clone()
        })),
        Just(Action::Tick),
        Just(Action::Send {
            text: "q".into(),
            seed: 1
        }),
        Just(Action::Stop),
        Just(Action::NewChat),
        Just(Action::Retry),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_state_stays_sound(actions in proptest::collection::vec(any_action(), 0..60)) {
        let mut state = new();
        let mut last_id = 0;
        for action in actions {
            let tokens_before: usize = state.turns.iter().map(|turn| turn.answer.ids.len()).sum();
            let forgets = action == Action::NewChat;
            let effects = state.on(action);
            let spawns = effects.iter().filter(|effect| matches!(effect, Effect::Spawn)).count();
            prop_assert!(spawns <= 1);
            for effect in &effects {
                if let Effect::Post(request) = effect && let Some(id) = request.id() {
                    prop_assert!(id.0 > last_id, "request numbers rise");
                    last_id = id.0;
                }
            }
            let unfinished = state.turns.iter().filter(|turn| turn.answer.finish.is_none()).count();
            prop_assert_eq!(unfinished > 0, state.phase == Phase::Answering);
            prop_assert!(unfinished <= 1);
            prop_assert_eq!(state.phase == Phase::Failed, state.name() == "failed");
            if state.phase == Phase::Failed {
                prop_assert!(state.fault.is_some());
            }
            let tokens_after: usize = state.turns.iter().map(|turn| turn.answer.ids.len()).sum();
            prop_assert!(forgets || tokens_after >= tokens_before, "accepted tokens are never lost");
        }
    }
}
