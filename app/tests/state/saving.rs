//! What is written when, and what comes back.

use app::{Action, Change, ChatHead, Database, DbEvent, DbRequest, Effect, Finish, State, Turn};
use protocol::{FinishReason, Outcome, Request};

use crate::support::{
    act, answered, answering, clock, db, event, finished, generating, greet, info, opened, ready,
    tokens, written,
};

/// A chat with one answer, as the database has it.
fn stored(finish: Option<Finish>) -> (ChatHead, Turn) {
    let (mut state, id) = answering();
    event(&mut state, answered(id, FinishReason::Stop));
    let mut turn = state.chats.open.turns[0].clone();
    turn.key = 0;
    turn.answer.finish = finish;
    (state.chats.open.head.clone(), turn)
}

/// A page that found `stored` in its database.
fn relaunched(head: &ChatHead, turn: &Turn) -> State {
    let mut state = crate::support::unanswered(crate::support::opening());
    assert_eq!(act(&mut state, Action::EngineLock(true)), [Effect::Spawn]);
    assert_eq!(
        db(&mut state, opened(std::slice::from_ref(head))),
        [Effect::Db(DbRequest::ReadTurns(head.id))]
    );
    let turns = vec![turn.clone()];
    db(
        &mut state,
        DbEvent::Turns {
            chat: head.id,
            turns,
        },
    );
    let load = greet(&mut state);
    event(&mut state, finished(load, Outcome::Loaded(info())));
    state
}

#[test]
fn a_question_is_written_before_the_worker_hears_of_it() {
    let mut state = ready();
    let effects = state.on(Action::Send {
        text: "Hello?".into(),
    });
    let write = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Db(DbRequest::Write(_))));
    let post = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Post(Request::Generate { .. })));
    assert!(write.unwrap() < post.unwrap(), "{effects:?}");
    let changes = written(&effects);
    assert!(
        matches!(&changes[..], [Change::PutChat(head), Change::PutTurn { chat, turn }]
            if head.title == "Hello?" && *chat == head.id && turn.question == "Hello?" && turn.number == 1),
        "{changes:?}"
    );
}

#[test]
fn a_running_answer_is_written_with_every_tick_in_which_it_grew() {
    let (mut state, id) = answering();
    let changes = written(&state.on(Action::Tick(clock(0.5))));
    assert!(
        matches!(&changes[..], [Change::PutTurn { turn, .. }]
            if turn.answer.text == "Hey" && turn.answer.ids == [1, 2] && turn.answer.finish.is_none()),
        "{changes:?}"
    );
    assert!(written(&state.on(Action::Tick(clock(1.0)))).is_empty());
    event(&mut state, tokens(id, 2, "!", &[3]));
    assert_eq!(written(&state.on(Action::Tick(clock(1.5)))).len(), 1);
    let effects = state.on(Action::Event(answered(id, FinishReason::Stop)));
    assert!(
        matches!(&written(&effects)[..], [Change::PutTurn { turn, .. }] if turn.answer.finish == Some(Finish::Stop))
    );
}

#[test]
fn an_answer_cut_off_by_closing_can_be_continued_from_its_tokens() {
    let (head, turn) = stored(None);
    let mut state = relaunched(&head, &turn);
    let shown = &state.chats.open.turns[0];
    assert_eq!(
        (shown.answer.finish, shown.answer.text.as_str()),
        (Some(Finish::Interrupted), "Hey")
    );
    assert!(state.can_continue());
    let (_, job) = generating(&act(&mut state, Action::Continue));
    assert_eq!((job.resume, job.sampling.seed), (vec![1, 2], turn.seed));
}

#[test]
fn an_answer_of_another_model_can_only_be_asked_for_anew() {
    let (head, mut turn) = stored(None);
    turn.answer.model = "Other".into();
    let mut state = relaunched(&head, &turn);
    assert!(!state.can_continue());
    assert!(act(&mut state, Action::Continue).is_empty());
    let (_, job) = generating(&act(&mut state, Action::Regenerate));
    assert!(job.resume.is_empty());
}

/// Answers the writes of the sentinel before and behind loading, of the question, and of the sentinel behind its first token.
fn answer_the_first_writes(state: &mut State) {
    for _ in 0..4 {
        assert_eq!(db(state, DbEvent::Written), []);
    }
}

#[test]
fn what_could_not_be_written_is_written_later_in_order() {
    let (mut state, id) = answering();
    answer_the_first_writes(&mut state);
    assert_eq!(written(&state.on(Action::Tick(clock(0.5)))).len(), 1);
    let full = DbEvent::WriteFailed {
        full: true,
        detail: "quota".into(),
    };
    assert_eq!(db(&mut state, full), []);
    assert!(matches!(state.environment.database, Database::Full { .. }));
    event(&mut state, tokens(id, 2, "!", &[3]));
    assert!(written(&state.on(Action::Tick(clock(1.0)))).is_empty());
    let changes = written(&state.on(Action::Tick(clock(11.0))));
    assert!(
        matches!(&changes[..], [Change::PutTurn { turn, .. }] if turn.answer.ids == [1, 2, 3]),
        "one change, the newest: {changes:?}"
    );
    db(&mut state, DbEvent::Written);
    assert_eq!(state.environment.database, Database::Open);
}

#[test]
fn without_a_database_chats_live_in_memory() {
    let mut state = ready();
    let failed = DbEvent::Failed {
        detail: "denied".into(),
    };
    db(&mut state, failed);
    let effects = state.on(Action::Send { text: "One".into() });
    assert!(written(&effects).is_empty());
    let (id, _) = generating(&effects);
    event(&mut state, tokens(id, 0, "Yes", &[1]));
    event(&mut state, answered(id, FinishReason::Stop));
    let first = state.chats.open.head.id;
    assert_eq!(state.on(Action::NewChat), []);
    assert_eq!(state.on(Action::OpenChat(first)), []);
    assert_eq!(state.chats.open.turns[0].answer.text, "Yes");
}

#[test]
fn a_failed_write_that_is_repeated_does_not_undo_a_later_one() {
    for second_fails in [false, true] {
        let (mut state, id) = answering();
        answer_the_first_writes(&mut state);
        let _older = written(&state.on(Action::Tick(clock(0.5))));
        event(&mut state, tokens(id, 2, "!", &[3]));
        let newer = written(&state.on(Action::Tick(clock(1.0))));
        let failed = DbEvent::WriteFailed {
            full: false,
            detail: "lost".into(),
        };
        db(&mut state, failed.clone());
        let answer = if second_fails {
            failed
        } else {
            DbEvent::Written
        };
        db(&mut state, answer);
        assert_eq!(written(&state.on(Action::Tick(clock(12.0)))), newer);
    }
}

#[test]
fn a_chat_that_is_opened_again_before_its_failed_write_was_repeated_shows_its_turns() {
    let (mut state, id) = answering();
    event(&mut state, answered(id, FinishReason::Stop));
    let first = state.chats.open.head.id;
    assert_eq!(written(&state.on(Action::NewChat)), []);
    let failed = DbEvent::WriteFailed {
        full: false,
        detail: "lost".into(),
    };
    db(&mut state, failed.clone());
    assert_eq!(
        state.on(Action::OpenChat(first)),
        [Effect::Db(DbRequest::ReadTurns(first))]
    );
    // The database has nothing of it.
    let turns = Vec::new();
    db(&mut state, DbEvent::Turns { chat: first, turns });
    let shown = &state.chats.open.turns;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].answer.text, "Hey");
}

#[test]
fn a_database_that_is_lost_for_good_leaves_what_it_did_not_get_in_memory() {
    let (mut state, id) = answering();
    event(&mut state, answered(id, FinishReason::Stop));
    let first = state.chats.open.head.id;
    assert_eq!(written(&state.on(Action::NewChat)), []);
    let detail = "gone".to_owned();
    db(&mut state, DbEvent::Failed { detail });
    assert_eq!(state.on(Action::OpenChat(first)), []);
    assert_eq!(state.chats.open.turns[0].answer.text, "Hey");
}

#[test]
fn a_write_that_is_repeated_comes_before_what_is_written_with_it() {
    let (mut state, _) = answering();
    answer_the_first_writes(&mut state);
    let _grown = state.on(Action::Tick(clock(0.5)));
    let failed = DbEvent::WriteFailed {
        full: false,
        detail: "lost".into(),
    };
    db(&mut state, failed);
    // The worker is silent for too long at the moment of the repetition, which is noted at once.
    for _ in 0..59 {
        let _quiet = state.on(Action::Tick(clock(0.6)));
    }
    let effects = state.on(Action::Tick(clock(12.0)));
    let writes: Vec<Vec<Change>> = effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Db(DbRequest::Write(changes)) => Some(changes),
            _ => None,
        })
        .collect();
    assert_eq!(writes.len(), 2, "{writes:?}");
    let has_turn = |changes: &[Change]| {
        let mut changes = changes.iter();
        changes.any(|change| matches!(change, Change::PutTurn { .. }))
    };
    assert_eq!((has_turn(&writes[0]), has_turn(&writes[1])), (true, false));
}
