//! Models beside the one that runs: the queue of downloads.

use app::{Action, Effect, Notice, Opening, Phase, QueuedModel, State};
use protocol::{
    ByteCount, Event, Fault, FaultCode, FinishReason, LoadProgress, LoadStage, Outcome, Request,
    RequestId, StorageReport, StorageState,
};

use crate::support::{
    URL, act, answered, event, finished, generating, greet, info, opening, ready, send, unanswered,
};

pub(crate) const FIRST: &str = "https://huggingface.co/terns/first/tree/main";
pub(crate) const SECOND: &str = "https://huggingface.co/terns/second/tree/main";

fn model(url: &str) -> QueuedModel {
    QueuedModel {
        model_url: url.to_owned(),
        name: url.rsplit('/').nth(2).unwrap_or_default().to_owned(),
        bytes: Some(ByteCount::saturating(1000)),
        is_paused: false,
        n_begun: 0,
    }
}

pub(crate) fn queue(state: &mut State, url: &str) -> Vec<Effect> {
    state.on(Action::QueueModel(model(url)))
}

/// The download that these effects begin, if they begin one.
pub(crate) fn downloading(effects: &[Effect]) -> Option<(RequestId, &str)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Post(Request::Download { id, model_url }) => Some((*id, model_url.as_str())),
        _ => None,
    })
}

pub(crate) fn cancelled(effects: &[Effect]) -> Vec<RequestId> {
    let ids = effects.iter().filter_map(|effect| match effect {
        Effect::Post(Request::Cancel { id }) => Some(*id),
        _ => None,
    });
    ids.collect()
}

/// What later visits find, if these effects change it.
fn remembered(effects: &[Effect]) -> Option<Vec<(&str, bool)>> {
    effects.iter().find_map(|effect| match effect {
        Effect::RememberQueue(models) => Some(
            models
                .iter()
                .map(|model| (&*model.model_url, model.is_paused))
                .collect(),
        ),
        _ => None,
    })
}

/// Answers the question about storage among these effects, and returns what follows.
fn stored(state: &mut State, effects: &[Effect]) -> Vec<Effect> {
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Post(Request::Storage { id }) => Some(*id),
        _ => None,
    });
    let report = StorageReport {
        models: vec![],
        usage_bytes: None,
        quota_bytes: None,
        state: StorageState::Durable,
    };
    let id = asked.unwrap_or_else(|| panic!("storage is not asked for: {effects:?}"));
    state.on(Action::Event(finished(id, Outcome::Storage(report))))
}

fn fetched(id: RequestId, url: &str) -> Event {
    let model_url = url.to_owned();
    finished(id, Outcome::Downloaded { model_url })
}

pub(crate) fn so_far(id: RequestId, stage: LoadStage, bytes: u64) -> Event {
    let bytes = ByteCount::saturating(bytes);
    Event::Loading {
        id,
        progress: LoadProgress {
            stage,
            shards_done: 0,
            shards_total: 2,
            bytes_done: bytes,
            bytes_total: ByteCount::saturating(1 << 30),
            fetched_bytes: bytes,
        },
    }
}

fn urls(state: &State) -> Vec<&str> {
    let queue = state.manager.queue.iter();
    queue.map(|queued| &*queued.model.model_url).collect()
}

#[test]
fn models_are_downloaded_one_after_the_other() {
    let mut state = ready();
    let effects = queue(&mut state, FIRST);
    let (first, url) = downloading(&effects).unwrap();
    assert_eq!(url, FIRST);
    assert_eq!(remembered(&effects), Some(vec![(FIRST, false)]));
    let effects = queue(&mut state, SECOND);
    assert_eq!(downloading(&effects), None, "one at a time");
    assert_eq!(
        remembered(&effects),
        Some(vec![(FIRST, false), (SECOND, false)])
    );
    assert!(state.is_fetching(FIRST) && !state.is_fetching(SECOND));
    let _nothing = state.on(Action::Event(so_far(first, LoadStage::Download, 5)));
    let progress = state.queued(FIRST).unwrap().progress.unwrap();
    assert_eq!(progress.bytes_done.get(), 5);
    assert_eq!(state.engine.progress, None, "it is not the model's");
    let effects = state.on(Action::Event(fetched(first, FIRST)));
    assert_eq!(remembered(&effects), Some(vec![(SECOND, false)]));
    assert!(matches!(&state.notice, Some(Notice::ModelFetched { name }) if name == "first"));
    let effects = stored(&mut state, &effects);
    assert_eq!(downloading(&effects).unwrap().1, SECOND);
    assert_eq!(state.name(), "ready", "the model stays");
}

#[test]
fn a_question_goes_first_and_the_download_goes_on_behind_its_answer() {
    let mut state = ready();
    let (first, _) = downloading(&queue(&mut state, FIRST)).unwrap();
    let effects = send(&mut state, "Hello?");
    let (answer, _) = generating(&effects);
    assert_eq!(cancelled(&effects), [first]);
    let ended = event(&mut state, finished(first, Outcome::Cancelled));
    assert_eq!(downloading(&ended), None, "not while it is answered");
    assert_eq!(urls(&state), [FIRST], "and it is not forgotten");
    assert!(state.queued(FIRST).unwrap().fault.is_none());
    let effects = event(&mut state, answered(answer, FinishReason::Stop));
    let (again, url) = downloading(&effects).unwrap();
    assert!(again > first && url == FIRST);
}

#[test]
fn whatever_is_asked_of_the_worker_goes_first() {
    for action in [
        Action::OpenSettings,
        Action::LookUp("a/b".into()),
        Action::SaveModel(URL.into()),
        Action::DescribeModel(URL.into()),
        Action::DeleteModel(FIRST.into()),
        Action::UseModel(SECOND.into()),
        Action::Try(app::Trial::Benchmark),
    ] {
        let mut state = ready();
        let (first, _) = downloading(&queue(&mut state, FIRST)).unwrap();
        let effects = act(&mut state, action.clone());
        assert_eq!(cancelled(&effects), [first], "{action:?}");
        assert_eq!(downloading(&effects), None, "{action:?}");
    }
}

#[test]
fn a_model_that_rests_lets_the_next_one_go() {
    let mut state = ready();
    let (first, _) = downloading(&queue(&mut state, FIRST)).unwrap();
    let _waits = queue(&mut state, SECOND);
    let effects = state.on(Action::PauseQueued(FIRST.into()));
    assert_eq!(cancelled(&effects), [first]);
    assert_eq!(
        remembered(&effects),
        Some(vec![(FIRST, true), (SECOND, false)])
    );
    // What ends it comes first.
    let effects = event(&mut state, finished(first, Outcome::Cancelled));
    let (second, url) = downloading(&effects).unwrap();
    assert_eq!(url, SECOND);
    let effects = state.on(Action::ResumeQueued(FIRST.into()));
    assert_eq!(downloading(&effects), None);
    let effects = state.on(Action::Event(fetched(second, SECOND)));
    let effects = stored(&mut state, &effects);
    assert_eq!(downloading(&effects).unwrap().1, FIRST);
}

#[test]
fn what_is_removed_is_not_downloaded() {
    let mut state = ready();
    let (first, _) = downloading(&queue(&mut state, FIRST)).unwrap();
    let effects = state.on(Action::RemoveQueued(FIRST.into()));
    assert_eq!(cancelled(&effects), [first]);
    assert_eq!(remembered(&effects), Some(vec![]));
    let ended = state.on(Action::Event(finished(first, Outcome::Cancelled)));
    assert_eq!((downloading(&ended), urls(&state)), (None, vec![]));
}

#[test]
fn what_fails_lets_the_next_one_go_and_waits_for_somebody() {
    let mut state = ready();
    let (first, _) = downloading(&queue(&mut state, FIRST)).unwrap();
    let _waits = queue(&mut state, SECOND);
    let fault = Fault::new(FaultCode::Network, "no answer");
    let failed = Event::Failed {
        id: Some(first),
        fault: fault.clone(),
    };
    let effects = state.on(Action::Event(failed));
    assert_eq!(state.name(), "ready");
    assert_eq!(state.queued(FIRST).unwrap().fault, Some(fault));
    let effects = stored(&mut state, &effects);
    let (second, url) = downloading(&effects).unwrap();
    assert_eq!(url, SECOND);
    let effects = state.on(Action::Event(fetched(second, SECOND)));
    assert_eq!(downloading(&stored(&mut state, &effects)), None);
    // The connection is back.
    let effects = state.on(Action::Online(true));
    assert_eq!(downloading(&effects).unwrap().1, FIRST);
}

#[test]
fn a_worker_that_dies_of_a_download_does_not_get_it_again() {
    let mut state = ready();
    let _first = queue(&mut state, FIRST);
    let _waits = queue(&mut state, SECOND);
    let effects = event(&mut state, Event::Trap { text: "x".into() });
    assert!(downloading(&effects).is_none());
    let fault = state.queued(FIRST).unwrap().fault.as_ref().unwrap();
    assert_eq!(fault.code, FaultCode::Trap);
    assert!(state.queued(SECOND).unwrap().is_waiting());
}

#[test]
fn a_lost_device_is_brought_back_first() {
    let mut state = ready();
    let (first, _) = downloading(&queue(&mut state, FIRST)).unwrap();
    let lost = protocol::Status::DeviceLost { detail: "x".into() };
    let effects = event(&mut state, Event::Status(lost));
    assert_eq!(downloading(&effects), None);
    let effects = event(&mut state, finished(first, Outcome::Cancelled));
    assert_eq!(downloading(&effects), None);
    assert!(state.queued(FIRST).unwrap().is_waiting());
}

#[test]
fn the_queue_is_there_when_the_app_is_opened_again() {
    let queue = vec![
        QueuedModel {
            is_paused: true,
            ..model(FIRST)
        },
        model(SECOND),
    ];
    let mut state = unanswered(Opening { queue, ..opening() });
    let _spawn = state.on(Action::EngineLock(true));
    let _open = state.on(Action::Db(crate::support::opened(&[])));
    let load = greet(&mut state);
    assert_eq!(urls(&state), [FIRST, SECOND]);
    let effects = event(&mut state, finished(load, Outcome::Loaded(info())));
    assert_eq!(downloading(&effects), None, "the device is described first");
    let effects = state.on(Action::Event(Event::Beat));
    assert_eq!(downloading(&effects).unwrap().1, SECOND);
}

#[test]
fn what_ends_every_page_is_not_begun_for_ever() {
    let mut kept = model(FIRST);
    for _ in 0..5 {
        let mut state = ready();
        let _recalled = state.on(Action::QueueRecalled(vec![kept]));
        let effects = state.on(Action::Event(Event::Beat));
        let _begun = downloading(&effects);
        kept = state.manager.queue[0].model.clone();
        assert!(!kept.is_paused, "{kept:?}");
    }
    let mut state = ready();
    let effects = state.on(Action::QueueRecalled(vec![kept.clone()]));
    assert_eq!(downloading(&effects), None);
    assert!(state.manager.queue[0].model.is_paused);
    // A person may try again, and what gets somewhere is no such thing.
    let effects = state.on(Action::ResumeQueued(FIRST.into()));
    let (first, _) = downloading(&effects).unwrap();
    assert_eq!(state.manager.queue[0].model.n_begun, 1);
    let _nothing = state.on(Action::Event(so_far(first, LoadStage::Download, 9 << 20)));
    assert_eq!(state.manager.queue[0].model.n_begun, 0);
}

#[test]
fn another_tab_keeps_its_hands_off() {
    let mut state = ready();
    let _first = queue(&mut state, FIRST);
    let effects = state.on(Action::EngineLock(false));
    assert_eq!(remembered(&effects), None);
    assert!(state.on(Action::QueueModel(model(SECOND))).is_empty());
    assert_eq!(
        remembered(&state.on(Action::RemoveQueued(FIRST.into()))),
        None
    );
    assert_eq!(urls(&state), [FIRST]);
    let effects = state.on(Action::EngineLock(true));
    assert!(effects.contains(&Effect::RecallQueue));
    let effects = state.on(Action::QueueRecalled(vec![model(SECOND)]));
    assert_eq!((urls(&state), remembered(&effects)), (vec![SECOND], None));
}

#[test]
fn a_model_that_is_used_leaves_the_queue() {
    let mut state = ready();
    let _first = queue(&mut state, FIRST);
    let _second = queue(&mut state, SECOND);
    let effects = state.on(Action::UseModel(FIRST.into()));
    assert_eq!(remembered(&effects), Some(vec![(SECOND, false)]));
    assert_eq!(state.engine.phase, Phase::Loading);
    // More can be queued meanwhile, but not the same.
    assert!(queue(&mut state, FIRST).is_empty());
    assert_eq!(urls(&state), [SECOND]);
}
