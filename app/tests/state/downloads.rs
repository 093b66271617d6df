//! A download under way: pauses, troubles, the connection.

use app::{Action, Effect, Phase, State};
use protocol::{
    Event, Fault, FaultCode, FetchTrouble, Hello, LoadProgress, LoadStage, Outcome, Request,
    RequestId, Status,
};

use crate::first_run::{offered, progress};
use crate::support::{act, clock, event, finished, info, inspecting, loading, offer};

#[test]
fn a_download_rests_as_long_as_the_person_wants() {
    let mut state = offered();
    assert!(
        act(&mut state, Action::PauseDownload).is_empty(),
        "nothing runs"
    );
    let load = loading(&state.on(Action::Download));
    assert_eq!(
        act(&mut state, Action::PauseDownload),
        [Effect::Post(Request::Pause { id: load })]
    );
    let effects = state.on(Action::Event(Event::Status(Status::DownloadPaused)));
    assert_eq!(effects, [Effect::WakeLock(false)]);
    assert!(state.engine.download_paused);
    assert_eq!(state.status(), app::strings::DOWNLOAD_PAUSED);
    assert_eq!(
        act(&mut state, Action::ResumeDownload),
        [Effect::Post(Request::Resume { id: load })]
    );
    assert!(!state.engine.download_paused);
    event(&mut state, Event::Status(Status::DownloadResumed));
    event(&mut state, Event::Status(Status::DownloadPaused));
    assert!(state.engine.download_paused);
    event(&mut state, finished(load, Outcome::Loaded(info())));
    assert!(!state.engine.download_paused);
}

#[test]
fn a_download_that_rests_goes_on_resting_in_the_next_worker() {
    let mut state = offered();
    loading(&state.on(Action::Download));
    event(&mut state, Event::Status(Status::DownloadPaused));
    let trap = Event::Trap { text: "x".into() };
    assert_eq!(event(&mut state, trap), [Effect::Terminate, Effect::Spawn]);
    assert_eq!(state.status(), app::strings::DOWNLOAD_PAUSED);
    let effects = event(&mut state, Event::Hello(Hello::own()));
    let load = loading(&effects);
    let (load_at, pause_at) = (
        effects
            .iter()
            .position(|effect| matches!(effect, Effect::Post(Request::Load { .. }))),
        effects
            .iter()
            .position(|effect| *effect == Effect::Post(Request::Pause { id: load })),
    );
    assert!(load_at < pause_at, "{effects:?}");
    // It rests in the new worker until the person says otherwise, also when that has not got to the download yet.
    act(&mut state, Action::ResumeDownload);
    assert!(!state.engine.download_paused);
}

#[test]
fn a_pause_ends_with_its_download() {
    let ends: [fn(&mut State, RequestId); 4] = [
        |state, load| {
            event(state, finished(load, Outcome::Cancelled));
        },
        |state, load| {
            let fault = Fault::new(FaultCode::Storage, "x");
            event(
                state,
                Event::Failed {
                    id: Some(load),
                    fault,
                },
            );
        },
        |state, load| {
            event(state, finished(load, Outcome::Loaded(info())));
        },
        |state, load| {
            let progress = LoadProgress {
                stage: LoadStage::Upload,
                ..progress(1, 1)
            };
            event(state, Event::Loading { id: load, progress });
        },
    ];
    for end in ends {
        let mut state = offered();
        let load = loading(&state.on(Action::Download));
        event(&mut state, Event::Status(Status::DownloadPaused));
        end(&mut state, load);
        assert!(!state.engine.download_paused, "{}", state.name());
    }
}

#[test]
fn troubles_of_a_download_are_told_apart_until_it_goes_on() {
    let mut state = offered();
    let load = loading(&state.on(Action::Download));
    let mut seen = std::collections::HashSet::new();
    for trouble in [
        FetchTrouble::Connection,
        FetchTrouble::Stalled,
        FetchTrouble::Busy,
        FetchTrouble::WebPage,
        FetchTrouble::Wrong,
    ] {
        let status = Status::FetchRetry {
            file: "00000.bin".into(),
            attempt: 2,
            trouble,
            wait_millis: 500,
        };
        event(&mut state, Event::Status(status));
        assert_eq!(state.engine.trouble, Some(trouble));
        assert!(seen.insert(state.status()), "{trouble:?}");
    }
    let last = state.status();
    let progress = progress(1, 1);
    event(&mut state, Event::Loading { id: load, progress });
    assert_eq!(state.status(), last, "another file has come meanwhile");
    act(&mut state, Action::Tick(clock(0.6)));
    event(&mut state, Event::Loading { id: load, progress });
    assert!(seen.insert(state.status()), "no word of trouble is left");
}

#[test]
fn a_download_that_an_answer_waits_for_can_go_on() {
    let mut state = offered();
    loading(&state.on(Action::Download));
    event(&mut state, Event::Status(Status::DownloadPaused));
    let trap = Event::Trap { text: "x".into() };
    event(&mut state, trap);
    let load = loading(&event(&mut state, Event::Hello(Hello::own())));
    act(&mut state, Action::Send { text: "Hi".into() });
    assert_eq!(state.engine.phase, Phase::Answering);
    assert_eq!(
        act(&mut state, Action::ResumeDownload),
        [Effect::Post(Request::Resume { id: load })]
    );
}

#[test]
fn a_late_word_of_a_pause_is_not_believed() {
    let mut state = offered();
    let load = loading(&state.on(Action::Download));
    event(&mut state, finished(load, Outcome::Loaded(info())));
    event(&mut state, Event::Status(Status::DownloadPaused));
    assert!(!state.engine.download_paused);
}

#[test]
fn a_long_wait_that_is_cut_short_is_no_trouble_any_more() {
    let ends: [fn(&mut State); 2] = [
        |state| {
            act(state, Action::Online(false));
            act(state, Action::Online(true));
        },
        |state| {
            act(state, Action::ResumeDownload);
        },
    ];
    for end in ends {
        let mut state = offered();
        loading(&state.on(Action::Download));
        let status = Status::FetchRetry {
            file: "00000.bin".into(),
            attempt: 2,
            trouble: FetchTrouble::Busy,
            wait_millis: 300_000,
        };
        event(&mut state, Event::Status(status));
        assert_eq!(state.engine.trouble, Some(FetchTrouble::Busy));
        end(&mut state);
        assert_eq!(state.engine.trouble, None);
    }
}

#[test]
fn the_worker_hears_of_the_connection_while_it_loads() {
    let mut state = offered();
    assert!(act(&mut state, Action::Online(false)).is_empty());
    let effects = state.on(Action::Download);
    loading(&effects);
    assert!(
        effects.contains(&Effect::Post(Request::Online(false))),
        "{effects:?}"
    );
    assert_eq!(
        act(&mut state, Action::Online(true)),
        [Effect::Post(Request::Online(true))]
    );
}

#[test]
fn the_next_load_in_the_same_worker_knows_that_the_connection_is_back() {
    let mut state = offered();
    let load = loading(&state.on(Action::Download));
    assert_eq!(
        act(&mut state, Action::Online(false)),
        [Effect::Post(Request::Online(false))]
    );
    let look = inspecting(&event(&mut state, finished(load, Outcome::Cancelled)));
    assert!(
        act(&mut state, Action::Online(true)).is_empty(),
        "nothing is fetched"
    );
    event(&mut state, finished(look, Outcome::Inspected(offer(false))));
    let effects = state.on(Action::Download);
    loading(&effects);
    assert!(
        effects.contains(&Effect::Post(Request::Online(true))),
        "{effects:?}"
    );
}
