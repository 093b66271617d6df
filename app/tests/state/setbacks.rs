//! Why the model remembers less, as the person is told.

use app::{Action, Effect, Notice, Setback, State, strings};
use protocol::{
    Event, Fault, FaultCode, Hello, KvType, ModelOffer, Outcome, Request, RequestId, Settings,
};

use crate::support::{act, clock, event, finished, greet, info, inspecting, new, offer};

/// The load that these effects begin, or what leads to it: a new worker, which may have to be waited for. The model has room
/// for 4096 tokens.
fn next_load(state: &mut State, effects: Vec<Effect>, seconds: &mut f64) -> (RequestId, Settings) {
    let mut effects = effects;
    for _ in 0..1000 {
        for effect in &effects {
            if let Effect::Post(Request::Load { id, settings, .. }) = effect {
                return (*id, *settings);
            }
        }
        let looks = |effect: &Effect| matches!(effect, Effect::Post(Request::Inspect { .. }));
        effects = if effects.contains(&Effect::Spawn) {
            event(state, Event::Hello(Hello::own()))
        } else if effects.iter().any(looks) {
            let look = inspecting(&effects);
            let offer = ModelOffer {
                max_context: 4096,
                ..offer(true)
            };
            event(state, finished(look, Outcome::Inspected(offer)))
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
            (load, _) = next_load(&mut state, effects, &mut seconds);
            if !state.recorder().to_text().contains("smaller configuration") {
                continue;
            }
            event(&mut state, finished(load, Outcome::Loaded(info())));
        }
        let context = 100;
        let smaller = Notice::Smaller {
            context,
            is_rounded: false,
            because,
        };
        assert_eq!(state.notice, Some(smaller));
        assert!(strings::smaller(context, false, because).contains(words));
    }
}

/// Bytes change what the model says, so only what is short of memory gets them.
#[test]
fn where_memory_is_short_the_last_configuration_keeps_half_the_context_as_bytes() {
    let rows = [
        (FaultCode::OutOfMemory, (2048, KvType::I8)),
        (FaultCode::DeviceLost, (1024, KvType::F16)),
    ];
    for (code, last) in rows {
        let mut state = new();
        let mut load = greet(&mut state);
        let mut seconds = 0.0;
        let mut seen = vec![(0, KvType::F16)];
        while seen.len() < 3 {
            let fault = Fault::new(code, "scripted");
            let id = Some(load);
            let effects = event(&mut state, Event::Failed { id, fault });
            let settings;
            (load, settings) = next_load(&mut state, effects, &mut seconds);
            seen.push((settings.context, settings.kv));
            seen.dedup();
        }
        assert_eq!(seen[1..], [(2048, KvType::F16), last], "{code:?}");
    }
}

/// Somebody whose model can't be used is led to the others; where the device is the matter, no other one helps.
#[test]
fn a_model_that_can_not_be_used_is_no_dead_end() {
    for (code, expected) in [
        (FaultCode::BadModel, true),
        (FaultCode::NoChat, true),
        (FaultCode::NotFound, true),
        (FaultCode::NoWebGpu, false),
        (FaultCode::Network, false),
    ] {
        let mut state = new();
        let id = Some(greet(&mut state));
        let fault = Fault::new(code, "scripted");
        event(&mut state, Event::Failed { id, fault });
        assert_eq!(state.wants_another_model(), expected, "{code:?}");
    }
}
