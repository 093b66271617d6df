//! What a person asks to know a device: self-test, benchmark, a loss on purpose.

use protocol::{
    BenchmarkReport, BenchmarkStep, Event, Fault, FaultCode, Hello, Outcome, Request, RequestId,
    SelfTestReport, Settings, ShapeJob, ShapeTime, Status,
};
use worker::EngineFault;

use crate::support::{Break, LOAD, Script, World, fault, load, play, question, shown, visit};

const ID: RequestId = RequestId(2);

fn self_test() -> Request {
    Request::SelfTest {
        id: ID,
        settings: Settings::default(),
    }
}

fn benchmark() -> Request {
    Request::Benchmark {
        id: ID,
        settings: Settings::default(),
    }
}

fn outcome(world: &World, id: RequestId) -> Outcome {
    let terminal = |event: &Event| event.id() == Some(id) && event.is_terminal();
    let events = world.events();
    let mut found = events.iter().filter(|event| terminal(event));
    let Some(Event::Finished { outcome, .. }) = found.next() else {
        panic!("expected a result, got {events:?}")
    };
    assert!(found.next().is_none(), "told twice");
    (**outcome).clone()
}

fn measured(world: &World) -> BenchmarkReport {
    match outcome(world, ID) {
        Outcome::Measured(report) => report,
        other => panic!("expected figures, got {other:?}"),
    }
}

fn losses(world: &World) -> Vec<String> {
    let told = |event: Event| match event {
        Event::Status(Status::DeviceLost { detail }) => Some(detail),
        _ => None,
    };
    world.events().into_iter().filter_map(told).collect()
}

fn greeted(script: Script, requests: &[Request]) -> std::rc::Rc<World> {
    let world = std::rc::Rc::new(World::served());
    visit(&world, script, requests);
    world
}

#[test]
fn a_self_test_tells_what_passed_with_a_model_and_without() {
    let report = SelfTestReport {
        variant: "scripted".into(),
        ..SelfTestReport::default()
    };
    for world in [
        play(Script::default(), &[self_test()], |_, _| {}),
        greeted(Script::default(), &[self_test()]),
    ] {
        assert_eq!(outcome(&world, ID), Outcome::Tested(report.clone()));
        assert!(losses(&world).is_empty());
    }
}

#[test]
fn a_self_test_can_be_cancelled_and_says_nothing_of_the_device() {
    let script = Script {
        self_tests: [Ok("another")].into(),
        ..Script::default()
    };
    // The scripted engine tests for 40 ms.
    let world = play(script, &[self_test(), question(3, 0)], |world, event| {
        if event.id() == Some(LOAD) && event.is_terminal() {
            world.push_later(20, Request::Cancel { id: ID });
        }
    });
    assert_eq!(outcome(&world, ID), Outcome::Cancelled);
    assert!(losses(&world).is_empty());
    assert_eq!(shown(&world, 3).ids.len(), 50);
}

#[test]
fn a_device_that_a_self_test_puts_in_doubt_counts_as_lost() {
    let wrong = || Fault::new(FaultCode::WrongNumbers, "nothing passes");
    let absent = || Fault::new(FaultCode::NoAdapter, "none");
    let rows = [
        (Ok("another"), Some("variant scripted fails")),
        (Err(EngineFault::Fault(wrong())), Some("nothing passes")),
        // Says nothing of the device in use.
        (Err(EngineFault::Absent(absent())), None),
        (Err(EngineFault::Lost("gone".into())), None),
    ];
    for (result, doubt) in rows {
        let script = || Script {
            self_tests: [result.clone()].into(),
            ..Script::default()
        };
        let world = play(script(), &[self_test(), load(RequestId(3))], |_, _| {});
        let told = losses(&world);
        assert_eq!(told.len(), usize::from(doubt.is_some()), "{told:?}");
        assert!(
            told.iter()
                .zip(doubt)
                .all(|(told, doubt)| told.contains(doubt))
        );
        assert!(matches!(outcome(&world, RequestId(3)), Outcome::Loaded(_)));
        // Without a model there is nothing to doubt.
        assert!(losses(&greeted(script(), &[self_test()])).is_empty());
    }
}

#[test]
fn a_benchmark_measures_the_loaded_model() {
    let world = play(Script::default(), &[benchmark(), question(3, 0)], |_, _| {});
    let report = measured(&world);
    assert_eq!((&*report.model, report.is_made_up), ("Tiny", false));
    assert_eq!(report.weight_bytes.get(), 10);
    // The scripted engine reads 4 tokens in 30 ms and makes one in 7 ms; the context has 200.
    assert!((96..100).contains(&report.prefill_tokens), "{report:?}");
    assert!((report.prefill_speed() - 133.3).abs() < 1.0, "{report:?}");
    assert_eq!(report.decode_tokens, 128);
    assert!(
        (100.0..=143.0).contains(&report.decode_speed()),
        "{report:?}"
    );
    // What it left in the cache changes no answer.
    let undisturbed = play(Script::default(), &[question(2, 0)], |_, _| {});
    assert_eq!(shown(&world, 3).ids, shown(&undisturbed, 2).ids);
}

#[test]
fn steps_are_told_in_order_and_counts_rise() {
    let world = play(Script::default(), &[benchmark()], |_, _| {});
    let mut told = Vec::new();
    for event in world.events() {
        if let Event::Measuring {
            step, done, total, ..
        } = event
        {
            assert!(done <= total);
            told.push((step, done));
        }
    }
    let order = |step| match step {
        BenchmarkStep::WarmUp => 0,
        BenchmarkStep::Prefill => 1,
        BenchmarkStep::Decode => 2,
    };
    let steps: Vec<(u32, u32)> = told
        .iter()
        .map(|(step, done)| (order(*step), *done))
        .collect();
    assert!(steps.is_sorted(), "{steps:?}");
    assert_eq!(steps.last().map(|(step, _)| *step), Some(2));
}

#[test]
fn without_a_model_one_is_made_up() {
    let world = greeted(Script::default(), &[benchmark()]);
    let report = measured(&world);
    assert_eq!((&*report.model, report.is_made_up), ("made-up", true));
    assert!(report.prefill_speed() > 0.0 && report.decode_speed() > 0.0);
}

#[test]
fn a_cancelled_benchmark_ends_at_once_whatever_it_does() {
    for step in [
        BenchmarkStep::WarmUp,
        BenchmarkStep::Prefill,
        BenchmarkStep::Decode,
    ] {
        let mut sent = false;
        let world = play(Script::default(), &[benchmark()], move |world, event| {
            if !sent && matches!(event, Event::Measuring { step: at, .. } if *at == step) {
                sent = true;
                world.push(Request::Cancel { id: ID });
            }
        });
        assert_eq!(outcome(&world, ID), Outcome::Cancelled);
        let events = world.events();
        let later = events
            .iter()
            .rev()
            .take_while(|event| !matches!(event, Event::Measuring { step: at, .. } if *at == step));
        assert!(
            later
                .clone()
                .all(|event| !matches!(event, Event::Measuring { .. }))
        );
    }
}

#[test]
fn a_device_lost_during_a_benchmark_is_told_like_any_other() {
    for after in [0, 20, 60, 100] {
        let script = Script {
            sessions: [Some((after, Break::Lost))].into(),
            ..Script::default()
        };
        let world = play(script, &[benchmark(), load(RequestId(3))], |_, _| {});
        assert_eq!(fault(&world, ID).code, FaultCode::DeviceLost);
        assert_eq!(losses(&world), ["scripted"]);
        assert!(matches!(outcome(&world, RequestId(3)), Outcome::Loaded(_)));
    }
    // The made-up model's device is nobody else's.
    let script = Script {
        sessions: [Some((5, Break::Lost))].into(),
        ..Script::default()
    };
    let world = greeted(script, &[benchmark()]);
    assert_eq!(fault(&world, ID).code, FaultCode::DeviceLost);
    assert!(losses(&world).is_empty());
}

fn shape(job: ShapeJob) -> Request {
    Request::MeasureShape {
        id: ID,
        settings: Settings::default(),
        job,
    }
}

fn shape_job() -> ShapeJob {
    ShapeJob {
        shape: "2b-4t".into(),
        prompts: vec![8, 100],
        contexts: vec![20, 200],
        tokens: 10,
        repetitions: 2,
    }
}

#[test]
fn a_shape_is_measured_at_every_length_with_a_model_and_without() {
    for world in [
        play(Script::default(), &[shape(shape_job())], |_, _| {}),
        greeted(Script::default(), &[shape(shape_job())]),
    ] {
        let Outcome::ShapeMeasured(report) = outcome(&world, ID) else {
            panic!("expected figures, got {:?}", world.events())
        };
        assert_eq!((&*report.shape, report.load_millis), ("2b-4t", 60.0));
        let lengths = |times: &[ShapeTime]| -> Vec<(u32, u32, usize)> {
            let length = |time: &ShapeTime| (time.context, time.tokens, time.millis.len());
            times.iter().map(length).collect()
        };
        assert_eq!(lengths(&report.prefill), [(0, 8, 2), (0, 100, 2)]);
        assert_eq!(lengths(&report.decode), [(20, 10, 2), (200, 10, 2)]);
        // The scripted engine makes a token in 7 ms, and a longer prompt takes longer.
        let all = |times: &[ShapeTime]| times.iter().flat_map(|time| time.millis.clone()).collect();
        let decode: Vec<f64> = all(&report.decode);
        assert!(decode.iter().all(|millis| *millis >= 70.0), "{decode:?}");
        let prefill: Vec<f64> = all(&report.prefill);
        assert!(prefill.is_sorted() && prefill[0] > 0.0, "{prefill:?}");
    }
}

#[test]
fn a_shape_that_cannot_be_measured_is_a_bad_request() {
    let jobs = [
        ShapeJob {
            prompts: vec![],
            contexts: vec![],
            ..shape_job()
        },
        ShapeJob {
            prompts: vec![0],
            ..shape_job()
        },
        ShapeJob {
            contexts: vec![0],
            ..shape_job()
        },
        ShapeJob {
            tokens: 0,
            ..shape_job()
        },
        ShapeJob {
            repetitions: 0,
            ..shape_job()
        },
        ShapeJob {
            repetitions: 33,
            ..shape_job()
        },
        ShapeJob {
            prompts: vec![1; 17],
            ..shape_job()
        },
        // The context of the scripted engine has 300.
        ShapeJob {
            prompts: vec![300],
            ..shape_job()
        },
        ShapeJob {
            prompts: vec![u32::MAX],
            ..shape_job()
        },
        ShapeJob {
            contexts: vec![290],
            ..shape_job()
        },
        ShapeJob {
            contexts: vec![u32::MAX],
            ..shape_job()
        },
    ];
    for job in jobs {
        let world = greeted(Script::default(), &[shape(job.clone())]);
        assert_eq!(fault(&world, ID).code, FaultCode::BadRequest, "{job:?}");
    }
}

#[test]
fn measuring_a_shape_ends_when_it_is_cancelled() {
    for millis in [10, 100, 700, 2500] {
        let (world, run) = crate::support::worker(Script::default());
        world.push(Request::Hello(Hello::own()));
        world.push(shape(shape_job()));
        world.push_later(millis, Request::Cancel { id: ID });
        world.run_until_idle(run);
        assert_eq!(outcome(&world, ID), Outcome::Cancelled, "{millis}");
    }
}

#[test]
fn a_device_is_lost_on_request_and_only_where_there_is_one() {
    let world = play(
        Script::default(),
        &[Request::LoseDevice, Request::LoseDevice],
        |_, _| {},
    );
    assert_eq!(losses(&world), ["destroyed on request"]);
    assert!(matches!(outcome(&world, LOAD), Outcome::Loaded(_)));
    assert!(losses(&greeted(Script::default(), &[Request::LoseDevice])).is_empty());
}

#[test]
fn nothing_of_it_is_done_before_the_greeting() {
    let (world, run) = crate::support::worker(Script::default());
    world.push(Request::LoseDevice);
    world.push(self_test());
    world.push(Request::Hello(Hello::own()));
    world.run_until_idle(run);
    assert_eq!(fault(&world, ID).code, FaultCode::BadRequest);
}
