//! Greeting, loading, diagnostics, and requests that make no sense.

use crate::support::{
    BASE_URL, LOAD, Mishap, Open, Script, World, fault, load, play, question, shown, worker,
};
use protocol::{
    Event, FaultCode, Hello, LoadProgress, LoadStage, Outcome, PROTOCOL_VERSION, Request,
    RequestId, Retry, Settings,
};

fn outcome(world: &World, id: u32) -> Outcome {
    let id = RequestId(id);
    let events = world.events();
    let terminal: Vec<_> = events
        .iter()
        .filter(|event| event.id() == Some(id) && event.is_terminal())
        .collect();
    let [Event::Finished { outcome, .. }] = &terminal[..] else {
        panic!("expected one outcome, got {terminal:?}")
    };
    (**outcome).clone()
}

/// Loads the tiny package from a network that misbehaves.
fn load_with(mishaps: impl IntoIterator<Item = (&'static str, Vec<Mishap>)>) -> std::rc::Rc<World> {
    let (world, run) = worker(Script::default());
    world.network.mishaps.borrow_mut().extend(
        mishaps
            .into_iter()
            .map(|(ending, mishaps)| (ending, mishaps.into())),
    );
    world.push(Request::Hello(Hello::own()));
    world.push(load(LOAD));
    world.run_until_idle(run);
    world
}

#[test]
fn the_worker_speaks_first_and_refuses_strangers() {
    let (world, run) = worker(Script::default());
    world.push(load(RequestId(1)));
    world.push(Request::Hello(Hello {
        version: PROTOCOL_VERSION + 1,
        build: "other".into(),
    }));
    world.push(load(RequestId(2)));
    world.run_until_idle(run);
    let events = world.events();
    assert_eq!(events[0], Event::Hello(Hello::own()));
    assert_eq!(fault(&world, RequestId(1)).code, FaultCode::BadRequest);
    let refused = events.iter().find_map(|event| match event {
        Event::Failed { id: None, fault } => Some(fault.clone()),
        _ => None,
    });
    assert_eq!(
        refused.map(|fault| (fault.code, fault.retry)),
        Some((FaultCode::VersionMismatch, Retry::Reload))
    );
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::BadRequest);
}

#[test]
fn loading_reports_every_shard_and_ends_with_the_model() {
    let world = play(Script::default(), &[], |_, _| {});
    let progress: Vec<LoadProgress> = world
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Loading { id: LOAD, progress } => Some(*progress),
            _ => None,
        })
        .collect();
    let steps: Vec<_> = progress
        .iter()
        .map(|p| (p.stage, p.shards_done, p.bytes_done.get()))
        .collect();
    // The first and the last count of each stage; what is between comes too fast to be told.
    assert_eq!(
        steps,
        [
            (LoadStage::Download, 0, 0),
            (LoadStage::Download, 3, 46_336),
            (LoadStage::Upload, 0, 0),
            (LoadStage::Upload, 3, 46_336),
            (LoadStage::Prepare, 3, 46_336),
        ]
    );
    assert!(
        progress
            .iter()
            .all(|p| p.shards_total == 3 && p.bytes_total.get() == 46_336)
    );
    let Outcome::Loaded(info) = outcome(&world, 1) else {
        panic!("not loaded")
    };
    assert_eq!(
        (info.name.as_str(), info.license.as_deref(), info.context),
        ("Tiny", Some("MIT"), 200)
    );
    let sampling = info.sampling.unwrap();
    assert_eq!(
        (
            sampling.temperature,
            sampling.top_p,
            sampling.repetition_penalty
        ),
        (0.4, 0.9, 1.1)
    );
    assert_eq!(
        (
            info.weight_bytes.get(),
            info.kv_bytes.get(),
            info.activation_bytes.get()
        ),
        (10, 20, 30)
    );
    assert!(info.load_millis > 0.0);
    assert!(info.cached);
}

#[test]
fn bad_manifests_are_refused() {
    for bytes in [&b"no json"[..], b"{}", br#"{"schema":2}"#, b"\xff\xfe"] {
        let world = load_with([("manifest.json", vec![Mishap::Other(bytes.to_vec())])]);
        let fault = fault(&world, LOAD);
        assert_eq!(fault.code, FaultCode::BadModel);
        assert!(fault.detail.contains("manifest.json"), "{fault}");
    }
}

#[test]
fn a_package_without_text_loads_but_does_not_chat() {
    let (world, run) = worker(Script::default());
    let mut tiny = crate::support::Tiny::default();
    tiny.manifest.text = None;
    world.serve(&tiny);
    world.push(Request::Hello(Hello::own()));
    world.push(load(LOAD));
    world.push(question(2, 0));
    world.run_until_idle(run);
    assert!(matches!(outcome(&world, 1), Outcome::Loaded(_)));
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::NoChat);
}

#[test]
fn a_late_adapter_is_waited_for() {
    let opens = [Open::Absent, Open::Absent, Open::Absent].into();
    let world = play(
        Script {
            opens,
            ..Script::default()
        },
        &[],
        |_, _| {},
    );
    assert!(matches!(outcome(&world, 1), Outcome::Loaded(_)));
}

#[test]
fn an_absent_adapter_and_a_refusal_are_told_apart() {
    let world = play(
        Script {
            opens: vec![Open::Absent; 5].into(),
            ..Script::default()
        },
        &[],
        |_, _| {},
    );
    assert_eq!(fault(&world, LOAD).code, FaultCode::NoAdapter);
    let world = play(
        Script {
            opens: [Open::Refused].into(),
            ..Script::default()
        },
        &[],
        |_, _| {},
    );
    assert_eq!(fault(&world, LOAD).code, FaultCode::LimitsTooSmall);
}

#[test]
fn loading_can_be_cancelled() {
    let world = play(
        Script::default(),
        &[question(2, 0), load(RequestId(3))],
        |world, event| {
            if matches!(event, Event::Loading { id: LOAD, progress } if progress.shards_done == 0) {
                world.push(Request::Cancel { id: LOAD });
            }
        },
    );
    assert_eq!(outcome(&world, 1), Outcome::Cancelled);
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::BadRequest);
    assert!(matches!(outcome(&world, 3), Outcome::Loaded(_)));
}

#[test]
fn diagnostics_answer() {
    let requests = [
        Request::DescribeDevice { id: RequestId(2) },
        Request::CompileAllVariants { id: RequestId(3) },
        Request::PrefillEqualsDecode {
            id: RequestId(4),
            lengths: vec![1, 64],
            truncate: 17,
        },
    ];
    let world = play(Script::default(), &requests, |_, _| {});
    let Outcome::Described(device) = outcome(&world, 2) else {
        panic!("not described")
    };
    assert_eq!(device.generation, 1);
    let Outcome::Compiled(report) = outcome(&world, 3) else {
        panic!("not compiled")
    };
    assert_eq!(report.n_failed(), 0);
    let Outcome::Compared(report) = outcome(&world, 4) else {
        panic!("not compared")
    };
    let cases: Vec<_> = report
        .results
        .iter()
        .map(|result| (result.n_tokens, result.truncated))
        .collect();
    assert_eq!(cases, [(1, false), (64, false), (64, true)]);
}

#[test]
fn senseless_requests_are_refused() {
    let settings = Settings {
        version: 9,
        ..Settings::default()
    };
    let mut wild = question(4, 0);
    if let Request::Generate { job, .. } = &mut wild {
        job.sampling.temperature = f64::NAN;
    }
    let mut empty = question(5, 0);
    if let Request::Generate { job, .. } = &mut empty {
        job.messages.clear();
    }
    let requests = [
        Request::Load {
            id: RequestId(2),
            model_url: BASE_URL.into(),
            settings,
        },
        load(RequestId(3)),
        wild,
        empty,
        question(5, 0),
        question(6, 1),
    ];
    let world = play(Script::default(), &requests, |_, _| {});
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::BadRequest);
    assert_eq!(fault(&world, RequestId(4)).code, FaultCode::BadRequest);
    assert_eq!(
        fault(&world, RequestId(5)).code,
        FaultCode::Text,
        "and the second use of 5 changes nothing"
    );
    let unnumbered = world
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Failed { id: None, .. }))
        .count();
    assert_eq!(unnumbered, 1);
    assert_eq!(shown(&world, 6).ids.len(), 1);
}

#[test]
fn a_comparison_that_is_cut_off_leaves_a_worker_that_answers() {
    let compare = Request::PrefillEqualsDecode {
        id: RequestId(2),
        lengths: vec![1, 2, 3],
        truncate: 0,
    };
    let world = play(
        Script::default(),
        &[compare, question(3, 0)],
        |world, event| {
            if event.is_terminal() && event.id() == Some(LOAD) {
                world.push_later(75, Request::Cancel { id: RequestId(2) });
            }
        },
    );
    assert_eq!(outcome(&world, 2), Outcome::Cancelled);
    assert_eq!(shown(&world, 3).ids.len(), 50);
}
