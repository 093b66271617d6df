//! Slow devices, and saving energy.

use app::{Action, Change, DbEvent, Phase, Preferences, SAVING_TOKENS_PER_SECOND, State, strings};
use protocol::{Event, FinishReason, Hello, Request, RequestId, Status};

use crate::support::{
    act, answered, answering, db, event, generating, greet, new, opened, ready, send, tokens,
    written,
};

fn slowdown(id: RequestId, is_slow: bool) -> Event {
    Event::Slowdown {
        id,
        is_slow,
        percent: 40,
    }
}

fn is_told(state: &State) -> bool {
    state.status() == strings::SLOWED
}

fn limit(tokens_per_second: u32) -> app::Effect {
    app::Effect::Post(Request::LimitRate { tokens_per_second })
}

#[test]
fn a_slow_device_is_told_of_until_it_is_fast_or_the_answer_ends() {
    let (mut state, id) = answering();
    assert!(event(&mut state, slowdown(id, true)).is_empty());
    assert!(is_told(&state));
    event(&mut state, tokens(id, 2, "!", &[3]));
    assert!(is_told(&state));
    event(&mut state, slowdown(id, false));
    assert_eq!(state.status(), strings::ANSWERING);
    event(&mut state, slowdown(id, true));
    event(&mut state, answered(id, FinishReason::Stop));
    assert!(!is_told(&state) && !state.is_slowed());
    let (next, _) = generating(&send(&mut state, "And?"));
    event(&mut state, tokens(next, 0, "a", &[1]));
    assert_eq!(state.status(), strings::ANSWERING);
    // A word about an answer that is over.
    event(&mut state, slowdown(id, true));
    assert!(!is_told(&state));
    let told = state.recorder().to_text();
    assert!(told.contains("the device is slow: 40 %"), "{told}");
}

#[test]
fn what_ends_or_interrupts_the_answer_ends_the_word_about_it() {
    for end in [
        Action::Visibility { hidden: true },
        Action::NewChat,
        Action::Event(Event::Status(Status::DeviceLost { detail: "x".into() })),
    ] {
        let (mut state, id) = answering();
        event(&mut state, slowdown(id, true));
        assert!(is_told(&state));
        act(&mut state, end);
        assert!(!is_told(&state) && !state.is_slowed());
    }
}

#[test]
fn saving_energy_is_stored_and_told_at_once_and_to_every_worker() {
    let (mut state, _) = answering();
    let effects = state.on(Action::SaveEnergy(true));
    assert!(effects.contains(&limit(SAVING_TOKENS_PER_SECOND)));
    let saved = written(&effects);
    assert!(
        matches!(saved[..], [Change::PutPreferences(chosen)] if chosen.saves_energy),
        "{saved:?}"
    );
    assert!(act(&mut state, Action::SaveEnergy(true)).is_empty());
    let trap = Event::Trap { text: "x".into() };
    event(&mut state, trap);
    let effects = event(&mut state, Event::Hello(Hello::own()));
    assert!(effects.contains(&limit(SAVING_TOKENS_PER_SECOND)));
    assert_eq!(act(&mut state, Action::SaveEnergy(false)), [limit(0)]);
}

#[test]
fn a_stored_choice_is_told_whether_the_database_or_the_worker_is_first() {
    let stored = || DbEvent::Opened {
        chats: vec![],
        preferences: Some(Preferences {
            saves_energy: true,
            ..Preferences::default()
        }),
        flight: None,
    };
    let mut state = ready();
    let effects = db(&mut state, stored());
    assert!(effects.contains(&limit(SAVING_TOKENS_PER_SECOND)));
    let mut state = new();
    assert!(!db(&mut state, stored()).contains(&limit(SAVING_TOKENS_PER_SECOND)));
    let effects = event(&mut state, Event::Hello(Hello::own()));
    assert_eq!(effects[1], limit(SAVING_TOKENS_PER_SECOND));
    // Nobody who did not choose it hears of it.
    let mut state = new();
    assert_eq!(db(&mut state, opened(&[])), []);
    greet(&mut state);
    assert_eq!(state.engine.phase, Phase::Loading);
}
