//! Hidden pages, and other tabs.

use app::{Action, DbRequest, Effect, Finish, Phase, State};
use protocol::{Event, FinishReason, Hello, Outcome, Request, Status};

use crate::support::{
    act, answered, answering, clock, db, event, finished, generating, greet, info, loading, new,
    opened, opening, ready, tokens, unanswered, written,
};

fn hide(state: &mut State) -> Vec<Effect> {
    state.on(Action::Visibility { hidden: true })
}

fn show(state: &mut State) -> Vec<Effect> {
    state.on(Action::Visibility { hidden: false })
}

#[test]
fn a_hidden_page_saves_stops_and_touches_the_database_no_more() {
    let (mut state, id) = answering();
    let effects = hide(&mut state);
    assert_eq!(effects.len(), 3, "{effects:?}");
    assert_eq!(written(&effects[..1]).len(), 1, "saved first");
    assert_eq!(
        effects[1..],
        [
            Effect::Post(Request::Cancel { id }),
            Effect::Db(DbRequest::Rest)
        ]
    );
    assert_eq!(
        (state.name(), state.engine.phase),
        ("paused", Phase::Paused)
    );
    // What the worker still says is made again later.
    event(&mut state, tokens(id, 2, "!", &[3]));
    event(&mut state, answered(id, FinishReason::Cancelled));
    for second in 0..400 {
        assert!(state.on(Action::Tick(clock(f64::from(second)))).is_empty());
    }
    assert!(hide(&mut state).is_empty(), "pagehide comes too");

    let effects = show(&mut state);
    assert_eq!(effects[0], Effect::Db(DbRequest::Wake));
    assert!(effects.contains(&Effect::WakeLock(true)), "{effects:?}");
    let (next, job) = generating(&effects);
    assert_eq!(job.resume, [1, 2]);
    event(&mut state, tokens(next, 0, "!", &[3]));
    event(&mut state, answered(next, FinishReason::Stop));
    let answer = &state.chats.open.turns[0].answer;
    assert_eq!(
        (answer.text.as_str(), &answer.ids[..], answer.finish),
        ("Hey!", &[1, 2, 3][..], Some(Finish::Stop))
    );
}

#[test]
fn a_worker_that_dies_while_nobody_looks_is_replaced_when_somebody_does() {
    let (mut state, _) = answering();
    let _saved = hide(&mut state);
    let trap = Event::Trap {
        text: "gone".into(),
    };
    assert_eq!(event(&mut state, trap), [Effect::Terminate]);
    for second in 0..400 {
        assert!(state.on(Action::Tick(clock(f64::from(second)))).is_empty());
    }
    assert_eq!(state.engine.phase, Phase::Paused);
    assert!(show(&mut state).contains(&Effect::Spawn));
    let load = greet(&mut state);
    let (_, job) = generating(&event(&mut state, finished(load, Outcome::Loaded(info()))));
    assert_eq!(job.resume, [1, 2]);
}

#[test]
fn a_device_that_is_lost_while_nobody_looks_waits_too() {
    let (mut state, _) = answering();
    let _saved = hide(&mut state);
    let lost = Event::Status(Status::DeviceLost {
        detail: "taken".into(),
    });
    assert_eq!(event(&mut state, lost), []);
    let effects = show(&mut state);
    let load = loading(&effects);
    assert_eq!(state.engine.phase, Phase::Answering);
    let (_, job) = generating(&event(&mut state, finished(load, Outcome::Loaded(info()))));
    assert_eq!(job.resume, [1, 2]);
}

#[test]
fn an_answer_that_waits_for_its_worker_goes_on_after_hiding_and_showing() {
    let (mut state, _) = answering();
    event(
        &mut state,
        Event::Trap {
            text: "gone".into(),
        },
    );
    let _saved = hide(&mut state);
    let effects = show(&mut state);
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Post(_)))
    );
    let load = greet(&mut state);
    generating(&event(&mut state, finished(load, Outcome::Loaded(info()))));
}

#[test]
fn stop_wins_over_hiding() {
    let (mut state, _) = answering();
    let _cancel = state.on(Action::Stop);
    let _saved = hide(&mut state);
    assert_eq!(
        state.chats.open.turns[0].answer.finish,
        Some(Finish::Cancelled)
    );
    let effects = show(&mut state);
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Post(_)))
    );
    assert_eq!(state.name(), "ready");
}

#[test]
fn the_screen_stays_on_only_while_something_runs_in_sight() {
    let wakes = |effects: &[Effect]| -> Vec<bool> {
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::WakeLock(wanted) => Some(*wanted),
                _ => None,
            })
            .collect()
    };
    let mut state = ready();
    let effects = state.on(Action::Send { text: "Hi".into() });
    assert_eq!(wakes(&effects), [true]);
    let (id, _) = generating(&effects);
    assert_eq!(wakes(&hide(&mut state)), [] as [bool; 0]);
    let effects = show(&mut state);
    assert_eq!(wakes(&effects), [true]);
    let (id, _) = (generating(&effects).0, id);
    let effects = state.on(Action::Event(answered(id, FinishReason::Stop)));
    assert_eq!(wakes(&effects), [false]);
}

#[test]
fn a_second_tab_reads_and_can_take_over() {
    let mut state = unanswered(opening());
    assert_eq!(act(&mut state, Action::EngineLock(false)), []);
    let head = app::ChatHead::new(app::ChatId(3), 5.0);
    let read = Effect::Db(DbRequest::ReadTurns(head.id));
    let list = [head.clone()];
    let effects = db(&mut state, opened(&list));
    assert_eq!(effects, std::slice::from_ref(&read));
    assert_eq!((state.name(), state.can_edit()), ("elsewhere", false));
    for action in [
        Action::DeleteChat(head.id),
        Action::NewChat,
        Action::EraseEverything,
        Action::RenameChat {
            id: head.id,
            title: "x".into(),
        },
    ] {
        assert_eq!(state.on(action), [], "another tab may be writing");
    }
    assert_eq!(
        state.on(Action::UseHere),
        [Effect::ClaimEngine { steal: true }]
    );
    assert_eq!(
        state.on(Action::EngineLock(true)),
        [
            Effect::Spawn,
            Effect::Db(DbRequest::Open),
            Effect::RecallQueue
        ]
    );
    assert_eq!(
        db(&mut state, opened(&list)),
        [read],
        "the other tab may have changed it"
    );
}

#[test]
fn a_robbed_tab_saves_its_answer_and_lets_its_worker_go() {
    let (mut state, _) = answering();
    let effects = state.on(Action::EngineLock(false));
    assert!(
        effects.contains(&Effect::Retire),
        "it gives its device back"
    );
    assert!(
        matches!(&written(&effects)[..], [app::Change::PutTurn { turn, .. }]
            if turn.answer.finish == Some(Finish::Interrupted))
    );
    assert!(event(&mut state, Event::Hello(Hello::own())).is_empty());
    assert_eq!(event(&mut state, Event::Retired), [Effect::Terminate]);
    for second in 0..400 {
        assert!(act(&mut state, Action::Tick(clock(f64::from(second)))).is_empty());
    }
    assert!(act(&mut state, Action::WorkerError("gone".into())).is_empty());
    let effects = state.on(Action::EngineLock(true));
    assert_eq!(effects[0], Effect::Spawn, "when the other tab is closed");
}

#[test]
fn a_tab_that_waits_for_its_lock_has_no_silent_worker() {
    let mut state = unanswered(opening());
    for second in 0..400 {
        assert!(act(&mut state, Action::Tick(clock(f64::from(second)))).is_empty());
    }
    let mut state = new();
    assert!(
        (0..200).any(|second| !act(&mut state, Action::Tick(clock(f64::from(second)))).is_empty()),
        "a worker that never speaks is replaced"
    );
}

#[test]
fn a_second_tab_follows_what_the_first_one_writes() {
    let mut state = unanswered(opening());
    let _retired = state.on(Action::EngineLock(false));
    assert_eq!(db(&mut state, opened(&[])), []);
    let again = [Effect::Db(DbRequest::Open)];
    assert_eq!(state.on(Action::ChatsChanged), again);
    let mut head = app::ChatHead::new(app::ChatId(3), 5.0);
    let read = [Effect::Db(DbRequest::ReadTurns(head.id))];
    assert_eq!(db(&mut state, opened(&[head.clone()])), read);
    let turns = |texts: &[&str]| app::DbEvent::Turns {
        chat: app::ChatId(3),
        turns: stored_turns(texts),
    };
    assert_eq!(db(&mut state, turns(&["one", "two"])), []);
    let keys = |state: &State| -> Vec<u32> {
        let turns = state.chats.open.turns.iter();
        turns.map(|turn| turn.key).collect()
    };
    let before = keys(&state);

    // Nobody looks: read once, when somebody does.
    let _resting = hide(&mut state);
    assert_eq!(state.on(Action::ChatsChanged), []);
    let effects = show(&mut state);
    assert!(effects.contains(&again[0]), "{effects:?}");
    assert_eq!(show(&mut state), []);
    head.title = "Terns".into();
    let other = app::ChatHead::new(app::ChatId(4), 9.0);
    assert_eq!(db(&mut state, opened(&[head, other])), read);
    assert_eq!(state.chats.open.head.title, "Terns");
    assert_eq!(keys(&state), before, "what is shown stays meanwhile");
    assert_eq!(db(&mut state, turns(&["one", "two, longer", "three"])), []);
    let after = keys(&state);
    assert_eq!(
        (after.len(), after[0]),
        (3, before[0]),
        "unchanged turns keep their keys"
    );
    assert!(after.is_sorted() && after[1] > before[1], "{after:?}");

    // The first tab has deleted it.
    let left = [app::ChatHead::new(app::ChatId(4), 9.0)];
    assert_eq!(state.on(Action::ChatsChanged), again);
    let read = [Effect::Db(DbRequest::ReadTurns(app::ChatId(4)))];
    assert_eq!(db(&mut state, opened(&left)), read);
    assert_eq!(state.chats.list, left);
    assert_eq!(state.on(Action::ChatsChanged), again);
    assert_eq!(db(&mut state, opened(&[])), []);
    assert!(state.chats.list.is_empty() && state.chats.open.turns.is_empty());
}

#[test]
fn a_tab_that_takes_over_asks_with_what_the_other_one_wrote() {
    let (mut state, id) = answering();
    let _answered = event(&mut state, answered(id, FinishReason::Stop));
    let chat = state.chats.open.head.clone();
    let _retired = state.on(Action::EngineLock(false));
    // While another tab writes to the same chat and is closed.
    let effects = state.on(Action::EngineLock(true));
    assert_eq!(effects, [Effect::Db(DbRequest::Open), Effect::RecallQueue]);
    let replaced = event(&mut state, Event::Retired);
    assert_eq!(replaced, [Effect::Terminate, Effect::Spawn]);
    let effects = db(&mut state, opened(std::slice::from_ref(&chat)));
    assert_eq!(effects, [Effect::Db(DbRequest::ReadTurns(chat.id))]);
    assert!(
        state.chats.open.loading,
        "nothing may be asked before it is read"
    );
    let turns = stored_turns(&["one", "two"]);
    let _read = db(
        &mut state,
        app::DbEvent::Turns {
            chat: chat.id,
            turns,
        },
    );
    assert_eq!(state.chats.open.turns.len(), 2);
    let own = state.on(Action::ChatsChanged);
    assert_eq!(own, [], "the tab that has the engine knows its chats");
}

fn stored_turns(texts: &[&str]) -> Vec<app::Turn> {
    let turn = |(number, text): (usize, &&str)| app::Turn {
        key: 0,
        number: u32::try_from(number).unwrap(),
        question: "?".into(),
        asked_millis: 1.0,
        seed: 1,
        answer: app::Answer {
            text: (*text).into(),
            finish: Some(Finish::Stop),
            ..app::Answer::default()
        },
    };
    texts.iter().enumerate().map(turn).collect()
}
