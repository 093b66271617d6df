//! Whatever happens, in any order.

use std::collections::{BTreeMap, VecDeque};

use app::{
    Action, Change, ChatHead, ChatId, DbEvent, DbRequest, Effect, Finish, Phase, QueuedModel,
    State, Turn,
};
use proptest::prelude::*;
use protocol::{
    Event, Fault, FaultCode, FinishReason, Hello, Outcome, Request, RequestId, SamplingSettings,
    Status,
};

use crate::support::{answered, clock, finished, info, new, offer, ready, tokens};

const LATER: &str = "https://huggingface.co/terns/later/tree/main";

fn later() -> QueuedModel {
    QueuedModel {
        model_url: LATER.into(),
        name: "later".into(),
        bytes: None,
        is_paused: false,
        n_begun: 0,
    }
}

/// What the worker may say; numbers are small so that they often hit.
fn any_event() -> impl Strategy<Value = Event> {
    let id = (1u32..16).prop_map(RequestId);
    let fault = Fault::new(FaultCode::Gpu, "x");
    prop_oneof![
        Just(Event::Hello(Hello::own())),
        Just(Event::Trap { text: "x".into() }),
        Just(Event::Status(Status::DeviceLost { detail: "x".into() })),
        Just(Event::Status(Status::DownloadPaused)),
        Just(Event::Status(Status::DownloadResumed)),
        Just(Event::Retired),
        Just(Event::Beat),
        (id.clone(), any::<bool>())
            .prop_map(|(id, complete)| finished(id, Outcome::Inspected(offer(complete)))),
        id.clone()
            .prop_map(|id| finished(id, Outcome::Loaded(info()))),
        id.clone()
            .prop_map(|id| finished(id, Outcome::Loaded(info()))),
        id.clone().prop_map(|id| finished(id, Outcome::Cancelled)),
        id.clone().prop_map(|id| {
            let model_url = LATER.to_owned();
            finished(id, Outcome::Downloaded { model_url })
        }),
        id.clone().prop_map(|id| answered(id, FinishReason::Stop)),
        id.clone().prop_map(|id| tokens(id, 0, "Done. ", &[7])),
        id.clone().prop_map(|id| tokens(id, 0, "t", &[8])),
        (id.clone(), any::<bool>()).prop_map(|(id, is_slow)| Event::Slowdown {
            id,
            is_slow,
            percent: 50
        }),
        id.prop_map(move |id| Event::Failed {
            id: Some(id),
            fault: fault.clone()
        }),
    ]
}

/// What the person and the browser may do.
fn any_deed() -> impl Strategy<Value = Action> {
    let text = || "q".to_owned();
    let chat = (0usize..3).prop_map(|index| ChatId(index as u64));
    prop_oneof![
        (0u32..40).prop_map(|seconds| Action::Tick(clock(f64::from(seconds)))),
        Just(Action::Send { text: text() }),
        Just(Action::Send { text: text() }),
        Just(Action::Stop),
        Just(Action::Regenerate),
        Just(Action::Continue),
        (0u32..9).prop_map(move |key| Action::EditAndResend { key, text: text() }),
        Just(Action::NewChat),
        chat.clone().prop_map(Action::OpenChat),
        chat.clone().prop_map(Action::DeleteChat),
        Just(Action::UndoDelete),
        Just(Action::SetSampling(SamplingSettings::default())),
        Just(Action::Download),
        Just(Action::PauseDownload),
        Just(Action::ResumeDownload),
        Just(Action::CancelDownload),
        Just(Action::Retry),
        Just(Action::DeleteModel(crate::support::URL.into())),
        Just(Action::QueueModel(later())),
        Just(Action::PauseQueued(LATER.into())),
        Just(Action::ResumeQueued(LATER.into())),
        Just(Action::RemoveQueued(LATER.into())),
        Just(Action::CheckModel(crate::support::URL.into())),
        Just(Action::CancelCheck),
        Just(Action::UseModel(LATER.into())),
        Just(Action::OpenSettings),
        any::<bool>().prop_map(|hidden| Action::Visibility { hidden }),
        any::<bool>().prop_map(Action::EngineLock),
        Just(Action::UseHere),
        Just(Action::UpdateReady),
        Just(Action::ApplyUpdate),
        Just(Action::ExportAll),
    ]
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![any_event().prop_map(Action::Event), any_deed()]
}

/// A database that does what it is asked, later.
#[derive(Default)]
struct Disk {
    /// For the coming writes, whether they fail.
    failures: VecDeque<bool>,
    queue: VecDeque<DbRequest>,
    heads: BTreeMap<ChatId, ChatHead>,
    turns: BTreeMap<(ChatId, u32), Turn>,
}

impl Disk {
    fn ask(&mut self, effects: &[Effect]) {
        let requests = effects.iter().filter_map(|effect| match effect {
            Effect::Db(request) => Some(request.clone()),
            _ => None,
        });
        self.queue.extend(requests);
    }

    /// Works on the oldest request, and tells the page what came of it.
    fn step(&mut self, state: &mut State) -> Vec<Effect> {
        let request = self.queue.pop_front();
        let answer = request.and_then(|request| self.perform(&request));
        answer.map_or_else(Vec::new, |answer| state.on(Action::Db(answer)))
    }

    /// Performs a request, and answers.
    fn perform(&mut self, request: &DbRequest) -> Option<DbEvent> {
        match request {
            DbRequest::Open => Some(DbEvent::Opened {
                chats: self.heads.values().cloned().collect(),
                preferences: None,
                flight: None,
            }),
            DbRequest::ReadTurns(chat) => Some(DbEvent::Turns {
                chat: *chat,
                turns: self.of(*chat),
            }),
            DbRequest::Write(_) if self.failures.pop_front() == Some(true) => {
                Some(DbEvent::WriteFailed {
                    full: self.failures.len().is_multiple_of(2),
                    detail: "scripted".into(),
                })
            }
            DbRequest::Write(changes) => {
                changes.iter().for_each(|change| self.change(change));
                Some(DbEvent::Written)
            }
            DbRequest::Rest | DbRequest::Wake | DbRequest::ReadAll(_) => None,
        }
    }

    fn of(&self, chat: ChatId) -> Vec<Turn> {
        let range = (chat, 0)..=(chat, u32::MAX);
        self.turns
            .range(range)
            .map(|(_, turn)| turn.clone())
            .collect()
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::PutChat(head) => drop(self.heads.insert(head.id, head.clone())),
            Change::PutTurn { chat, turn } => {
                let mut turn = turn.clone();
                turn.key = 0;
                turn.answer.prefill = None;
                self.turns.insert((*chat, turn.number), turn);
            }
            Change::DeleteTurnsFrom { chat, number } => {
                self.turns.retain(|(of, at), _| of != chat || at < number);
            }
            Change::DeleteChat(id) => {
                self.heads.remove(id);
                self.turns.retain(|(of, _), _| of != id);
            }
            Change::PutPreferences(_) | Change::PutFlight(_) => {}
        }
    }
}

fn n_tokens(state: &State) -> usize {
    let turns = &state.chats.open.turns;
    turns.iter().map(|turn| turn.answer.ids.len()).sum()
}

/// The deeds that are meant to take tokens off the screen.
fn forgets(action: &Action) -> bool {
    matches!(
        action,
        Action::NewChat
            | Action::OpenChat(_)
            | Action::DeleteChat(_)
            | Action::UndoDelete
            | Action::Regenerate
            | Action::EditAndResend { .. }
            | Action::EngineLock(_)
    )
}

/// What must be true at any moment.
fn check(state: &State) -> Result<(), TestCaseError> {
    let phase = state.engine.phase;
    let turns = &state.chats.open.turns;
    let unfinished = turns
        .iter()
        .filter(|turn| turn.answer.finish.is_none())
        .count();
    let is_running = matches!(phase, Phase::Answering | Phase::Paused);
    prop_assert_eq!(unfinished, usize::from(is_running));
    prop_assert!(turns.is_sorted_by(|a, b| a.key < b.key && a.number < b.number));
    prop_assert_eq!(phase == Phase::Failed, state.name() == "failed");
    if phase == Phase::Failed {
        prop_assert!(state.engine.fault.is_some());
    }
    if phase == Phase::Ready {
        prop_assert!(state.engine.model.is_some());
    }
    prop_assert!(
        phase != Phase::Answering || !state.environment.hidden || state.engine.model.is_none()
    );
    Ok(())
}

/// What the effects of one action must obey.
fn check_effects(effects: &[Effect], last_id: &mut u32) -> Result<(), TestCaseError> {
    let spawns = effects
        .iter()
        .filter(|effect| **effect == Effect::Spawn)
        .count();
    prop_assert!(spawns <= 1);
    let (background, asked): (Vec<_>, Vec<_>) = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Post(request) if request.id().is_some() => Some(request),
            _ => None,
        })
        .partition(|request| {
            matches!(
                request,
                Request::Download { .. } | Request::VerifyModel { .. }
            )
        });
    prop_assert!(
        background.is_empty() || (background.len() == 1 && asked.is_empty()),
        "work in the background is begun when nothing else is asked for"
    );
    let mut generated = false;
    for effect in effects {
        if let Effect::Post(request) = effect {
            generated |= matches!(request, Request::Generate { .. });
            if let Some(id) = request.id() {
                prop_assert!(id.0 > *last_id, "request numbers rise");
                *last_id = id.0;
            }
        }
        let writes = matches!(effect, Effect::Db(DbRequest::Write(_)));
        prop_assert!(
            !(writes && generated),
            "a question is written before it is asked"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn whatever_happens_the_state_stays_sound(
        is_ready in any::<bool>(),
        failures in proptest::collection::vec(proptest::bool::weighted(0.3), 0..40),
        actions in proptest::collection::vec((any_action(), 0u32..4), 0..90),
    ) {
        let mut state = if is_ready { ready() } else { new() };
        // The disk answers late, and sometimes fails to write.
        let mut disk = Disk { failures: failures.into(), ..Disk::default() };
        if is_ready {
            // What it wrote before it loaded.
            let effects = state.on(Action::Db(DbEvent::Written));
            prop_assert_eq!(effects, []);
        }
        // A page that is ready has looked, loaded and asked for the device.
        let mut last_id = if is_ready { 3 } else { 0 };
        for (action, steps) in actions {
            let action = with_chats_there_are(action, &state);
            let before = n_tokens(&state);
            let may_forget = forgets(&action);
            let effects = state.on(action);
            check_effects(&effects, &mut last_id)?;
            check(&state)?;
            prop_assert!(may_forget || n_tokens(&state) >= before, "accepted tokens are never lost");
            disk.ask(&effects);
            for _ in 0..steps {
                let effects = disk.step(&mut state);
                disk.ask(&effects);
                check(&state)?;
            }
        }
        // Some seconds with a disk that works, and a page that is closed then has lost nothing.
        disk.failures.clear();
        let effects = state.on(Action::Visibility { hidden: false });
        disk.ask(&effects);
        for second in [50.0, 70.0, 90.0] {
            let effects = state.on(Action::Tick(clock(second)));
            disk.ask(&effects);
            while !disk.queue.is_empty() {
                let effects = disk.step(&mut state);
                disk.ask(&effects);
            }
        }
        prop_assert!(!state.environment.database.is_in_memory_only());
        let open = &state.chats.open;
        if !open.loading {
            let shown: Vec<Turn> = open.turns.iter().cloned().map(as_stored).collect();
            let stored: Vec<Turn> = disk.of(open.head.id).into_iter().map(as_stored).collect();
            prop_assert_eq!(shown, stored);
        }
        for head in &state.chats.list {
            prop_assert_eq!(disk.heads.get(&head.id), Some(head));
        }
    }
}

/// A turn without what a page does not store, or reads otherwise than it wrote it.
fn as_stored(mut turn: Turn) -> Turn {
    turn.key = 0;
    turn.answer.prefill = None;
    turn.answer.finish.get_or_insert(Finish::Interrupted);
    // Counted with the next write.
    turn.answer.recoveries = 0;
    turn.answer.model.clear();
    turn
}

/// Chats have random numbers; a small one stands for a place in the list.
fn with_chats_there_are(action: Action, state: &State) -> Action {
    let nth = |id: ChatId| {
        let index = usize::try_from(id.0).unwrap_or(0);
        state.chats.list.get(index).map_or(id, |head| head.id)
    };
    match action {
        Action::OpenChat(id) => Action::OpenChat(nth(id)),
        Action::DeleteChat(id) => Action::DeleteChat(nth(id)),
        action => action,
    }
}

/// Found by the above: the tab has the engine back, and has not read again what the other one may have stored.
#[test]
fn nothing_is_asked_before_chats_of_another_tab_are_read() {
    let mut state = ready();
    for action in [
        Action::Send { text: "q".into() },
        Action::EngineLock(false),
        Action::Event(Event::Retired),
        Action::EngineLock(true),
        Action::Event(Event::Trap { text: "x".into() }),
    ] {
        let _ = state.on(action);
    }
    assert!(state.engine.recovering && !state.can_send() && !state.can_regenerate());
    let opened = DbEvent::Opened {
        chats: state.chats.list.clone(),
        preferences: None,
        flight: None,
    };
    let _ = state.on(Action::Db(opened));
    let (chat, turns) = (state.chats.open.head.id, Vec::new());
    let _ = state.on(Action::Db(DbEvent::Turns { chat, turns }));
    assert!(state.can_send());
}
