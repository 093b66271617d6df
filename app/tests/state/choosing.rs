//! Another model: looked up, chosen, remembered.

use app::{Action, Effect, Look, Phase, Screen, State};
use protocol::{Event, Fault, FaultCode, ModelOffer, Outcome, Request, RequestId};

use crate::first_run::offered;
use crate::support::{URL, act, event, finished, info, offer, ready};

const OTHER: &str = "https://huggingface.co/terns/one/tree/main";

/// Looks an address up, and returns the number of the request.
fn look_up(state: &mut State, text: &str) -> RequestId {
    let effects = act(state, Action::LookUp(text.to_owned()));
    let [Effect::Post(Request::Inspect { id, model_url })] = &effects[..] else {
        panic!("expected a look, got {effects:?}")
    };
    assert_eq!(model_url, text.trim());
    assert_eq!(state.engine.look, Some(Look::Asking));
    *id
}

fn other() -> ModelOffer {
    ModelOffer {
        model_url: OTHER.to_owned(),
        ..offer(false)
    }
}

/// The number of the load among these, and the address that it is for.
fn load_of(effects: &[Effect]) -> (RequestId, &str) {
    let load = effects.iter().find_map(|effect| match effect {
        Effect::Post(Request::Load { id, model_url, .. }) => Some((*id, model_url.as_str())),
        _ => None,
    });
    load.unwrap()
}

fn loaded_url(effects: &[Effect]) -> &str {
    load_of(effects).1
}

#[test]
fn what_was_found_takes_the_place_of_what_runs() {
    let mut state = ready();
    let _open = state.on(Action::OpenSettings);
    let look = look_up(&mut state, " terns/one ");
    assert_eq!(state.name(), "ready", "the model stays meanwhile");
    event(&mut state, finished(look, Outcome::Inspected(other())));
    assert_eq!(state.engine.look, Some(Look::Found(other())));
    let effects = state.on(Action::UseModel(OTHER.to_owned()));
    assert!(effects.contains(&Effect::RememberModel(OTHER.to_owned())));
    assert!(effects.contains(&Effect::Persist));
    assert_eq!(loaded_url(&effects), OTHER);
    assert_eq!(
        (state.engine.phase, state.screen),
        (Phase::Loading, Screen::Chat)
    );
    assert_eq!(state.engine.offer, Some(other()));
    assert_eq!((&state.engine.look, &state.engine.model), (&None, &None));
    let load = load_of(&effects).0;
    event(&mut state, finished(load, Outcome::Loaded(info())));
    assert_eq!(state.name(), "ready");
    // And back again: it is stored.
    let effects = state.on(Action::UseModel(URL.to_owned()));
    assert_eq!(loaded_url(&effects), URL);
}

#[test]
fn an_offer_can_be_passed_over() {
    let mut state = offered();
    let look = look_up(&mut state, OTHER);
    event(&mut state, finished(look, Outcome::Inspected(other())));
    let effects = state.on(Action::UseModel(OTHER.to_owned()));
    assert_eq!(loaded_url(&effects), OTHER);
}

#[test]
fn what_is_not_there_changes_nothing() {
    let mut state = ready();
    let look = look_up(&mut state, "nonsense");
    let fault = Fault::new(FaultCode::BadAddress, "no address");
    let failed = Event::Failed {
        id: Some(look),
        fault: fault.clone(),
    };
    assert_eq!(event(&mut state, failed), []);
    assert_eq!(state.engine.look, Some(Look::Failed(fault)));
    assert_eq!((state.name(), &state.engine.fault), ("ready", &None));
}

#[test]
fn only_the_last_look_counts() {
    let mut state = ready();
    let first = look_up(&mut state, "a/b");
    let second = look_up(&mut state, OTHER);
    event(
        &mut state,
        finished(first, Outcome::Inspected(offer(false))),
    );
    assert_eq!(state.engine.look, Some(Look::Asking));
    event(&mut state, finished(second, Outcome::Inspected(other())));
    assert_eq!(state.engine.look, Some(Look::Found(other())));
}

#[test]
fn nothing_is_chosen_while_something_runs() {
    let mut state = offered();
    let _load = state.on(Action::Download);
    assert!(!state.can_choose());
    assert!(act(&mut state, Action::LookUp("a/b".to_owned())).is_empty());
    assert!(act(&mut state, Action::UseModel(OTHER.to_owned())).is_empty());
    let mut state = ready();
    assert!(act(&mut state, Action::LookUp("  ".to_owned())).is_empty());
    assert!(
        act(&mut state, Action::UseModel(URL.to_owned())).is_empty(),
        "it runs"
    );
}
