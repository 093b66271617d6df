//! Files of chats while the database does not do what it should: that is when people are told to make them.

use app::{Action, ChatId, Database, DbEvent, DbRequest, Effect, Notice, ReadPurpose, State};
use protocol::FinishReason;

use crate::support::{answered, answering, clock, db, event, generating, new, send, tokens};

/// Answers all writes that are under way.
fn written(state: &mut State) {
    for _ in 0..8 {
        db(state, DbEvent::Written);
    }
}

fn full() -> DbEvent {
    DbEvent::WriteFailed {
        full: false,
        detail: "lost".into(),
    }
}

fn one_answer(state: &mut State, question: &str) {
    let (id, _) = generating(&send(state, question));
    event(state, tokens(id, 0, "Yes", &[1]));
    event(state, answered(id, FinishReason::Stop));
}

/// A page with a stored chat that is not open, and an open one whose write failed.
fn with_a_failed_write() -> (State, ChatId) {
    let (mut state, id) = answering();
    event(&mut state, answered(id, FinishReason::Stop));
    let first = state.chats.open.head.id;
    let _new = state.on(Action::NewChat);
    written(&mut state);
    one_answer(&mut state, "Second?");
    db(&mut state, full());
    assert!(matches!(
        state.environment.database,
        Database::Failed { .. }
    ));
    (state, first)
}

/// The chats of the file among the effects, with the texts of their answers, imported by another page.
fn imported(effects: &[Effect]) -> Vec<(ChatId, usize)> {
    let [Effect::SaveFile { text, .. }] = effects else {
        panic!("{effects:?}")
    };
    let mut other = new();
    let changes = crate::support::written(&other.on(Action::Import(Ok(text.clone()))));
    let Some(Notice::Imported(report)) = other.notice else {
        panic!("{:?}", other.notice)
    };
    assert_eq!(report.rejected, 0);
    let turns = |id| {
        let is_of = |change: &&app::Change| matches!(change, app::Change::PutTurn { chat, .. } if *chat == id);
        changes.iter().filter(is_of).count()
    };
    let chats = other.chats.list.iter();
    chats.map(|head| (head.id, turns(head.id))).collect()
}

fn stored(state: &State, id: ChatId, numbers: &[u32]) -> app::StoredChat {
    let mut turn = state.chats.open.turns[0].clone();
    let turns = numbers.iter().map(|number| {
        turn.number = *number;
        turn.clone()
    });
    app::StoredChat {
        turns: turns.collect(),
        head: state.chats.find(id).unwrap().clone(),
    }
}

#[test]
fn after_a_failed_write_the_chats_are_read_for_the_file_all_the_same() {
    let (mut state, first) = with_a_failed_write();
    let purpose = ReadPurpose::ExportAll;
    assert_eq!(
        state.on(Action::ExportAll),
        [Effect::Db(DbRequest::ReadAll(purpose))]
    );
    let chats = vec![stored(&state, first, &[1])];
    let effects = db(&mut state, DbEvent::Everything { purpose, chats });
    let second = state.chats.open.head.id;
    assert_eq!(imported(&effects), [(second, 1), (first, 1)]);
    assert_eq!(state.notice, None);
}

#[test]
fn what_can_not_be_read_is_left_out_and_told() {
    let (mut state, _) = with_a_failed_write();
    let failed = |purpose| DbEvent::ExportFailed {
        purpose,
        detail: "gone".into(),
    };
    let effects = db(&mut state, failed(ReadPurpose::ExportAll));
    let second = state.chats.open.head.id;
    assert_eq!(imported(&effects), [(second, 1)]);
    assert_eq!(state.notice, Some(Notice::ExportedInPart { incomplete: 1 }));
    let first = state.chats.list[1].id;
    assert_eq!(db(&mut state, failed(ReadPurpose::ExportChat(first))), []);
    assert!(matches!(state.notice, Some(Notice::ExportFailed { .. })));
}

#[test]
fn without_a_database_nothing_is_read_and_what_is_missing_is_told() {
    let (mut state, first) = with_a_failed_write();
    let detail = "closed".to_owned();
    db(&mut state, DbEvent::Failed { detail });
    let effects = state.on(Action::ExportAll);
    let second = state.chats.open.head.id;
    assert_eq!(imported(&effects), [(second, 1)]);
    assert_eq!(state.notice, Some(Notice::ExportedInPart { incomplete: 1 }));
    assert_eq!(state.on(Action::ExportChat(first)), []);
    assert!(matches!(state.notice, Some(Notice::ExportFailed { .. })));
}

/// A chat that is not open any more, and whose second turn could not be written.
fn with_an_unwritten_turn() -> (State, ChatId) {
    let (mut state, id) = answering();
    event(&mut state, answered(id, FinishReason::Stop));
    let first = state.chats.open.head.id;
    written(&mut state);
    one_answer(&mut state, "More?");
    let _new = state.on(Action::NewChat);
    db(&mut state, full());
    (state, first)
}

#[test]
fn turns_that_were_not_written_are_in_the_file_also_of_a_chat_that_is_not_open() {
    // The disk is well again for what comes next, but the second turn has not been written yet.
    let (mut state, first) = with_an_unwritten_turn();
    let purpose = ReadPurpose::ExportAll;
    let _read = state.on(Action::ExportAll);
    let chats = vec![app::StoredChat {
        turns: Vec::new(),
        head: state.chats.find(first).unwrap().clone(),
    }];
    let mut whole = chats.clone();
    let effects = db(&mut state, DbEvent::Everything { purpose, chats });
    assert_eq!(imported(&effects)[0].1, 1, "the second turn");
    one_answer(&mut state, "Other chat");
    whole[0].turns = stored(&state, first, &[1]).turns;
    let effects = db(
        &mut state,
        DbEvent::Everything {
            purpose,
            chats: whole,
        },
    );
    assert!(imported(&effects).contains(&(first, 2)));
}

#[test]
fn a_part_of_a_chat_never_takes_the_place_of_the_whole_one() {
    let (mut state, first) = with_an_unwritten_turn();
    // The first turn is in the database, which can't be read; the second is not.
    let failed = DbEvent::ExportFailed {
        purpose: ReadPurpose::ExportAll,
        detail: "gone".into(),
    };
    let effects = db(&mut state, failed);
    assert_eq!(imported(&effects), [(first.of_a_part(), 1)]);
    assert_eq!(state.notice, Some(Notice::ExportedInPart { incomplete: 1 }));
}

#[test]
fn a_file_that_could_not_be_saved_is_told() {
    let (mut state, _) = with_a_failed_write();
    let _time = state.on(Action::Tick(clock(1.0)));
    assert_eq!(state.on(Action::SaveFailed("refused".into())), []);
    let detail = "refused".into();
    assert_eq!(state.notice, Some(Notice::ExportFailed { detail }));
}
