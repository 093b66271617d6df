//! A stored model is checked, and what is known of it is shown.

use app::{Action, CheckState, Effect, State};
use protocol::{
    ByteCount, Event, Fault, FaultCode, FinishReason, Hello, LoadStage, Outcome, Request,
    RequestId, VerifyReport,
};

use crate::manager::{FIRST, SECOND, cancelled, downloading, queue, so_far};
use crate::support::{URL, act, answered, event, finished, generating, ready, send};

fn check(state: &mut State) -> RequestId {
    let effects = act(state, Action::CheckModel(URL.into()));
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Post(Request::VerifyModel { id, model_url }) if model_url == URL => Some(*id),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no check: {effects:?}"))
}

fn report(broken: &[&str]) -> VerifyReport {
    VerifyReport {
        files: 5,
        bytes: ByteCount::saturating(1000),
        repaired: vec![],
        broken: broken.iter().map(|&name| name.to_owned()).collect(),
        fault: None,
    }
}

fn state_of_check(state: &State) -> Option<&CheckState> {
    state.manager.check.as_ref().map(|check| &check.state)
}

#[test]
fn a_check_tells_how_far_it_is_and_what_it_found() {
    let mut state = ready();
    let id = check(&mut state);
    assert_eq!(state_of_check(&state), Some(&CheckState::Running(None)));
    let _nothing = state.on(Action::Event(so_far(id, LoadStage::Verify, 7)));
    assert!(matches!(
        state_of_check(&state),
        Some(CheckState::Running(Some(progress))) if progress.bytes_done.get() == 7
    ));
    let _nothing = state.on(Action::Event(finished(
        id,
        Outcome::Verified(report(&["x"])),
    )));
    assert_eq!(
        state_of_check(&state),
        Some(&CheckState::Done(report(&["x"])))
    );
}

#[test]
fn a_check_takes_its_turn_before_downloads_and_behind_questions() {
    let mut state = ready();
    let (first, _) = downloading(&queue(&mut state, FIRST)).unwrap();
    let effects = act(&mut state, Action::CheckModel(URL.into()));
    assert_eq!(cancelled(&effects), [first]);
    let effects = event(&mut state, finished(first, Outcome::Cancelled));
    let Some(Effect::Post(Request::VerifyModel { id, .. })) = effects.first() else {
        panic!("{effects:?}")
    };
    let effects = send(&mut state, "Hello?");
    let (answer, _) = generating(&effects);
    assert_eq!(cancelled(&effects), [*id]);
    let _ended = event(&mut state, finished(*id, Outcome::Cancelled));
    assert_eq!(state_of_check(&state), Some(&CheckState::Waiting));
    let effects = event(&mut state, answered(answer, FinishReason::Stop));
    assert!(matches!(
        effects.last(),
        Some(Effect::Post(Request::VerifyModel { .. }))
    ));
}

#[test]
fn a_check_that_nobody_wants_any_more_ends() {
    let mut state = ready();
    let id = check(&mut state);
    let effects = act(&mut state, Action::CancelCheck);
    assert_eq!(
        (cancelled(&effects), state_of_check(&state)),
        (vec![id], None)
    );
    let effects = event(&mut state, finished(id, Outcome::Cancelled));
    assert_eq!(effects, []);
}

#[test]
fn details_are_those_of_the_model_that_was_asked_for_last() {
    let mut state = ready();
    let effects = act(&mut state, Action::DescribeModel(FIRST.into()));
    let [Effect::Post(Request::DescribeModel { id: first, .. })] = effects[..] else {
        panic!("{effects:?}")
    };
    let _asked = state.on(Action::DescribeModel(SECOND.into()));
    let fault = Fault::new(FaultCode::NotFound, "x");
    let failed = Event::Failed {
        id: Some(first),
        fault,
    };
    let _late = state.on(Action::Event(failed));
    let details = state.manager.details.as_ref().unwrap();
    assert_eq!((&*details.model_url, &details.result), (SECOND, &None));
    // A worker that is replaced answers nothing.
    let _dies = event(&mut state, Event::Trap { text: "x".into() });
    assert_eq!(state.manager.details, None);
    let _hello = event(&mut state, Event::Hello(Hello::own()));
}
