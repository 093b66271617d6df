//! One fault at a time.

use model::download::{End, Event, Extent, Policy, Problem, Want};

use crate::world::{Answer, PART, World, file, problem, ranges, whole};

const DONE: Option<End> = Some(End::Done);

#[test]
fn a_file_comes_in_one_request_without_a_range() {
    let mut world = World::one(5500, &[]);
    assert_eq!(world.run(), DONE);
    assert_eq!(world.asked(), [(0, None, false)]);
    assert_eq!(world.good[&0], world.right(0));
}

#[test]
fn a_cut_file_goes_on_at_the_byte() {
    for cut in [0, 1, PART, 5499] {
        let mut world = World::one(5500, &[Answer::Cut(cut), Answer::Cut(1)]);
        assert_eq!(world.run(), DONE, "{cut}");
        assert_eq!(world.good[&0], world.right(0));
        let first = (cut > 0).then_some(cut as u64);
        assert_eq!(ranges(&world)[..2], [None, first]);
    }
    // Cut behind the last byte: it is all there.
    let mut world = World::one(5500, &[Answer::Cut(5500)]);
    assert_eq!(world.run(), DONE);
    assert_eq!(ranges(&world), [None]);
}

#[test]
fn bytes_of_an_earlier_visit_are_gone_on_with() {
    let want = Want {
        held_bytes: 2345,
        ..whole("a", 5500)
    };
    let mut world = World::new(Policy::default(), vec![want], vec![file(5500, 1)]);
    assert_eq!(world.run(), DONE);
    assert_eq!(ranges(&world), [Some(2345)]);
    assert_eq!(world.good[&0], world.right(0));
    // All of them: nothing is asked for.
    let want = Want {
        held_bytes: 5500,
        ..whole("a", 5500)
    };
    let mut world = World::new(Policy::default(), vec![want], vec![file(5500, 1)]);
    assert_eq!(world.run(), DONE);
    assert_eq!(ranges(&world), []);
}

#[test]
fn a_server_without_ranges_doubles_nothing() {
    let mut world = World::one(5500, &[Answer::Cut(2300), Answer::Whole]);
    assert_eq!(world.run(), DONE);
    assert_eq!(ranges(&world), [None, Some(2300)]);
    assert_eq!(world.good[&0], world.right(0));
}

#[test]
fn parts_that_are_none_lead_to_the_whole_file() {
    for answer in [Answer::Elsewhere, Answer::Encoded] {
        let mut world = World::one(5500, &[Answer::Cut(2300), answer]);
        assert_eq!(world.run(), DONE);
        assert_eq!(ranges(&world), [None, Some(2300), None]);
        assert_eq!(world.good[&0], world.right(0));
    }
}

#[test]
fn silence_is_ended_by_a_watchdog() {
    for answer in [Answer::Stall(2300), Answer::Silence] {
        let mut world = World::one(5500, std::slice::from_ref(&answer));
        assert_eq!(world.run(), DONE);
        assert_eq!(world.troubles().len(), 1);
        assert_eq!(world.troubles()[0].0, Problem::Stalled { seconds: 20 });
        assert_eq!(world.good[&0], world.right(0));
        assert!((20_000.0..22_000.0).contains(&world.now), "{}", world.now);
    }
    // The last byte is there, only the end is not.
    let mut world = World::one(5500, &[Answer::Stall(5500)]);
    assert_eq!(world.run(), DONE);
    assert_eq!((world.troubles(), ranges(&world)), (vec![], vec![None]));
}

#[test]
fn a_device_that_slept_blames_nobody() {
    let mut world = World::one(5500, &[Answer::Stall(2300)]);
    world.tell(Event::Wake);
    world.pass(1000.0);
    world.now += 3_600_000.0;
    world.tell(Event::Wake);
    assert_eq!(world.troubles(), []);
    assert_eq!(world.machine.wake_at(), Some(world.now + 20_000.0));
}

#[test]
fn statuses_are_told_apart() {
    for (status, expected) in [
        (404, Problem::Missing { status: 404 }),
        (410, Problem::Missing { status: 410 }),
        (401, Problem::Refused { status: 401 }),
        (403, Problem::Refused { status: 403 }),
        (418, Problem::Status { status: 418 }),
        (204, Problem::Status { status: 204 }),
    ] {
        let mut world = World::one(5500, &[Answer::Status(status, None)]);
        assert_eq!(problem(world.run()), expected);
        assert_eq!(world.asked().len(), 1, "{status} does not pass");
    }
    for status in [408, 429, 500, 503] {
        let mut world = World::one(5500, &[Answer::Status(status, None)]);
        assert_eq!(world.run(), DONE, "{status} passes");
        assert_eq!(
            world.troubles(),
            [(
                Problem::Busy {
                    status,
                    retry_after_millis: None
                },
                500.0
            )]
        );
    }
    let mut world = World::one(5500, &[Answer::Page, Answer::Status(511, None)]);
    assert_eq!(world.run(), DONE);
    assert_eq!(
        world.troubles(),
        [(Problem::Page, 500.0), (Problem::Page, 1000.0)]
    );
}

#[test]
fn what_the_server_asks_to_wait_is_waited_by_all() {
    let wants = vec![whole("a", 2500), whole("b", 2500)];
    let mut world = World::new(Policy::default(), wants, vec![file(2500, 1), file(2500, 2)]);
    world.script[0].extend([Answer::Status(429, Some(60))]);
    world.script[1].extend([Answer::Cut(1000)]);
    world.tell(Event::Wake);
    world.pass(59_000.0);
    assert_eq!(world.asked().len(), 2);
    // Not even the person changes that.
    world.tell(Event::Resume);
    world.pass(500.0);
    assert_eq!(world.asked().len(), 2);
    assert_eq!(world.go_on(), DONE);
    // An hour is nothing that anybody waits for.
    let mut world = World::one(5500, &[Answer::Status(503, Some(3600))]);
    assert!(matches!(
        problem(world.run()),
        Problem::Busy { status: 503, .. }
    ));
}

#[test]
fn waits_double_up_to_a_limit_and_end() {
    let mut world = World::one(5500, &vec![Answer::Refuse; 20]);
    assert!(matches!(problem(world.run()), Problem::Network { .. }));
    let waits: Vec<f64> = world.troubles().iter().map(|(_, wait)| *wait).collect();
    assert_eq!(
        waits,
        [500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0, 30_000.0]
    );
    let mut world = World::one(5500, &vec![Answer::Refuse; 20]);
    world.random = 0.0;
    world.run();
    assert_eq!(
        world.troubles()[0].1,
        250.0,
        "chance takes half away at most"
    );
}

#[test]
fn progress_starts_the_count_again_but_a_few_bytes_are_none() {
    let mut world = World::one(2_000_000, &vec![Answer::Cut(100_000); 19]);
    assert_eq!(world.run(), DONE);
    assert!(world.troubles().iter().all(|(_, wait)| *wait <= 500.0));
    let mut world = World::one(2_000_000, &vec![Answer::Cut(10); 100]);
    assert!(matches!(problem(world.run()), Problem::Network { .. }));
}

#[test]
fn the_connection_that_comes_back_is_used_at_once() {
    let mut world = World::one(5500, &vec![Answer::Refuse; 5]);
    world.tell(Event::Wake);
    world.pass(6000.0);
    let asked = world.asked().len();
    world.tell(Event::Online(true));
    assert_eq!(world.asked().len(), asked + 1);
}

#[test]
fn without_a_connection_nothing_is_counted() {
    let mut world = World::one(5500, &vec![Answer::Refuse; 30]);
    world.tell(Event::Online(false));
    world.pass(600_000.0);
    assert_eq!(world.end, None);
    let asked = world.asked().len();
    assert!(
        (15..25).contains(&asked),
        "{asked}: it looks every half minute"
    );
    world.script[0].clear();
    world.tell(Event::Online(true));
    assert_eq!(world.go_on(), DONE);
}

#[test]
fn a_pause_keeps_what_has_come() {
    let wants = vec![whole("a", 5500), whole("b", 5500)];
    let mut world = World::new(Policy::default(), wants, vec![file(5500, 1), file(5500, 2)]);
    world.tell(Event::Wake);
    world.pass(35.0);
    world.tell(Event::Pause);
    assert!(world.machine.is_paused());
    assert_eq!((world.held[0].len(), world.held[1].len()), (2000, 2000));
    assert_eq!(world.machine.wake_at(), None, "nothing happens by itself");
    world.pass(1_000_000.0);
    assert_eq!(world.asked().len(), 2);
    world.tell(Event::Resume);
    assert_eq!(ranges(&world)[2..], [Some(2000), Some(2000)]);
    assert_eq!(world.go_on(), DONE);
    assert_eq!(world.good[&1], world.right(1));
}

#[test]
fn a_cancelled_download_is_over() {
    let mut world = World::one(5500, &[]);
    world.tell(Event::Wake);
    world.pass(35.0);
    world.tell(Event::Cancel);
    assert_eq!(world.end, Some(End::Cancelled));
    assert_eq!(world.machine.wake_at(), None);
    world.tell(Event::Resume);
    world.tell(Event::Wake);
    assert_eq!(world.asked().len(), 1);
}

#[test]
fn files_come_two_at_a_time_in_order() {
    let names = ["a", "b", "c", "d", "e"];
    let wants: Vec<Want> = names.iter().map(|name| whole(name, 2500)).collect();
    let files = (1..=5).map(|version| file(2500, version)).collect();
    let mut world = World::new(Policy::default(), wants, files);
    world.script[1].extend([Answer::Cut(1000), Answer::Cut(500)]);
    assert_eq!(world.run(), DONE);
    assert_eq!(world.most_at_once, 2);
    let mut seen: Vec<usize> = world.asked().iter().map(|(item, ..)| *item).collect();
    let mut first: Vec<usize> = Vec::new();
    seen.retain(|item| {
        !first.contains(item) && {
            first.push(*item);
            true
        }
    });
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    for item in 0..5 {
        assert_eq!(world.good[&item], world.right(item));
    }
}

#[test]
fn a_part_of_a_file() {
    let want = |start, bytes| Want {
        extent: Extent::Part { start, bytes },
        has_hash: false,
        ..whole("a", 0)
    };
    for answers in [
        vec![],
        vec![Answer::Cut(1500)],
        vec![Answer::Whole],
        vec![Answer::Cut(1500), Answer::Whole],
    ] {
        let mut world = World::new(
            Policy::default(),
            vec![want(700, 3000)],
            vec![file(5500, 1)],
        );
        world.script[0].extend(answers.clone());
        assert_eq!(world.run(), DONE, "{answers:?}");
        assert_eq!(world.good[&0], world.right(0));
        assert_eq!(world.asked()[0].1, Some((700, Some(3699))));
    }
    // Behind the end of the file.
    let mut world = World::new(
        Policy::default(),
        vec![want(3000, 3000)],
        vec![file(5500, 1)],
    );
    assert_eq!(
        problem(world.run()),
        Problem::WrongLength {
            expected: 6000,
            got: 5500
        }
    );
    // Too much to throw away.
    let policy = Policy {
        max_skip_bytes: 600,
        ..Policy::default()
    };
    let mut world = World::new(policy, vec![want(700, 3000)], vec![file(5500, 1)]);
    world.script[0].push_back(Answer::Whole);
    assert_eq!(problem(world.run()), Problem::NoRanges { skipped: 700 });
}

#[test]
fn an_empty_list_and_an_empty_file_are_there_at_once() {
    let mut world = World::new(Policy::default(), vec![], vec![]);
    assert_eq!(world.run(), DONE);
    let mut world = World::one(0, &[]);
    assert_eq!(world.run(), DONE);
}

#[test]
fn failures_name_file_attempt_and_problem() {
    let mut world = World::one(5500, &[Answer::Cut(20_000), Answer::Status(404, None)]);
    world.script[0][0] = Answer::Cut(10);
    let Some(End::Failed(failure)) = world.run() else {
        panic!("it did not fail")
    };
    assert_eq!(
        failure.to_string(),
        "a: the server has no such file (HTTP status 404), attempt 2"
    );
}
