//! The first visit, the download, the model's end.

use app::{Action, Effect, Environment, Notice, Opening, Phase, Rate, Screen, State, Switches};
use protocol::{
    ByteCount, Event, Fault, FaultCode, Hello, LoadProgress, LoadStage, Outcome, Request,
    RequestId, StorageReport, StorageState,
};

use crate::support::{
    URL, act, clock, db, event, finished, info, inspecting, loading, new, offer, opened, opening,
    ready, unanswered,
};

/// A page that shows the offer of a model which is not stored.
pub(crate) fn offered() -> State {
    let mut state = new();
    let look = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    assert_eq!(
        event(&mut state, finished(look, Outcome::Inspected(offer(false)))),
        []
    );
    assert_eq!((state.name(), state.engine.phase), ("offer", Phase::Offer));
    state
}

pub(crate) fn progress(fetched: u64, done: u64) -> LoadProgress {
    LoadProgress {
        stage: LoadStage::Download,
        shards_done: 0,
        shards_total: 2,
        bytes_done: ByteCount::saturating(done),
        bytes_total: ByteCount::saturating(10_000_000),
        fetched_bytes: ByteCount::saturating(fetched),
    }
}

#[test]
fn nothing_is_downloaded_before_the_person_says_so() {
    let mut state = offered();
    assert!(!state.can_send());
    assert!(act(&mut state, Action::Send { text: "Hi".into() }).is_empty());
    let effects = state.on(Action::Download);
    assert!(effects.contains(&Effect::Persist));
    let load = loading(&effects);
    assert!(effects.contains(&Effect::WakeLock(true)));
    assert!(state.on(Action::Download).is_empty(), "once");
    let _ready = state.on(Action::Persisted(true));
    assert_eq!(state.environment.persisted, Some(true));
    event(&mut state, finished(load, Outcome::Loaded(info())));
    assert_eq!(state.name(), "ready");
}

#[test]
fn the_address_can_agree_beforehand() {
    let switches = Switches {
        start: true,
        ..Switches::default()
    };
    let mut state = unanswered(Opening {
        switches,
        ..opening()
    });
    let _spawn = state.on(Action::EngineLock(true));
    let effects = event(&mut state, Event::Hello(Hello::own()));
    assert_eq!(effects.len(), 1, "only greeted: {effects:?}");
    loading(&db(&mut state, opened(&[])));
}

#[test]
fn speed_and_time_left_are_smoothed_and_count_only_what_was_fetched() {
    let mut state = offered();
    let load = loading(&state.on(Action::Download));
    // Half of the package was there already.
    let mut at = |seconds: f64, fetched: u64| {
        let progress = progress(fetched, 5_000_000 + fetched);
        event(&mut state, Event::Loading { id: load, progress });
        let _nothing = state.on(Action::Tick(clock(seconds)));
        state.engine.rate
    };
    assert_eq!(at(1.0, 0), None, "one moment has no speed");
    assert_eq!(at(1.5, 500_000), None, "too early");
    assert_eq!(
        at(2.0, 1_000_000),
        Some(Rate {
            bytes_per_second: 1e6,
            seconds_left: 4.0
        })
    );
    assert_eq!(
        at(3.0, 1_000_000),
        Some(Rate {
            bytes_per_second: 750_000.0,
            seconds_left: 4e6 / 750_000.0
        }),
        "a pause slows down, but not to nothing"
    );
    // The clock of the wall does not matter, and one that stands still gives no speed.
    assert_eq!(
        at(3.0, 1_500_000).map(|rate| rate.bytes_per_second),
        Some(750_000.0)
    );
    event(&mut state, finished(load, Outcome::Loaded(info())));
    assert_eq!(state.engine.rate, None);
}

#[test]
fn a_download_can_be_stopped_and_goes_on_from_what_is_stored() {
    let mut state = offered();
    let load = loading(&state.on(Action::Download));
    assert_eq!(
        act(&mut state, Action::CancelDownload),
        [Effect::Post(Request::Cancel { id: load })]
    );
    let look = inspecting(&event(&mut state, finished(load, Outcome::Cancelled)));
    event(&mut state, finished(look, Outcome::Inspected(offer(false))));
    assert_eq!(state.engine.phase, Phase::Offer);
    loading(&act(&mut state, Action::Download));
}

#[test]
fn a_dead_worker_does_not_ask_again_for_a_download_that_was_agreed_on() {
    let mut state = offered();
    let _load = state.on(Action::Download);
    assert_eq!(
        event(&mut state, Event::Trap { text: "oom".into() }),
        [Effect::Terminate, Effect::Spawn]
    );
    loading(&event(&mut state, Event::Hello(Hello::own())));
}

#[test]
fn without_webgpu_nothing_is_offered_and_chats_stay_readable() {
    for secure in [true, false] {
        let mut state = unanswered(Opening {
            environment: Environment {
                webgpu: false,
                secure,
                ..Environment::default()
            },
            ..opening()
        });
        let _spawn = state.on(Action::EngineLock(true));
        assert_eq!(
            event(&mut state, Event::Hello(Hello::own())),
            [Effect::Post(Request::Hello(Hello::own()))]
        );
        let fault = state.engine.fault.clone().unwrap();
        assert_eq!((state.name(), fault.code), ("failed", FaultCode::NoWebGpu));
        assert_eq!(fault.detail.contains("HTTPS"), !secure);
        assert!(state.can_edit());
    }
}

#[test]
fn a_deleted_model_is_offered_again() {
    let mut state = ready();
    let storage = |effects: &[Effect]| -> RequestId {
        let ids = effects.iter().find_map(|effect| match effect {
            Effect::Post(Request::Storage { id }) => Some(*id),
            _ => None,
        });
        ids.unwrap_or_else(|| panic!("{effects:?}"))
    };
    let asked = storage(&act(&mut state, Action::OpenSettings));
    assert_eq!(state.screen, Screen::Settings);
    let report = StorageReport {
        models: Vec::new(),
        usage_bytes: None,
        quota_bytes: None,
        state: StorageState::Durable,
    };
    event(
        &mut state,
        finished(asked, Outcome::Storage(report.clone())),
    );
    assert_eq!(state.environment.storage, Some(report));

    let effects = act(&mut state, Action::DeleteModel(URL.into()));
    let [Effect::Post(Request::DeleteModel { id, .. })] = effects[..] else {
        panic!("{effects:?}")
    };
    assert!(!state.can_send(), "the model is going");
    let bytes = ByteCount::saturating(7);
    let effects = event(&mut state, finished(id, Outcome::Deleted { bytes }));
    assert_eq!(state.notice, Some(Notice::ModelDeleted { bytes: 7 }));
    storage(&effects);
    let look = inspecting(&effects);
    event(&mut state, finished(look, Outcome::Inspected(offer(false))));
    assert_eq!(state.engine.phase, Phase::Offer);
}

#[test]
fn a_model_that_could_not_be_deleted_is_loaded_again() {
    let mut state = ready();
    let effects = act(&mut state, Action::DeleteModel(URL.into()));
    let [Effect::Post(Request::DeleteModel { id, .. })] = effects[..] else {
        panic!("{effects:?}")
    };
    let fault = Fault::new(FaultCode::Storage, "gone");
    let effects = event(
        &mut state,
        Event::Failed {
            id: Some(id),
            fault,
        },
    );
    assert!(matches!(state.notice, Some(Notice::DeleteFailed { .. })));
    let look = inspecting(&effects);
    loading(&event(
        &mut state,
        finished(look, Outcome::Inspected(offer(true))),
    ));
}

#[test]
fn an_update_waits_for_answers_and_downloads() {
    let mut state = offered();
    let _ready = state.on(Action::UpdateReady);
    assert!(state.can_update());
    let load = loading(&state.on(Action::Download));
    assert!(!state.can_update());
    assert!(state.on(Action::ApplyUpdate).is_empty());
    event(&mut state, finished(load, Outcome::Loaded(info())));
    assert_eq!(state.on(Action::ApplyUpdate), [Effect::ApplyUpdate]);
}

#[test]
fn a_download_that_lost_the_network_goes_on_when_it_is_back() {
    for (code, goes_on) in [
        (FaultCode::Network, true),
        (FaultCode::WebPage, true),
        (FaultCode::Corrupt, false),
    ] {
        let mut state = offered();
        let load = loading(&state.on(Action::Download));
        let _offline = state.on(Action::Online(false));
        let fault = Fault::new(code, "gone");
        event(
            &mut state,
            Event::Failed {
                id: Some(load),
                fault,
            },
        );
        assert_eq!(state.name(), "failed");
        let effects = act(&mut state, Action::Online(true));
        let loads = effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Post(Request::Load { .. })));
        assert_eq!(loads.count(), usize::from(goes_on), "{effects:?}");
        assert_eq!(state.engine.phase == Phase::Loading, goes_on);
    }
}
