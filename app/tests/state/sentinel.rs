//! Pages that were ended in the middle of something, and what the next one makes of it; and the flight recorder.

use app::{
    Action, Change, DbEvent, Effect, Flight, MAX_ENTRIES, Notice, Sentinel, Setback, State, Step,
};
use protocol::{
    ByteCount, Event, FaultCode, FinishReason, Hello, KvType, LoadProgress, LoadStage, Outcome,
    Request, Retry, Status,
};

use crate::support::{
    URL, act, all_written, answered, clock, db, event, finished, generating, info, inspecting,
    loading, new, offer, opening, ready, send, tokens, unanswered,
};

/// What is stored of the flight by these effects, if anything.
fn stored(effects: &[Effect]) -> Option<Flight> {
    all_written(effects)
        .into_iter()
        .rev()
        .find_map(|change| match change {
            Change::PutFlight(flight) => Some(flight),
            _ => None,
        })
}

fn step(flight: Option<Flight>) -> Option<Step> {
    flight?.sentinel.map(|sentinel| sentinel.step)
}

/// A page that finds this behind it, up to what it does when its worker has looked at the stored model.
fn after(kills: u32) -> (State, Vec<Effect>) {
    let mut state = unanswered(opening());
    let _spawn = state.on(Action::EngineLock(true));
    let sentinel = Sentinel {
        step: Step::Load,
        model_url: URL.to_owned(),
        kills: kills - 1,
        bytes: 0,
    };
    let flight = Flight {
        sentinel: Some(sentinel),
        ..Flight::default()
    };
    let opened = DbEvent::Opened {
        chats: Vec::new(),
        preferences: None,
        flight: Some(flight),
    };
    db(&mut state, opened);
    let look = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    let looked = finished(look, Outcome::Inspected(offer(true)));
    let effects = state.on(Action::Event(looked));
    (state, effects)
}

#[test]
fn every_risky_step_is_marked_before_it_and_unmarked_behind_it() {
    let mut state = new();
    let look = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    let looked = finished(look, Outcome::Inspected(offer(true)));
    let effects = state.on(Action::Event(looked));
    assert_eq!(step(stored(&effects)), Some(Step::Load));
    let is_write = |effect: &Effect| !all_written(std::slice::from_ref(effect)).is_empty();
    let is_load = |effect: &Effect| matches!(effect, Effect::Post(Request::Load { .. }));
    let at = |matches: &dyn Fn(&Effect) -> bool| effects.iter().position(matches).unwrap();
    assert!(at(&is_write) < at(&is_load), "written first");

    let load = loading(&effects);
    let loaded = state.on(Action::Event(finished(load, Outcome::Loaded(info()))));
    assert_eq!(stored(&loaded).unwrap().sentinel, None, "without delay");

    let effects = state.on(Action::Send { text: "Hi".into() });
    assert_eq!(step(stored(&effects)), Some(Step::FirstToken));
    let (id, _) = generating(&effects);
    let first = state.on(Action::Event(tokens(id, 0, "Hi", &[1])));
    assert_eq!(stored(&first).unwrap().sentinel, None, "without delay");
    event(&mut state, answered(id, FinishReason::Stop));
    assert_eq!(stored(&state.on(Action::Send { text: "Hi".into() })), None);
}

#[test]
fn a_page_that_is_closed_during_a_long_download_means_nothing() {
    let mut state = new();
    let look = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    event(&mut state, finished(look, Outcome::Inspected(offer(false))));
    let effects = state.on(Action::Download);
    let id = loading(&effects);
    let sentinel = |effects: &[Effect]| step(stored(effects));
    assert_eq!(sentinel(&effects), None);
    let progress = |stage| LoadProgress {
        stage,
        shards_done: 0,
        shards_total: 2,
        bytes_done: ByteCount::default(),
        bytes_total: ByteCount::saturating(100),
        fetched_bytes: ByteCount::default(),
    };
    let loading = |stage| {
        let progress = progress(stage);
        Action::Event(Event::Loading { id, progress })
    };
    assert_eq!(sentinel(&state.on(loading(LoadStage::Download))), None);
    let flight = stored(&state.on(Action::Tick(clock(3.0)))).unwrap();
    assert_eq!(flight.sentinel, None);
    let uploading = state.on(loading(LoadStage::Upload));
    assert_eq!(sentinel(&uploading), Some(Step::Load));
    assert_eq!(all_written(&state.on(loading(LoadStage::Upload))), []);

    // What it leaves behind when its device is lost is stored by now.
    event(&mut state, finished(id, Outcome::Loaded(info())));
    let lost = Event::Status(Status::DeviceLost {
        detail: "gone".into(),
    });
    assert_eq!(sentinel(&state.on(Action::Event(lost))), Some(Step::Load));
}

#[test]
fn a_hidden_page_may_be_ended_without_that_meaning_anything() {
    let mut state = ready();
    let effects = state.on(Action::Send { text: "Hi".into() });
    assert_eq!(step(stored(&effects)), Some(Step::FirstToken));
    let flight = stored(&state.on(Action::Visibility { hidden: true })).unwrap();
    assert_eq!(flight.sentinel, None);
    let effects = state.on(Action::Visibility { hidden: false });
    assert_eq!(step(stored(&effects)), Some(Step::FirstToken));
}

#[test]
fn pages_that_end_again_and_again_lead_to_less_and_then_to_a_question() {
    let settings = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Post(Request::Load { settings, .. }) => Some(*settings),
            _ => None,
        })
    };
    let context = |effects: &[Effect]| settings(effects).map(|settings| settings.context);
    let (state, effects) = after(1);
    assert_eq!((context(&effects), &state.notice), (Some(0), &None));
    assert_eq!(stored(&effects).unwrap().sentinel.unwrap().kills, 1);
    for (kills, kv, is_rounded) in [(2, KvType::F16, false), (3, KvType::I8, true)] {
        let (mut state, effects) = after(kills);
        // The model of the tests has a context of 100, below which nothing goes.
        assert_eq!(context(&effects), Some(100), "{kills}");
        assert_eq!(settings(&effects).unwrap().kv, kv, "{kills}");
        let load = loading(&effects);
        event(&mut state, finished(load, Outcome::Loaded(info())));
        let because = Setback::Killed;
        let context = 100;
        let smaller = Notice::Smaller {
            context,
            is_rounded,
            because,
        };
        assert_eq!(state.notice, Some(smaller));
    }
    let (mut state, effects) = after(4);
    assert_eq!(context(&effects), None);
    let code = state.engine.fault.as_ref().map(|fault| fault.code);
    assert_eq!(
        (state.name(), code, state.advice()),
        ("failed", Some(FaultCode::Killed), Some(Retry::Again))
    );
    let look = inspecting(&act(&mut state, Action::Retry));
    let effects = event(&mut state, finished(look, Outcome::Inspected(offer(true))));
    assert_eq!(context(&effects), Some(100), "the person's word is good");
}

#[test]
fn a_worker_that_dies_while_the_person_is_asked_does_not_answer_for_the_person() {
    let (mut state, _) = after(4);
    let code = |state: &State| state.engine.fault.as_ref().map(|fault| fault.code);
    assert_eq!(code(&state), Some(FaultCode::Killed));
    let trap = Event::Trap { text: "bug".into() };
    let effects = event(&mut state, trap);
    assert!(effects.contains(&Effect::Terminate) || effects.contains(&Effect::Spawn));
    for ticks in 1..8 {
        let _time = state.on(Action::Tick(clock(f64::from(ticks))));
    }
    let look = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    let effects = event(&mut state, finished(look, Outcome::Inspected(offer(true))));
    assert_eq!(effects, []);
    assert_eq!(code(&state), Some(FaultCode::Killed));
    let look = inspecting(&act(&mut state, Action::Retry));
    loading(&event(
        &mut state,
        finished(look, Outcome::Inspected(offer(true))),
    ));
}

#[test]
fn a_token_ends_the_row() {
    let (mut state, effects) = after(3);
    let load = loading(&effects);
    event(&mut state, finished(load, Outcome::Loaded(info())));
    let (id, _) = generating(&send(&mut state, "Hi"));
    event(&mut state, tokens(id, 0, "Hi", &[1]));
    event(&mut state, answered(id, FinishReason::Stop));
    let lost = Event::Status(Status::DeviceLost {
        detail: "gone".into(),
    });
    let effects = state.on(Action::Event(lost));
    assert_eq!(stored(&effects).unwrap().sentinel.unwrap().kills, 0);
}

#[test]
fn the_recorder_keeps_the_latest_and_tells_no_words_of_chats() {
    let mut state = ready();
    for _ in 0..2 * MAX_ENTRIES {
        let lost = Event::Status(Status::DeviceLost {
            detail: "gone\nfor good".into(),
        });
        let effects = event(&mut state, lost);
        let Some(Effect::Post(Request::Load { id, .. })) = effects.last() else {
            let _passes = state.on(Action::Tick(clock(1e6)));
            continue;
        };
        event(&mut state, finished(*id, Outcome::Loaded(info())));
    }
    let _asked = send(&mut state, "a secret question");
    assert!(state.recorder().entries().len() <= MAX_ENTRIES);
    let text = state.recorder().to_text();
    assert!(
        text.contains("lost while idle: DeviceLost, gone for good"),
        "{text}"
    );
    assert!(!text.contains("secret"));
}

/// What a database gives that holds a chat in its undo window, and a sentinel.
fn opened_with_deleted(head: &app::ChatHead) -> DbEvent {
    let mut deleted = head.clone();
    deleted.deleted = true;
    DbEvent::Opened {
        chats: vec![deleted],
        preferences: None,
        flight: Some(flight(Step::Load, 3)),
    }
}

fn flight(step: Step, kills: u32) -> Flight {
    let sentinel = Sentinel {
        step,
        model_url: URL.to_owned(),
        kills,
        bytes: 0,
    };
    Flight {
        sentinel: Some(sentinel),
        ..Flight::default()
    }
}

#[test]
fn a_second_tab_touches_nothing_before_it_knows_that_it_is_the_second() {
    let head = ready().chats.open.head.clone();
    let mut state = unanswered(opening());
    // The database is quicker than the lock.
    assert_eq!(db(&mut state, opened_with_deleted(&head)), []);
    let effects = state.on(Action::EngineLock(false));
    assert_eq!(all_written(&effects), [], "it may be undone there");
    assert_eq!(state.environment.database, app::Database::Open);
    for seconds in [0.5, 3.0, 10.0] {
        assert_eq!(all_written(&state.on(Action::Tick(clock(seconds)))), []);
    }
    assert!(!state.recorder().to_text().contains("an earlier page ended"));

    // The first tab does what it always did.
    let mut state = unanswered(opening());
    assert_eq!(db(&mut state, opened_with_deleted(&head)), []);
    let effects = state.on(Action::EngineLock(true));
    assert!(all_written(&effects).contains(&Change::DeleteChat(head.id)));
    assert!(state.recorder().to_text().contains("an earlier page ended"));
}

/// A tab that found another one, and takes the engine when that one gives it up or is robbed of it.
fn taken_over(is_robbed: bool) -> State {
    let mut state = unanswered(opening());
    let _elsewhere = state.on(Action::EngineLock(false));
    let opened = |flight| DbEvent::Opened {
        chats: Vec::new(),
        preferences: None,
        flight: Some(flight),
    };
    db(&mut state, opened(Flight::default()));
    if is_robbed {
        let _steal = state.on(Action::UseHere);
    }
    let effects = state.on(Action::EngineLock(true));
    assert_eq!(all_written(&effects), [], "what is there is not known yet");
    let look = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    let effects = event(&mut state, finished(look, Outcome::Inspected(offer(true))));
    assert!(effects.is_empty(), "{effects:?}");
    let mut left = flight(Step::Load, 0);
    left.entries.push(app::Entry {
        wall_millis: 1.7e12,
        page_millis: 12.0,
        text: "said by the other tab".into(),
    });
    let effects = db(&mut state, opened(left));
    loading(&effects);
    let kept = stored(&effects).unwrap();
    let is_of_other = |entry: &app::Entry| entry.text == "said by the other tab";
    assert_eq!(
        kept.entries
            .iter()
            .filter(|entry| is_of_other(entry))
            .count(),
        1
    );
    state
}

#[test]
fn a_tab_that_takes_over_reads_the_records_of_the_other_one_first() {
    let ended = "an earlier page ended";
    assert!(taken_over(false).recorder().to_text().contains(ended));
    // The other one lives: its step was not what ended it.
    let mut state = taken_over(true);
    assert!(!state.recorder().to_text().contains(ended));

    // There and back again: no line is there twice.
    let entries: Vec<_> = state.recorder().entries().cloned().collect();
    let _robbed = state.on(Action::EngineLock(false));
    for seconds in [0.5, 3.0] {
        assert_eq!(all_written(&state.on(Action::Tick(clock(seconds)))), []);
    }
    let _steal = state.on(Action::UseHere);
    let _given = state.on(Action::EngineLock(true));
    let opened = DbEvent::Opened {
        chats: Vec::new(),
        preferences: None,
        flight: Some(Flight {
            entries,
            ..Flight::default()
        }),
    };
    db(&mut state, opened);
    assert_eq!(state.recorder().to_text().matches("said by").count(), 1);
    assert_eq!(state.recorder().to_text().matches("page opened").count(), 1);
}
