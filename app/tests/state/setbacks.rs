//! Why the model remembers less, as the person is told.

use app::{Action, Effect, Notice, Setback, State, strings};
use protocol::{Event, Fault, FaultCode, Hello, Outcome, Request, RequestId};

use crate::support::{act, clock, event, finished, greet, info, inspecting, new, offer};

/// The load that these effects begin, or what leads to it: a new worker, which may have to be waited for.
fn next_load(state: &mut State, effects: Vec<Effect>, seconds: &mut f64) -> RequestId {
    let mut effects = effects;
    for _ in 0..1000 {
        for effect in &effects {
            if let Effect::Post(Request::Load { id, .. }) = effect {
                return *id;
            }
        }
        let looks = |effect: &Effect| matches!(effect, Effect::Post(Request::Inspect { .. }));
        effects = if effects.contains(&Effect::Spawn) {
            event(state, Event::Hello(Hello::own()))
        } else if effects.iter().any(looks) {
            let look = inspecting(&effects);
            event(state, finished(look, Outcome::Inspected(offer(true))))
        } else {
            *seconds += 0.5;
            act(state, Action::Tick(clock(*seconds)))
        };
    }
    panic!("no load")
}

#[test]
fn the_person_is_told_what_the_smaller_context_comes_from() {
    let rows = [
        (FaultCode::OutOfMemory, Setback::Memory, "not enough memory"),
        (
            FaultCode::DeviceLost,
            Setback::Gpu,
            "graphics processor failed",
        ),
        (FaultCode::Trap, Setback::Worker, "model stopped"),
    ];
    for (code, because, words) in rows {
        let mut state = new();
        let mut load = greet(&mut state);
        let mut seconds = 0.0;
        while state.notice.is_none() {
            assert!(seconds < 300.0, "{code:?} never led to less");
            let effects = match code {
                FaultCode::Trap => event(&mut state, Event::Trap { text: "bug".into() }),
                _ => {
                    let fault = Fault::new(code, "scripted");
                    event(
                        &mut state,
                        Event::Failed {
                            id: Some(load),
                            fault,
                        },
                    )
                }
            };
            load = next_load(&mut state, effects, &mut seconds);
            if !state.recorder().to_text().contains("smaller configuration") {
                continue;
            }
            event(&mut state, finished(load, Outcome::Loaded(info())));
        }
        let context = 100;
        assert_eq!(state.notice, Some(Notice::Smaller { context, because }));
        assert!(strings::smaller(context, because).contains(words));
    }
}
