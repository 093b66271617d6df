//! Files of chats, and the end of everything.

use app::{
    Action, Change, ChatId, Database, DbEvent, DbRequest, Effect, ImportReport, Notice,
    ReadPurpose, State,
};
use proptest::prelude::*;
use protocol::{Event, FinishReason, Hello};

use crate::support::{
    act, answered, answering, clock, db, event, generating, inspecting, new, ready, send, tokens,
    written,
};

/// A page with one finished chat.
fn talked() -> State {
    let mut state = ready();
    let _time = state.on(Action::Tick(clock(3.0)));
    let (id, _) = generating(&send(&mut state, "What is *2/3*?"));
    event(&mut state, tokens(id, 0, "A **fraction**.\n", &[4, 5]));
    event(&mut state, answered(id, FinishReason::Stop));
    state
}

fn saved(effects: &[Effect]) -> (&str, &str) {
    let [Effect::SaveFile { name, text, .. }] = effects else {
        panic!("{effects:?}")
    };
    (name, text)
}

fn import(state: &mut State, text: &str) -> (ImportReport, Vec<Change>) {
    let effects = state.on(Action::Import(Ok(text.to_owned())));
    match &state.notice {
        Some(Notice::Imported(report)) => (*report, written(&effects)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_exported_can_be_imported_elsewhere_and_is_the_same() {
    let mut state = talked();
    let effects = state.on(Action::ExportAll);
    let (name, text) = saved(&effects);
    assert_eq!(name, "tern-chats-2023-11-14.json");

    let mut other = new();
    let (report, changes) = import(&mut other, text);
    assert_eq!((report.added, report.updated, report.rejected), (1, 0, 0));
    assert_eq!(other.chats.list, state.chats.list);
    let turn = changes.iter().find_map(|change| match change {
        Change::PutTurn { turn, .. } => Some(turn),
        _ => None,
    });
    let mut expected = state.chats.open.turns[0].clone();
    expected.key = 0;
    assert_eq!(turn, Some(&expected));

    let (report, changes) = import(&mut other, text);
    assert_eq!((report.added, report.unchanged), (0, 1));
    assert!(changes.is_empty(), "twice is once");
}

#[test]
fn the_chat_used_later_wins() {
    let mut state = talked();
    let effects = state.on(Action::ExportAll);
    let (_, old) = saved(&effects);
    let old = old.to_owned();
    let _time = state.on(Action::Tick(clock(60.0)));
    let (id, _) = generating(&send(&mut state, "More"));
    event(&mut state, answered(id, FinishReason::Stop));
    let effects = state.on(Action::ExportAll);
    let (_, new) = saved(&effects);
    let new = new.to_owned();
    let (report, _) = import(&mut state, &old);
    assert_eq!((report.unchanged, state.chats.open.turns.len()), (1, 2));

    let mut state = talked();
    let (report, changes) = import(&mut state, &new);
    assert_eq!((report.updated, state.chats.open.turns.len()), (1, 2));
    let chat = state.chats.open.head.id;
    assert!(changes.contains(&Change::DeleteTurnsFrom { chat, number: 0 }));
}

#[test]
fn a_chat_that_is_not_in_memory_is_read_first() {
    let mut state = talked();
    let id = state.chats.open.head.id;
    let turns = state.chats.open.turns.clone();
    let _new = state.on(Action::NewChat);
    let purpose = ReadPurpose::ExportChat(id);
    assert_eq!(
        state.on(Action::ExportChat(id)),
        [Effect::Db(DbRequest::ReadAll(purpose))]
    );
    let head = state.chats.list[0].clone();
    let chats = vec![app::StoredChat { head, turns }];
    let effects = db(&mut state, DbEvent::Everything { purpose, chats });
    assert_eq!(
        saved(&effects),
        (
            "what-is-2-3.md",
            "# What is *2/3*?\n\n## You\n\nWhat is *2/3*?\n\n## Tern\n\nA **fraction**.\n"
        )
    );
}

#[test]
fn files_that_are_not_ours_change_nothing_and_say_why() {
    let deep = "[".repeat(100_000);
    let rows = [
        ("", "not a file of chats"),
        ("null", "not a file of chats"),
        ("[]", "not a file of chats"),
        (deep.as_str(), "not a file of chats"),
        (
            r#"{"format":"other","version":1,"chats":[]}"#,
            "expected the format tern-chats",
        ),
        (
            r#"{"format":"tern-chats","version":2,"chats":[]}"#,
            "format version 1 to 1, got 2",
        ),
        (
            r#"{"format":"tern-chats","version":-1,"chats":[]}"#,
            "not a file of chats",
        ),
        (
            r#"{"format":"tern-chats","version":1}"#,
            "missing field `chats`",
        ),
        (
            r#"{"format":"tern-chats","version":1,"chats":{}}"#,
            "not a file of chats",
        ),
    ];
    for (text, words) in rows {
        let mut state = talked();
        let before = state.chats.clone();
        assert!(state.on(Action::Import(Ok(text.to_owned()))).is_empty());
        let Some(Notice::ImportFailed { detail }) = &state.notice else {
            panic!("{:?}", state.notice)
        };
        assert!(detail.contains(words), "{detail}");
        assert_eq!(state.chats, before);
    }
}

#[test]
fn one_bad_chat_does_not_spoil_the_others() {
    let good = r#"{"id":"00000000000000aa","title":"T","created_millis":1,"updated_millis":2,
        "turns":[{"number":9,"question":"Q","asked_millis":1,"seed":1,"answer":{"text":"A","finish":null}}]}"#;
    let bad = [
        "7",
        r#"{"id":"xyz"}"#,
        &good.replace("00000000000000aa", "AA"),
        &good.replace("\"created_millis\":1", "\"created_millis\":-1"),
        &good.replace("\"updated_millis\":2", "\"updated_millis\":1e300"),
        &good.replace("\"question\":\"Q\"", "\"question\":\" \""),
        &good.replace("\"seed\":1", "\"seed\":99999999999"),
        &good.replace("\"finish\":null", "\"finish\":\"Exploded\""),
    ];
    let text = format!(
        r#"{{"format":"tern-chats","version":1,"chats":[{},{good}]}}"#,
        bad.join(",")
    );
    let mut state = new();
    let (report, changes) = import(&mut state, &text);
    assert_eq!((report.added, report.rejected), (1, bad.len() as u32));
    assert!(matches!(&changes[2], Change::PutTurn { turn, .. } if turn.number == 1));
}

#[test]
fn an_import_without_a_database_lives_in_memory() {
    let mut state = talked();
    let effects = state.on(Action::ExportAll);
    let (_, text) = saved(&effects);
    let mut other = new();
    db(
        &mut other,
        DbEvent::Failed {
            detail: "no".into(),
        },
    );
    let (report, changes) = import(&mut other, text);
    assert_eq!((report.added, changes.len()), (1, 0));
    let id = other.chats.list[0].id;
    assert!(other.on(Action::OpenChat(id)).is_empty());
    assert_eq!(other.chats.open.turns[0].answer.text, "A **fraction**.\n");
    saved(&other.on(Action::ExportAll));
}

#[test]
fn erasing_ends_the_worker_first_and_hears_nothing_meanwhile() {
    let (mut state, id) = answering();
    let effects = state.on(Action::EraseEverything);
    assert_eq!(
        effects
            .iter()
            .filter(|effect| !matches!(effect, Effect::WakeLock(_)))
            .collect::<Vec<_>>(),
        [&Effect::Terminate, &Effect::Erase],
        "nothing is written any more"
    );
    assert!(state.chats.list.is_empty() && state.erasing);
    for action in [
        Action::Event(tokens(id, 2, "!", &[3])),
        Action::Tick(clock(9.0)),
        Action::Send { text: "Hi".into() },
        Action::Visibility { hidden: true },
    ] {
        assert_eq!(state.on(action), []);
    }
    let mut other = state.clone();
    assert_eq!(state.on(Action::Erased(Ok(()))), [Effect::Reload]);
    assert_eq!(
        other.on(Action::Erased(Err("blocked".into()))),
        [Effect::Db(DbRequest::Open), Effect::Spawn]
    );
    assert!(matches!(other.notice, Some(Notice::EraseFailed { .. })));
    inspecting(&event(&mut other, Event::Hello(Hello::own())));
}

#[test]
fn chats_with_hostile_numbers_are_not_chat_ids() {
    for text in [
        "",
        "0",
        "00000000000000AA",
        "+0000000000000a",
        "0000000000000000a",
    ] {
        assert!(text.parse::<ChatId>().is_err(), "{text}");
    }
    assert_eq!("00000000000000ff".parse(), Ok(ChatId(255)));
    let _silent = act(&mut new(), Action::PickImport);
    assert_eq!(new().environment.database, Database::Open);
}

proptest! {
    /// An exported file with bytes changed, cut or doubled anywhere is read or refused, and never more than that.
    #[test]
    fn a_damaged_file_is_read_or_refused(
        edits in proptest::collection::vec((0usize..2000, 0u8..128, 0usize..3), 1..8),
    ) {
        let mut state = talked();
        let effects = state.on(Action::ExportAll);
        let (_, text) = saved(&effects);
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at % bytes.len();
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..(at + 7).min(bytes.len() - 1).max(at))),
            }
        }
        if let Ok(text) = String::from_utf8(bytes) {
            let mut other = talked();
            let _effects = other.on(Action::Import(Ok(text)));
            prop_assert!(other.notice.is_some());
            prop_assert!(other.chats.list.len() <= 2);
        }
    }
}
