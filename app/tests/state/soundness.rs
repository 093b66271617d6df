//! Whatever happens, in any order.

use app::{Action, Clock, Effect, Phase};
use proptest::prelude::*;
use protocol::{Event, Fault, FaultCode, FinishReason, Hello, Outcome, RequestId, Status};

use crate::support::{answered, finished, info, new, tokens};

/// Anything that can happen, in any order; ids are small so that they often hit.
fn any_action() -> impl Strategy<Value = Action> {
    let id = (1u32..12).prop_map(RequestId);
    let fault = Fault::new(FaultCode::Gpu, "x");
    prop_oneof![
        Just(Action::Event(Event::Hello(Hello::own()))),
        Just(Action::Event(Event::Trap { text: "x".into() })),
        Just(Action::Event(Event::Status(Status::DeviceLost {
            detail: "x".into()
        }))),
        Just(Action::Event(Event::Status(Status::DeviceRestored {
            generation: 2
        }))),
        id.clone()
            .prop_map(|id| Action::Event(finished(id, Outcome::Loaded(info())))),
        id.clone()
            .prop_map(|id| Action::Event(finished(id, Outcome::Cancelled))),
        id.clone()
            .prop_map(|id| Action::Event(answered(id, FinishReason::Stop))),
        id.clone()
            .prop_map(|id| Action::Event(tokens(id, 0, "t", &[7]))),
        id.prop_map(move |id| Action::Event(Event::Failed {
            id: Some(id),
            fault: fault.clone()
        })),
        Just(Action::Tick(Clock::default())),
        Just(Action::Send { text: "q".into() }),
        Just(Action::Stop),
        Just(Action::NewChat),
        Just(Action::Retry),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_state_stays_sound(actions in proptest::collection::vec(any_action(), 0..60)) {
        let mut state = new();
        let mut last_id = 0;
        for action in actions {
            let tokens_before: usize = state.chats.open.turns.iter().map(|turn| turn.answer.ids.len()).sum();
            let forgets = action == Action::NewChat;
            let effects = state.on(action);
            let spawns = effects.iter().filter(|effect| matches!(effect, Effect::Spawn)).count();
            prop_assert!(spawns <= 1);
            for effect in &effects {
                if let Effect::Post(request) = effect && let Some(id) = request.id() {
                    prop_assert!(id.0 > last_id, "request numbers rise");
                    last_id = id.0;
                }
            }
            let unfinished = state.chats.open.turns.iter().filter(|turn| turn.answer.finish.is_none()).count();
            prop_assert_eq!(unfinished > 0, state.engine.phase == Phase::Answering);
            prop_assert!(unfinished <= 1);
            prop_assert_eq!(state.engine.phase == Phase::Failed, state.name() == "failed");
            if state.engine.phase == Phase::Failed {
                prop_assert!(state.engine.fault.is_some());
            }
            let tokens_after: usize = state.chats.open.turns.iter().map(|turn| turn.answer.ids.len()).sum();
            prop_assert!(forgets || tokens_after >= tokens_before, "accepted tokens are never lost");
        }
    }
}
