//! Several chats: new, open, rename, delete, edit, settings.

use app::{Action, Change, DbEvent, DbRequest, Effect, Finish, State, limits};
use protocol::{Event, FinishReason, Request, Role, SamplingSettings};

use crate::support::{
    act, answered, answering, clock, db, event, generating, ready, send, tokens, written,
};

fn at(state: &mut State, seconds: f64) {
    let _saved = state.on(Action::Tick(clock(seconds)));
}

/// Asks and gets an answer.
fn converse(state: &mut State, question: &str) {
    let (id, _) = generating(&send(state, question));
    event(state, tokens(id, 0, "Sure.", &[5]));
    event(state, answered(id, FinishReason::Stop));
}

fn titles(state: &State) -> Vec<&str> {
    state
        .chats
        .list
        .iter()
        .map(|head| head.title.as_str())
        .collect()
}

fn rename(state: &mut State, title: &str) -> Vec<Effect> {
    let id = state.chats.open.head.id;
    let title = title.to_owned();
    state.on(Action::RenameChat { id, title })
}

#[test]
fn a_chat_is_listed_with_its_first_question_under_its_words() {
    let mut state = ready();
    assert!(titles(&state).is_empty());
    converse(
        &mut state,
        "  What is\nthe tallest mountain on each of the seven continents, and who was the first to climb it?",
    );
    assert_eq!(
        titles(&state),
        ["What is the tallest mountain on each of the seven continents, and who was the…"]
    );
    at(&mut state, 1.0);
    let _new = state.on(Action::NewChat);
    assert!(state.chats.open.turns.is_empty());
    converse(&mut state, "Second");
    assert_eq!(
        titles(&state)[0],
        "Second",
        "the chat used last comes first"
    );
    let _renamed = rename(&mut state, " My  chat ");
    converse(&mut state, "More");
    assert_eq!(titles(&state)[0], "My chat", "a title of one's own stays");
    let _renamed = rename(&mut state, "");
    assert_eq!(titles(&state)[0], "Second");
    let first = state.chats.list[1].id;
    assert_eq!(
        state.on(Action::OpenChat(first)),
        [Effect::Db(DbRequest::ReadTurns(first))]
    );
    assert!(state.chats.open.loading && !state.can_send());
}

#[test]
fn another_chat_puts_the_answer_aside() {
    for action in [Action::NewChat, Action::OpenChat(app::ChatId(7))] {
        let (mut state, id) = answering();
        if let Action::OpenChat(id) = action {
            let head = app::ChatHead::new(id, 0.0);
            state.chats.list.push(head);
        }
        let effects = state.on(action);
        assert!(effects.contains(&Effect::Post(Request::Cancel { id })));
        let changes = written(&effects);
        assert!(
            matches!(&changes[..], [Change::PutTurn { turn, .. }]
                if turn.answer.finish == Some(Finish::Interrupted) && turn.answer.ids == [1, 2]),
            "{changes:?}"
        );
        assert_eq!(state.name(), "ready");
        event(&mut state, tokens(id, 2, "late", &[3]));
        event(&mut state, answered(id, FinishReason::Cancelled));
        assert!(
            state.chats.open.turns.is_empty(),
            "what comes late is for nobody"
        );
    }
}

#[test]
fn a_deleted_chat_comes_back_for_some_seconds_and_never_by_itself() {
    let mut state = ready();
    converse(&mut state, "Keep me");
    let id = state.chats.open.head.id;
    let changes = written(&state.on(Action::DeleteChat(id)));
    assert!(
        matches!(&changes[..], [Change::PutChat(head)] if head.id == id && head.deleted),
        "{changes:?}"
    );
    assert!(titles(&state).is_empty() && state.chats.open.turns.is_empty());
    at(&mut state, 7.0);
    let changes = written(&state.on(Action::UndoDelete));
    assert!(matches!(&changes[..], [Change::PutChat(head)] if !head.deleted));
    assert_eq!(titles(&state), ["Keep me"]);
    assert_eq!(state.chats.open.turns[0].answer.text, "Sure.");

    let _deleted = state.on(Action::DeleteChat(id));
    let changes = written(&state.on(Action::Tick(clock(16.0))));
    assert_eq!(changes, [Change::DeleteChat(id)]);
    assert_eq!(state.undo, None);
    assert!(state.on(Action::UndoDelete).is_empty() && titles(&state).is_empty());
}

#[test]
fn deleting_the_chat_that_is_being_answered_ends_the_answer() {
    let (mut state, id) = answering();
    let chat = state.chats.open.head.id;
    let effects = act(&mut state, Action::DeleteChat(chat));
    assert_eq!(effects, [Effect::Post(Request::Cancel { id })]);
    assert_eq!((state.name(), state.chats.list.len()), ("ready", 0));
}

#[test]
fn a_chat_deleted_before_the_page_was_closed_is_gone_after_it() {
    let mut state = crate::support::new();
    let mut head = app::ChatHead::new(app::ChatId(1), 0.0);
    head.deleted = true;
    let effects = crate::support::db(&mut state, crate::support::opened(&[head]));
    assert_eq!(written(&effects), [Change::DeleteChat(app::ChatId(1))]);
    assert!(titles(&state).is_empty());
}

#[test]
fn an_edited_question_replaces_what_follows() {
    let mut state = ready();
    for question in ["One", "Two", "Three"] {
        converse(&mut state, question);
    }
    let key = state.chats.open.turns[1].key;
    let effects = state.on(Action::EditAndResend {
        key,
        text: " 2 ".into(),
    });
    let chat = state.chats.open.head.id;
    let changes = written(&effects);
    assert_eq!(changes[0], Change::DeleteTurnsFrom { chat, number: 2 });
    assert!(
        matches!(&changes[2], Change::PutTurn { turn, .. } if turn.question == "2" && turn.number == 2),
        "{changes:?}"
    );
    let (_, job) = generating(&effects);
    let said: Vec<_> = job
        .messages
        .iter()
        .map(|message| message.content.as_str())
        .collect();
    assert_eq!(said, ["One", "Sure.", "2"]);
    assert_eq!(job.messages[1].ids, [5], "the cache is reused by tokens");
    assert!(state.chats.open.turns[1].key > key, "views draw it anew");
}

#[test]
fn another_answer_has_another_seed_and_replaces_the_first() {
    let mut state = ready();
    converse(&mut state, "One");
    let before = state.chats.open.turns[0].clone();
    let (_, job) = generating(&act(&mut state, Action::Regenerate));
    let turn = &state.chats.open.turns[0];
    assert_eq!(
        (turn.number, turn.question.as_str()),
        (before.number, "One")
    );
    assert_ne!(turn.seed, before.seed);
    assert_eq!(job.sampling.seed, turn.seed);
    assert!(job.resume.is_empty() && turn.answer.text.is_empty());
    assert_eq!(state.chats.open.turns.len(), 1);
}

#[test]
fn settings_are_a_chats_own_and_kept_in_range() {
    let mut state = ready();
    let _set = state.on(Action::SetSystemPrompt("Be brief.".into()));
    assert!(titles(&state).is_empty(), "an empty chat is not stored");
    let wanted = SamplingSettings {
        temperature: 99.0,
        top_p: f64::NAN,
        top_k: 7,
        seed: 5,
        ..SamplingSettings::default()
    };
    let _set = state.on(Action::SetSampling(wanted));
    let sampling = state.sampling();
    assert_eq!(
        (sampling.temperature, sampling.top_p, sampling.top_k),
        (*limits::TEMPERATURE.end(), 1.0, 7)
    );
    let (id, job) = generating(&send(&mut state, "Hi"));
    assert_eq!(
        (job.messages[0].role, job.messages[0].content.as_str()),
        (Role::System, "Be brief.")
    );
    assert_eq!((job.sampling.top_k, job.sampling.temperature), (7, 2.0));
    event(&mut state, answered(id, FinishReason::Stop));
    let changes = written(&state.on(Action::ResetSampling));
    assert!(matches!(&changes[..], [Change::PutChat(head)] if head.sampling.is_none()));
    assert_eq!(
        state.sampling().temperature,
        0.4,
        "what the package suggests"
    );
    let _new = state.on(Action::NewChat);
    assert_eq!(state.chats.open.head.system_prompt, "");
}

#[test]
fn a_window_of_an_earlier_version_is_brought_into_range() {
    let mut state = ready();
    let most = SamplingSettings::MAX_WINDOW;
    assert_eq!(*limits::REPETITION_WINDOW.end(), most);
    state.chats.open.head.sampling = Some(SamplingSettings {
        repetition_window: 1024,
        ..SamplingSettings::default()
    });
    assert_eq!(state.sampling().repetition_window, most);
    let (_, job) = generating(&send(&mut state, "Hi"));
    assert_eq!(job.sampling.repetition_window, most);
    assert_eq!(job.sampling.check(), Ok(()), "the worker takes it");
}

#[test]
fn left_out_messages_and_the_used_context_are_known() {
    let (mut state, id) = answering();
    event(&mut state, Event::Trimmed { id, messages: 4 });
    assert_eq!(state.chats.open.turns[0].answer.trimmed, 4);
    assert_eq!(state.context_use(), None);
    event(
        &mut state,
        crate::support::finished(
            id,
            protocol::Outcome::Answered {
                reason: FinishReason::Stop,
                usage: protocol::Usage {
                    context_tokens: 42,
                    ..protocol::Usage::default()
                },
            },
        ),
    );
    assert_eq!(state.context_use(), Some((42, 100)));
}

#[test]
fn what_no_context_could_hold_is_not_even_sent() {
    let mut state = ready();
    let ask = |state: &mut State, n: usize| {
        let (id, job) = generating(&send(state, &format!("Question {n}")));
        event(state, tokens(id, 0, "Long.", &[7; 60]));
        event(state, Event::Trimmed { id, messages: 3 });
        event(state, answered(id, FinishReason::Stop));
        job.messages
    };
    let sent: Vec<_> = (0..10).map(|n| ask(&mut state, n)).collect();
    // The context is 100 tokens: four times that is filled by seven answers of 60.
    assert_eq!(sent[6].len(), 13);
    assert_eq!(sent[7].len(), 15);
    assert_eq!(sent[9].len(), 15);
    assert_eq!(sent[9][0].content, "Question 2");
    let trimmed = |at: usize| state.chats.open.turns[at].answer.trimmed;
    assert_eq!((trimmed(6), trimmed(9)), (3, 7));
}

#[test]
fn sentences_are_announced_not_tokens() {
    let mut state = ready();
    let (id, _) = generating(&send(&mut state, "Tell"));
    let mut said = Vec::new();
    for (sequence, text) in ["A **te", "rn** flies.", " It", " eats fish. And", " more"]
        .iter()
        .enumerate()
    {
        let tokens = tokens(id, sequence as u32, text, &[1]);
        let mut effects = state.on(Action::Event(tokens));
        effects.retain(|effect| matches!(effect, Effect::Announce(_)));
        said.push(effects);
    }
    assert_eq!(
        said,
        [
            vec![],
            vec![],
            vec![Effect::Announce("A tern flies.".into())],
            vec![Effect::Announce("It eats fish.".into())],
            vec![]
        ]
    );
    let end = state.on(Action::Event(answered(id, FinishReason::Stop)));
    assert!(
        end.contains(&Effect::Announce("And more".into())),
        "{end:?}"
    );
}

#[test]
fn a_chat_that_is_not_open_gets_its_first_question_back_as_its_title() {
    let mut state = ready();
    converse(&mut state, "What is a tern?");
    let id = state.chats.open.head.id;
    let turns = state.chats.open.turns.clone();
    let _titled = rename(&mut state, "Birds");
    let _new = state.on(Action::NewChat);
    let title = "  ".to_owned();
    let asked = [Effect::Db(DbRequest::ReadTurns(id))];
    assert_eq!(state.on(Action::RenameChat { id, title }), asked);
    assert_eq!(titles(&state), ["Birds"], "until it is read");
    let effects = db(&mut state, DbEvent::Turns { chat: id, turns });
    assert_eq!(titles(&state), ["What is a tern?"]);
    let changes = written(&effects);
    assert!(matches!(&changes[..], [Change::PutChat(head)] if !head.titled));
    assert!(
        state.chats.open.turns.is_empty(),
        "it is not opened by that"
    );
}
