//! Models out of files, and into them.

use app::{Action, Effect, Look, Notice, Phase, Screen, State};
use protocol::{
    ByteCount, Event, Fault, FaultCode, ModelOffer, Outcome, Request, RequestId, StorageReport,
    StorageState, StoredModel,
};

use crate::first_run::offered;
use crate::support::{URL, act, event, finished, info, offer, ready};

const FILES: &str = "files:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn of_files() -> ModelOffer {
    ModelOffer {
        model_url: FILES.to_owned(),
        ..offer(false)
    }
}

/// The number of the request that opens files, which is the last of these effects.
fn opening(effects: &[Effect], n_files: u32) -> RequestId {
    let Some(Effect::Post(Request::OpenFiles { id, files })) = effects.last() else {
        panic!("expected files to be opened, got {effects:?}")
    };
    assert_eq!(*files, n_files);
    *id
}

fn failed(id: RequestId, code: FaultCode) -> Event {
    Event::Failed {
        id: Some(id),
        fault: Fault::new(code, "scripted"),
    }
}

/// The number of the load among these effects.
fn loading(effects: &[Effect]) -> RequestId {
    let load = effects.iter().find_map(|effect| match effect {
        Effect::Post(Request::Load { id, model_url, .. }) if model_url == FILES => Some(*id),
        _ => None,
    });
    load.unwrap()
}

/// A page that has chosen files and uses what they are, and the number of the load.
fn using(mut state: State) -> (State, RequestId) {
    let open = opening(&act(&mut state, Action::FilesChosen(1)), 1);
    event(&mut state, finished(open, Outcome::Inspected(of_files())));
    assert_eq!(state.engine.look, Some(Look::Found(of_files())));
    let effects = state.on(Action::UseModel(FILES.to_owned()));
    let remembers = |effect: &Effect| matches!(effect, Effect::RememberModel(_));
    assert!(!effects.iter().any(remembers), "{effects:?}");
    let load = loading(&effects);
    assert!(state.is_of_files() && state.engine.phase == Phase::Loading);
    (state, load)
}

#[test]
fn chosen_files_are_looked_at_in_the_settings_and_remembered_when_they_are_copied() {
    for state in [ready(), offered()] {
        let (mut state, load) = using(state);
        let effects = state.on(Action::Event(finished(load, Outcome::Loaded(info()))));
        assert!(effects.contains(&Effect::RememberModel(FILES.to_owned())));
        assert_eq!(state.name(), "ready");
    }
}

#[test]
fn files_may_be_dropped_anywhere() {
    let mut state = ready();
    let effects = state.on(Action::PickModelFiles);
    assert_eq!(effects, [Effect::PickModelFiles]);
    assert_eq!(state.screen, Screen::Chat, "none is chosen yet");
    let effects = act(&mut state, Action::FilesChosen(3));
    opening(&effects, 3);
    assert_eq!(
        (state.screen, &state.engine.look),
        (Screen::Settings, &Some(Look::Asking))
    );
    let again = act(&mut state, Action::FilesChosen(1));
    let last = opening(&again, 1);
    assert_eq!(again.len(), 1, "the settings are open");
    event(
        &mut state,
        failed(opening(&effects, 3), FaultCode::BadFiles),
    );
    assert_eq!(
        state.engine.look,
        Some(Look::Asking),
        "only the last look counts"
    );
    event(&mut state, failed(last, FaultCode::BadFiles));
    let fault = Fault::new(FaultCode::BadFiles, "scripted");
    assert_eq!(state.engine.look, Some(Look::Failed(fault)));
    assert_eq!(state.name(), "ready");
}

#[test]
fn files_are_left_alone_while_something_runs() {
    let mut state = offered();
    let _load = state.on(Action::Download);
    for action in [Action::PickModelFiles, Action::SaveModel(URL.to_owned())] {
        assert_eq!(state.on(action), []);
    }
    assert_eq!(state.notice, None);
    // What was dropped all the same is let go, with a word.
    let effects = state.on(Action::FilesChosen(1));
    assert_eq!(effects, [Effect::DropFiles]);
    assert_eq!(state.notice, Some(Notice::FilesLeft));
    assert_eq!(act(&mut ready(), Action::FilesChosen(0)), []);
}

#[test]
fn files_that_are_gone_are_forgotten() {
    let (mut state, load) = using(ready());
    let effects = state.on(Action::Event(failed(load, FaultCode::FilesGone)));
    let forgets = |effect: &Effect| matches!(effect, Effect::ForgetModel(_));
    let of_these = Effect::ForgetModel(FILES.to_owned());
    let forgotten: Vec<_> = effects.into_iter().filter(forgets).collect();
    assert_eq!(forgotten, [of_these], "another one is kept");
    assert_eq!(state.name(), "failed");
    let (mut state, load) = using(ready());
    let effects = state.on(Action::Event(failed(load, FaultCode::BadFiles)));
    assert!(!effects.iter().any(forgets), "it was never remembered");
}

/// What is stored of the model in files.
fn stored(state: &mut State, complete: bool) {
    let model = StoredModel {
        model_url: FILES.to_owned(),
        name: "Files".to_owned(),
        stored_bytes: ByteCount::default(),
        total_bytes: ByteCount::default(),
        shards: 1,
        complete,
    };
    state.environment.storage = Some(StorageReport {
        models: vec![model],
        usage_bytes: None,
        quota_bytes: None,
        state: StorageState::Durable,
    });
}

#[test]
fn a_model_that_lacks_files_is_used_only_with_them_at_hand() {
    let mut state = ready();
    stored(&mut state, false);
    assert!(!state.can_use(FILES));
    assert_eq!(state.on(Action::UseModel(FILES.to_owned())), []);
    let (state, _) = using(state);
    assert_eq!(state.engine.phase, Phase::Loading);
    let mut state = ready();
    stored(&mut state, true);
    loading(&state.on(Action::UseModel(FILES.to_owned())));
}

#[test]
fn the_usual_model_takes_the_place_of_deleted_files() {
    let (mut state, load) = using(ready());
    event(&mut state, finished(load, Outcome::Loaded(info())));
    let effects = act(&mut state, Action::DeleteModel(FILES.to_owned()));
    let Some(Effect::Post(Request::DeleteModel { id, .. })) = effects.last() else {
        panic!("expected a deletion, got {effects:?}")
    };
    let bytes = ByteCount::default();
    let effects = state.on(Action::Event(finished(*id, Outcome::Deleted { bytes })));
    assert!(effects.contains(&Effect::ForgetModel(FILES.to_owned())));
    let inspected = effects.iter().find_map(|effect| match effect {
        Effect::Post(Request::Inspect { model_url, .. }) => Some(&**model_url),
        _ => None,
    });
    assert_eq!(inspected, Some(URL));
    assert!(!state.is_of_files());
    // One that could not be deleted is looked at again.
    let (mut state, load) = using(ready());
    event(&mut state, finished(load, Outcome::Loaded(info())));
    let effects = act(&mut state, Action::DeleteModel(FILES.to_owned()));
    let Some(Effect::Post(Request::DeleteModel { id, .. })) = effects.last() else {
        panic!("expected a deletion, got {effects:?}")
    };
    let effects = state.on(Action::Event(failed(*id, FaultCode::Storage)));
    let forgets = |effect: &Effect| matches!(effect, Effect::ForgetModel(_));
    assert!(state.is_of_files() && !effects.iter().any(forgets));
}

/// Asks for a model as a file, and returns the number of the request.
fn save(state: &mut State) -> RequestId {
    let effects = act(state, Action::SaveModel(URL.to_owned()));
    let [Effect::Post(Request::SaveModel { id, model_url })] = &effects[..] else {
        panic!("expected a file to be made, got {effects:?}")
    };
    assert_eq!((&**model_url, state.saved_model()), (URL, Some(URL)));
    *id
}

#[test]
fn a_model_is_saved_as_a_file() {
    let mut state = ready();
    let id = save(&mut state);
    assert_eq!(
        act(&mut state, Action::SaveModel(URL.to_owned())),
        [],
        "one at a time"
    );
    let name = "Tern-135M.tern.tar".to_owned();
    let saved = Outcome::Saved {
        name: name.clone(),
        bytes: ByteCount::default(),
    };
    let effects = state.on(Action::Event(finished(id, saved)));
    assert_eq!(effects, [Effect::SaveMade { name }]);
    assert_eq!((state.saved_model(), state.name()), (None, "ready"));
    // What goes wrong is told, and changes nothing.
    let id = save(&mut state);
    assert_eq!(event(&mut state, failed(id, FaultCode::Corrupt)), []);
    let detail = "scripted".to_owned();
    assert_eq!(state.notice, Some(Notice::ExportFailed { detail }));
    assert_eq!((state.saved_model(), state.name()), (None, "ready"));
}

#[test]
fn a_save_that_ends_with_its_worker_is_told() {
    let mut state = ready();
    save(&mut state);
    act(&mut state, Action::WorkerError("scripted".to_owned()));
    assert_eq!(state.saved_model(), None);
    let told = matches!(state.notice, Some(Notice::ExportFailed { .. }));
    assert!(told, "{:?}", state.notice);
}
