//! What happens when all goes well, or a device is lost.

use app::{Action, Check, Effect, Finish, Notice, strings};
use protocol::{
    ByteCount, EqualityReport, Event, Fault, FaultCode, FinishReason, LoadProgress, LoadStage,
    Outcome, Request, Role,
};

use crate::support::{
    act, answered, answering, event, finished, generating, greet, info, new, ready, send, tokens,
};

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
            stage: LoadStage::Download,
            fetched_bytes: ByteCount::default(),
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
    let answer = &state.chats.open.turns[0].answer;
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
        act(&mut state, Action::Stop),
        [Effect::Post(Request::Cancel { id })]
    );
    assert!(act(&mut state, Action::Stop).is_empty());
    event(&mut state, tokens(id, 2, "!", &[3]));
    event(&mut state, answered(id, FinishReason::Cancelled));
    assert_eq!(
        state.chats.open.turns[0].answer.finish,
        Some(Finish::Cancelled)
    );
    assert_eq!(
        (state.chats.open.turns[0].answer.text.as_str(), state.name()),
        ("Hey!", "ready")
    );
}

#[test]
fn checks_are_settled_once() {
    let mut state = new();
    let early = act(
        &mut state,
        Action::Check {
            key: 1,
            check: Check::Variants,
        },
    );
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
    let effects = act(&mut state, Action::Check { key: 2, check });
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

    let _posted = act(
        &mut state,
        Action::Check {
            key: 3,
            check: Check::Variants,
        },
    );
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
            Effect::Terminate,
            Effect::Spawn
        ]
    ));
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

#[test]
fn a_copy_counts_when_the_clipboard_has_it() {
    let mut state = new();
    let number = 1;
    let text = "Hello".to_owned();
    let copy = Action::Copy(text.clone());
    assert_eq!(state.on(copy), [Effect::Copy { number, text }]);
    assert_eq!((state.copying.asked, state.copying.done), (1, 0));
    let _refused = state.on(Action::CopyFailed("denied".into()));
    assert!(matches!(state.notice, Some(Notice::CopyFailed { .. })));
    assert_eq!(state.copying.done, 0);
    let _again = state.on(Action::Copy("Hello".into()));
    let _done = state.on(Action::Copied(2));
    assert_eq!((state.copying.asked, state.copying.done), (2, 2));
}
