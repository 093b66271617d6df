//! Bytes that are not what they should be.

use model::download::{End, Event, Extent, Policy, Problem, Want};

use crate::world::{Answer, World, file, problem, ranges, whole};

const DONE: Option<End> = Some(End::Done);

#[test]
fn a_short_body_is_never_complete() {
    let mut world = World::one(5500, &[Answer::End(5000)]);
    assert_eq!(world.run(), DONE);
    assert_eq!(
        world.troubles()[0].0,
        Problem::Short {
            expected: 5500,
            got: 5000
        }
    );
    assert_eq!(ranges(&world), [None, Some(5000)]);
}

#[test]
fn a_file_of_another_length_is_asked_for_past_the_caches_and_then_refused() {
    for n_bytes in [4000, 6000] {
        let mut world = World::new(
            Policy::default(),
            vec![whole("a", 5500)],
            vec![file(n_bytes, 1)],
        );
        let got = n_bytes as u64;
        assert_eq!(
            problem(world.run()),
            Problem::WrongLength {
                expected: 5500,
                got
            }
        );
        assert_eq!(
            world.asked(),
            [(0, None, false), (0, None, true), (0, None, true)]
        );
        assert_eq!(world.held[0], [0; 0], "no byte of it is kept");
    }
    let mut world = World::one(5500, &[Answer::Longer, Answer::Longer, Answer::Longer]);
    assert_eq!(
        problem(world.run()),
        Problem::WrongLength {
            expected: 5500,
            got: 5501
        }
    );
    assert_eq!(world.held[0], [0; 0]);
}

#[test]
fn a_wrong_byte_costs_the_file_and_no_more() {
    let mut world = World::one(5500, &[Answer::Flip(70)]);
    assert_eq!(world.run(), DONE);
    assert_eq!(world.asked(), [(0, None, false), (0, None, true)]);
    assert_eq!(world.good[&0], world.right(0));
    let mut world = World::one(5500, &[Answer::Flip(1), Answer::Flip(2), Answer::Flip(3)]);
    assert!(matches!(problem(world.run()), Problem::WrongHash { .. }));
    assert!(world.good.is_empty());
}

#[test]
fn bytes_that_come_twice_cost_the_file_and_no_more() {
    for (cut, repeated) in [(2300, 1000), (2300, 2300), (5000, 1)] {
        let mut world = World::one(5500, &[Answer::Cut(cut), Answer::Repeat(repeated)]);
        assert_eq!(world.run(), DONE);
        let asked = [(None, false), (Some(cut as u64), false), (None, true)];
        assert_eq!(
            world.asked(),
            asked.map(|(first, fresh)| (0, first.map(|it| (it, None)), fresh))
        );
        assert_eq!(world.good[&0], world.right(0));
    }
}

#[test]
fn a_file_with_a_hash_that_changes_under_way_is_never_stored_mixed() {
    let mut world = World::one(5500, &[Answer::Cut(2300)]);
    world.tell(Event::Wake);
    world.pass(100.0);
    let right = std::mem::replace(&mut world.files[0], file(5500, 2));
    // The second half comes from another version, and so does the whole file behind it.
    world.pass(530.0);
    assert!(world.good.is_empty() && world.troubles().len() == 2);
    world.files[0] = right;
    assert_eq!(world.go_on(), DONE);
    assert_eq!(world.good[&0], world.right(0));
    // Where it stays another one, nothing is stored.
    let mut world = World::one(5500, &[Answer::Cut(2300)]);
    world.tell(Event::Wake);
    world.pass(100.0);
    world.files[0] = file(5500, 2);
    assert!(matches!(problem(world.go_on()), Problem::WrongHash { .. }));
    assert!(world.good.is_empty() && world.held[0].is_empty());
}

#[test]
fn without_a_hash_only_one_version_is_put_together() {
    let want = || Want {
        extent: Extent::Unknown { max_bytes: 10_000 },
        has_hash: false,
        ..whole("a", 0)
    };
    for answer in [Answer::Well, Answer::Whole] {
        let mut world = World::new(Policy::default(), vec![want()], vec![file(5500, 1)]);
        world.script[0].extend([Answer::Cut(2300), answer]);
        world.tell(Event::Wake);
        world.pass(100.0);
        world.files[0] = file(5200, 2);
        assert_eq!(world.go_on(), DONE);
        assert_eq!(world.good[&0], world.right(0));
    }
    // The same version is gone on with, one without a name begins again.
    for (etag, second) in [(Some("\"one\""), Some(2300)), (None, None)] {
        let mut world = World::new(Policy::default(), vec![want()], vec![file(5500, 1)]);
        world.files[0].etag = etag;
        world.script[0].push_back(Answer::Cut(2300));
        assert_eq!(world.run(), DONE);
        assert_eq!(ranges(&world), [None, second]);
        assert_eq!(world.good[&0], world.right(0));
    }
}

#[test]
fn a_file_that_changes_again_and_again_is_given_up() {
    let want = Want {
        extent: Extent::Unknown { max_bytes: 10_000 },
        has_hash: false,
        ..whole("a", 0)
    };
    let mut world = World::new(Policy::default(), vec![want], vec![file(5500, 1)]);
    world.script[0].extend(vec![Answer::Cut(2300); 50]);
    world.tell(Event::Wake);
    for version in [2, 1].into_iter().cycle().take(50) {
        world.pass(700.0);
        world.files[0] = file(5500, version);
    }
    assert_eq!(problem(world.end.clone()), Problem::Changed);
    assert!(world.good.is_empty());
}

#[test]
fn a_file_that_is_too_long_is_refused_before_it_is_held() {
    let want = Want {
        extent: Extent::Unknown { max_bytes: 3000 },
        has_hash: false,
        ..whole("a", 0)
    };
    for answer in [Answer::Well, Answer::Longer] {
        let mut world = World::new(Policy::default(), vec![want.clone()], vec![file(5500, 1)]);
        world.script[0].extend(vec![answer; 3]);
        assert_eq!(problem(world.run()), Problem::TooLong { max_bytes: 3000 });
    }
}

#[test]
fn a_file_that_became_shorter_than_what_is_held_comes_anew() {
    let want = Want {
        extent: Extent::Unknown { max_bytes: 10_000 },
        has_hash: false,
        ..whole("a", 0)
    };
    let mut world = World::new(Policy::default(), vec![want], vec![file(5500, 1)]);
    world.script[0].push_back(Answer::Cut(2300));
    world.tell(Event::Wake);
    world.pass(100.0);
    // 416 now.
    world.files[0] = file(1000, 2);
    assert_eq!(world.go_on(), DONE);
    assert_eq!(world.asked().last(), Some(&(0, None, true)));
    assert_eq!(world.good[&0], world.right(0));
}
