//! The diagnostics: what is tried on request, what the page says of it, and where it is shown.

use app::{Action, Answer, Effect, Environment, Opening, Screen, State, Trial, facts, strings};
use protocol::{
    AdapterInfo, BenchmarkReport, BenchmarkStep, ByteCount, DeviceReport, DroppedVariant, Event,
    Fault, FaultCode, Hello, Limit, Outcome, Request, RequestId, SelfTestReport, Status,
    StorageReport, StorageState, StoredModel,
};

use crate::support::{
    act, answering, clock, event, finished, info, inspecting, loading, new, opening, ready, send,
    unanswered,
};

fn test_report() -> SelfTestReport {
    SelfTestReport {
        variant: "scalar-shared".into(),
        millis: 12.0,
        dropped: vec![DroppedVariant {
            variant: "packed-shared f16".into(),
            problem: "decode: logit 3".into(),
        }],
        ..SelfTestReport::default()
    }
}

fn figures(is_made_up: bool) -> BenchmarkReport {
    BenchmarkReport {
        model: "Tiny".into(),
        is_made_up,
        weight_bytes: ByteCount::default(),
        prefill_tokens: 500,
        prefill_millis: 2000.0,
        decode_tokens: 60,
        decode_millis: 3000.0,
    }
}

/// The number of the only trial among the effects.
fn trying(effects: &[Effect]) -> RequestId {
    let ids: Vec<RequestId> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Post(Request::SelfTest { id, .. } | Request::Benchmark { id, .. }) => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 1, "{effects:?}");
    ids[0]
}

fn lost() -> Event {
    Event::Status(Status::DeviceLost {
        detail: "gone".into(),
    })
}

#[test]
fn a_self_test_is_run_and_told() {
    let mut state = ready();
    let id = trying(&act(&mut state, Action::Try(Trial::SelfTest)));
    assert_eq!(state.diagnosis.running, Some(Trial::SelfTest));
    assert!(!state.can_try());
    assert_eq!(act(&mut state, Action::Try(Trial::Benchmark)), []);
    event(&mut state, finished(id, Outcome::Tested(test_report())));
    assert_eq!(state.diagnosis.running, None);
    assert_eq!(
        facts::self_test(&state).unwrap(),
        "Passed by scalar-shared in 12 ms"
    );
    let text = facts::text(&state);
    assert!(
        text.contains("packed-shared f16: decode: logit 3"),
        "{text}"
    );
    assert!(
        state
            .recorder()
            .to_text()
            .contains("self-test passed by scalar-shared")
    );
}

#[test]
fn a_benchmark_tells_how_far_it_is_and_what_it_found() {
    let mut state = ready();
    let id = trying(&act(&mut state, Action::Try(Trial::Benchmark)));
    let told = |id, done| Event::Measuring {
        id,
        step: BenchmarkStep::Decode,
        done,
        total: 128,
    };
    event(&mut state, told(id, 3));
    event(&mut state, told(RequestId(999), 77));
    let progress = state.diagnosis.progress.unwrap();
    assert_eq!((progress.step, progress.done), (BenchmarkStep::Decode, 3));
    event(&mut state, finished(id, Outcome::Measured(figures(false))));
    assert_eq!(state.diagnosis.progress, None);
    assert_eq!(
        facts::benchmark(&state).unwrap(),
        "Reads 250.0 tokens/s, writes 20.0 tokens/s (Tiny)"
    );
}

#[test]
fn a_question_and_a_hidden_page_call_a_benchmark_off() {
    for disturb in [
        Action::Send { text: "Hi".into() },
        Action::Visibility { hidden: true },
        Action::CancelTrial,
    ] {
        let mut state = ready();
        let id = trying(&act(&mut state, Action::Try(Trial::Benchmark)));
        let effects = act(&mut state, disturb);
        let cancel = Effect::Post(Request::Cancel { id });
        assert_eq!(effects.first(), Some(&cancel), "{effects:?}");
        event(&mut state, finished(id, Outcome::Cancelled));
        assert_eq!(
            (state.diagnosis.running, &state.diagnosis.benchmark),
            (None, &None)
        );
    }
}

#[test]
fn nothing_is_tried_while_something_else_goes_on() {
    let mut starting = new();
    assert_eq!(act(&mut starting, Action::Try(Trial::SelfTest)), []);
    let (mut answering, _) = answering();
    assert_eq!(act(&mut answering, Action::Try(Trial::Benchmark)), []);
}

#[test]
fn a_trial_ends_with_its_worker_but_not_with_the_device() {
    let mut state = ready();
    let id = trying(&act(&mut state, Action::Try(Trial::SelfTest)));
    let reload = loading(&event(&mut state, lost()));
    assert_eq!(state.diagnosis.running, Some(Trial::SelfTest));
    event(&mut state, finished(id, Outcome::Tested(test_report())));
    assert!(state.diagnosis.self_test.as_ref().unwrap().is_ok());
    event(&mut state, finished(reload, Outcome::Loaded(info())));
    assert_eq!(state.name(), "ready");

    act(&mut state, Action::Try(Trial::Benchmark));
    act(&mut state, Action::WorkerError("gone".into()));
    act(&mut state, Action::Tick(clock(30.0)));
    assert_eq!(state.diagnosis.running, None);
    let fault = state.diagnosis.benchmark.clone().unwrap().unwrap_err();
    assert_eq!((fault.code, &*fault.detail), (FaultCode::Trap, "gone"));
}

#[test]
fn what_fails_is_told() {
    let mut state = ready();
    let id = trying(&act(&mut state, Action::Try(Trial::SelfTest)));
    let fault = Fault::new(FaultCode::NoAdapter, "none there");
    event(
        &mut state,
        Event::Failed {
            id: Some(id),
            fault,
        },
    );
    assert_eq!(facts::self_test(&state).unwrap(), "Failed: none there");
    // It says nothing of the model that is loaded.
    assert_eq!((state.name(), state.engine.fault.clone()), ("ready", None));
}

#[test]
fn a_device_is_lost_on_request_once_at_a_time() {
    let (mut state, _) = answering();
    let effects = act(&mut state, Action::LoseDevice);
    assert_eq!(effects, [Effect::Post(Request::LoseDevice)]);
    assert!(state.recorder().to_text().contains("destroyed on request"));
    event(&mut state, lost());
    assert!(!state.can_lose_device());
    assert_eq!(act(&mut state, Action::LoseDevice), []);
    assert_eq!(state.status(), strings::RECOVERING);
}

#[test]
fn the_address_and_the_screen_agree() {
    let address = |diagnostics| Effect::Address { diagnostics };
    let has = |effects: &[Effect], diagnostics| effects.contains(&address(diagnostics));
    let mut state = ready();
    let _ = state.on(Action::OpenSettings);
    assert!(has(&state.on(Action::OpenDiagnostics), true));
    // What the browser then tells changes nothing.
    let _ = state.on(Action::Address { diagnostics: true });
    assert_eq!(state.screen, Screen::Diagnostics);
    assert!(has(&state.on(Action::CloseDiagnostics), false));
    assert_eq!(state.screen, Screen::Settings);
    let _ = state.on(Action::CloseSettings);
    // A link, then "back".
    let _ = state.on(Action::Address { diagnostics: true });
    assert_eq!(state.screen, Screen::Diagnostics);
    let _ = state.on(Action::Address { diagnostics: false });
    assert_eq!(state.screen, Screen::Chat);
    // Other ways out.
    let _ = state.on(Action::OpenDiagnostics);
    assert!(has(&state.on(Action::OpenSettings), false));
    let _ = state.on(Action::OpenDiagnostics);
    assert!(has(&state.on(Action::NewChat), false));
}

#[test]
fn what_is_shown_is_asked_for_once_and_disturbs_nothing() {
    let asked = |effects: &[Effect]| {
        let is_question = |effect: &&Effect| {
            matches!(
                effect,
                Effect::AskPersisted
                    | Effect::Post(Request::Storage { .. } | Request::DescribeDevice { .. })
            )
        };
        effects.iter().filter(is_question).count()
    };
    // A link that leads here, on a page without a model.
    let mut state = unanswered(Opening {
        screen: Screen::Diagnostics,
        ..opening()
    });
    assert_eq!(asked(&state.on(Action::EngineLock(true))), 0);
    let look = inspecting(&event(&mut state, Event::Hello(Hello::own())));
    let offered = finished(look, Outcome::Inspected(crate::support::offer(false)));
    assert_eq!(asked(&state.on(Action::Event(offered))), 3);
    assert_eq!(asked(&state.on(Action::Tick(clock(1.0)))), 0);
    // While an answer runs it waits.
    let (mut state, id) = answering();
    assert_eq!(asked(&state.on(Action::OpenDiagnostics)), 0);
    let ended = crate::support::answered(id, protocol::FinishReason::Stop);
    assert!(asked(&state.on(Action::Event(ended))) >= 2);
}

fn described() -> DeviceReport {
    let limit = |value| Limit {
        name: "maxBufferSize".into(),
        value,
    };
    DeviceReport {
        adapter: AdapterInfo {
            vendor: "apple".into(),
            architecture: "metal-3".into(),
            ..AdapterInfo::default()
        },
        adapter_features: vec!["shader-f16".into(), "depth-clip-control".into()],
        device_features: vec!["shader-f16".into()],
        language_features: vec![],
        adapter_limits: vec![limit(4_294_967_296.0)],
        limits: vec![limit(268_435_456.0)],
        engine: "WebGPU".into(),
        variant: "packed-shared".into(),
        is_tuned: true,
        generation: 2,
    }
}

#[test]
fn the_report_has_what_a_stranger_needs_and_no_word_of_a_chat() {
    let mut state = ready();
    send(&mut state, "my secret question");
    if let Some(turn) = state.chats.open.turns.last_mut() {
        turn.answer = Answer {
            text: "my secret answer".into(),
            ..turn.answer.clone()
        };
    }
    state.engine.device = Some(described());
    state.environment = Environment {
        agent: "Mozilla/5.0 (iPad)".into(),
        cores: Some(8),
        memory_gigabytes: Some(4.0),
        persisted: Some(true),
        storage: Some(StorageReport {
            models: vec![StoredModel {
                model_url: crate::support::URL.into(),
                name: "Tiny".into(),
                stored_bytes: ByteCount::saturating(47_000_000),
                total_bytes: ByteCount::saturating(47_000_000),
                shards: 6,
                complete: true,
            }],
            usage_bytes: Some(ByteCount::saturating(52_000_000)),
            quota_bytes: None,
            state: StorageState::Durable,
        }),
        ..state.environment.clone()
    };
    let effects = state.on(Action::SaveDiagnosis);
    let [Effect::SaveFile { name, mime, text }] = &effects[..] else {
        panic!("expected a file, got {effects:?}")
    };
    assert_eq!(
        (&**name, *mime),
        ("tern-diagnostics-2023-11-14.txt", "text/plain")
    );
    for part in [
        "Maker: apple",
        "Family: metal-3",
        "Features granted: shader-f16\n",
        "Offered, not used: depth-clip-control\n",
        "maxBufferSize: 4 GiB, granted 256 MiB",
        "Kernels in use: packed-shared (the fastest in a trial on this device)",
        "Browser: Mozilla/5.0 (iPad)",
        "Processor cores: 8",
        "Memory reported by the browser: 4 GB",
        "Tiny: 47.0 MB, 6 files of weights",
        "Used by Tern: 52.0 MB",
        "Protected from automatic removal: Yes",
        "Tern flight recorder",
        "model loaded in",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains("secret"), "{text}");
    let newest = state.recorder().newest_first();
    assert!(
        newest.lines().last().unwrap().contains("page opened"),
        "{newest}"
    );
}

/// The person need not wait for the end of a countdown.
#[test]
fn a_countdown_can_be_cut_short() {
    let mut state: State = ready();
    let mut seconds = 1.0;
    let mut spawned = 0;
    // An adapter that stays away, also from a fresh worker.
    let missing = |id| Event::Failed {
        id: Some(id),
        fault: Fault::new(FaultCode::NoAdapter, "none"),
    };
    let mut load = loading(&event(&mut state, lost()));
    for _ in 0..2 {
        event(&mut state, missing(load));
        assert_eq!(state.can_try_now(), state.seconds_to_wait().is_some());
        if state.can_try_now() {
            break;
        }
        let retired = event(&mut state, Event::Retired);
        assert!(retired.contains(&Effect::Spawn), "{retired:?}");
        spawned += 1;
        load = loading(&event(&mut state, Event::Hello(Hello::own())));
        seconds += 1.0;
        act(&mut state, Action::Tick(clock(seconds)));
    }
    assert_eq!(spawned, 1);
    event(&mut state, Event::Retired);
    assert!(state.seconds_to_wait().is_some_and(|left| left > 100));
    assert!(state.can_try_now() && state.status().contains("Trying again in"));
    assert_eq!(act(&mut state, Action::Retry), [Effect::Spawn]);
    assert!(!state.can_try_now());
    let load = loading(&event(&mut state, Event::Hello(Hello::own())));
    event(&mut state, finished(load, Outcome::Loaded(info())));
    assert_eq!(state.name(), "ready");
}
