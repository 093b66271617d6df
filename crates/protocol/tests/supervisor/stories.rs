//! Known stories: what happens at which moment, and what is done about it.

use protocol::supervisor::{Cause, Effect, Event, Move, Phase, Policy, Supervisor};

/// Feeds events at moments (milliseconds) and compares what is done about each.
fn check(story: &[(u64, Event, &[Effect])]) -> Supervisor {
    let mut supervisor = Supervisor::new(Policy::default());
    for (index, (now, event, expected)) in story.iter().enumerate() {
        let effects = supervisor.on(*now, *event);
        assert_eq!(effects, *expected, "step {index}: {event:?} at {now}");
    }
    supervisor
}

const SPAWN: &[Effect] = &[Effect::Spawn(1)];
const NONE: &[Effect] = &[];

/// A worker that has a model.
const READY: [(u64, Event, &[Effect]); 3] = [
    (0, Event::Start, SPAWN),
    (10, Event::Greeted(1), NONE),
    (20, Event::Loaded(1), NONE),
];

fn after_ready(more: &[(u64, Event, &[Effect])]) -> Supervisor {
    check(&[&READY[..], more].concat())
}

fn lost(generation: u32) -> Event {
    Event::Lost(generation, Cause::Device)
}

#[test]
fn the_first_loss_is_mended_at_once_in_the_same_worker() {
    let supervisor = after_ready(&[
        (100, Event::Began, NONE),
        (200, lost(1), &[Effect::Reopen]),
        (300, Event::Loaded(1), NONE),
        (400, Event::Accepted, NONE),
        (500, Event::Ended, NONE),
    ]);
    assert_eq!((supervisor.phase(), supervisor.level()), (Phase::Ready, 0));
}

#[test]
fn losses_without_a_token_go_up_the_ladder_and_end() {
    let supervisor = after_ready(&[
        (100, Event::Began, NONE),
        (1_000, lost(1), &[Effect::Reopen]),
        // The second: another worker, a second later; the old one gives its device back first.
        (2_000, lost(1), &[Effect::Retire]),
        (2_100, Event::Retired(1), &[Effect::Terminate]),
        (2_900, Event::Tick, NONE),
        (3_000, Event::Tick, &[Effect::Spawn(2)]),
        (3_100, Event::Greeted(2), NONE),
        // The third: smaller, after 5 s; this worker does not answer.
        (4_000, lost(2), &[Effect::Retire]),
        (4_900, Event::Tick, NONE),
        (5_000, Event::Tick, &[Effect::Terminate]),
        (9_000, Event::Tick, &[Effect::Spawn(3)]),
        (9_100, Event::Greeted(3), NONE),
        (9_200, lost(3), &[Effect::Retire]),
        (9_300, Event::Retired(3), &[Effect::Terminate]),
        (44_199, Event::Tick, NONE),
        (44_200, Event::Tick, &[Effect::Spawn(4)]),
        (44_300, Event::Greeted(4), NONE),
        (
            45_000,
            lost(4),
            &[Effect::Terminate, Effect::GiveUp(Cause::Device)],
        ),
        (50_000, Event::Tick, NONE),
        (60_000, Event::Retry, &[Effect::Spawn(5)]),
    ]);
    assert_eq!(supervisor.level(), 2, "what was too much stays too much");
}

/// A loss at this moment and what follows until there are tokens again: whether another worker came, and the wait before.
fn lose_and_recover(supervisor: &mut Supervisor, now: u64) -> (Move, u64) {
    let before = supervisor.generation();
    let mut effects = supervisor.on(now, lost(before));
    if effects == [Effect::Retire] {
        effects = supervisor.on(now, Event::Retired(before));
        assert_eq!(effects[0], Effect::Terminate);
    }
    let at = supervisor.waits_until().unwrap_or(now);
    if at > now {
        assert!(supervisor.on(at - 1, Event::Tick).is_empty(), "too early");
        effects = supervisor.on(at, Event::Tick);
    }
    let generation = supervisor.generation();
    let movement = if effects.contains(&Effect::Spawn(generation)) {
        assert!(supervisor.on(at, Event::Greeted(generation)).is_empty());
        Move::Replace
    } else {
        assert_eq!(effects, [Effect::Reopen]);
        Move::Reopen
    };
    assert!(supervisor.on(at, Event::Loaded(generation)).is_empty());
    assert!(supervisor.on(at + 10, Event::Accepted).is_empty());
    (movement, at - now)
}

#[test]
fn from_the_third_loss_within_one_answer_on_its_configuration_is_smaller() {
    let mut supervisor = after_ready(&[(100, Event::Began, NONE), (110, Event::Accepted, NONE)]);
    let expected = [
        (Move::Reopen, 0, 0),
        (Move::Reopen, 1_000, 0),
        (Move::Replace, 5_000, 1),
        (Move::Replace, 35_000, 2),
        // An answer that still grows is never given up.
        (Move::Replace, 35_000, 2),
        (Move::Replace, 35_000, 2),
    ];
    let mut now = 1_000;
    for (index, (movement, wait, level)) in expected.into_iter().enumerate() {
        let made = lose_and_recover(&mut supervisor, now);
        assert_eq!(
            (made, supervisor.level()),
            ((movement, wait), level),
            "loss {}",
            index + 1
        );
        now += wait + 100;
    }
    assert_eq!(supervisor.phase(), Phase::Ready);
}

#[test]
fn answers_with_a_few_losses_each_keep_their_configuration() {
    let mut supervisor = after_ready(&[]);
    let mut now = 1_000;
    for _ in 0..6 {
        assert!(supervisor.on(now, Event::Began).is_empty());
        for _ in 0..2 {
            let (movement, wait) = lose_and_recover(&mut supervisor, now);
            assert_eq!(movement, Move::Reopen);
            now += wait + 100;
        }
        assert!(supervisor.on(now, Event::Ended).is_empty());
    }
    assert_eq!((supervisor.phase(), supervisor.level()), (Phase::Ready, 0));
}

#[test]
fn an_adapter_that_stays_away_is_waited_for_behind_a_fresh_worker() {
    let missing = |generation| Event::Lost(generation, Cause::Adapter);
    let wait = Policy::default().adapter_wait_millis;
    let mut supervisor = after_ready(&[
        (1_000, lost(1), &[Effect::Reopen]),
        (3_000, missing(1), &[Effect::Retire]),
        (
            3_010,
            Event::Retired(1),
            &[Effect::Terminate, Effect::Spawn(2)],
        ),
        (3_100, Event::Greeted(2), NONE),
        (5_000, missing(2), &[Effect::Retire]),
        (5_010, Event::Retired(2), &[Effect::Terminate]),
    ]);
    assert_eq!(supervisor.waits_until(), Some(5_000 + wait));
    assert!(wait >= 120_000 && supervisor.waits_for_adapter());
    assert!(supervisor.on(5_000 + wait - 1, Event::Tick).is_empty());
    assert_eq!(supervisor.on(5_000 + wait, Event::Tick), [Effect::Spawn(3)]);
    let mut now = 5_000 + wait;
    for generation in 3..6 {
        assert!(supervisor.on(now, Event::Greeted(generation)).is_empty());
        let effects = supervisor.on(now, missing(generation));
        if generation == 5 {
            assert_eq!(effects, [Effect::GiveUp(Cause::Adapter)]);
            return;
        }
        assert_eq!(effects, [Effect::Retire]);
        now += wait;
        assert!(
            supervisor
                .on(now, Event::Tick)
                .contains(&Effect::Spawn(generation + 1))
        );
    }
}

#[test]
fn the_person_need_not_wait_for_the_countdown() {
    let missing = |generation| Event::Lost(generation, Cause::Adapter);
    after_ready(&[
        (1_000, missing(1), &[Effect::Retire]),
        (
            1_010,
            Event::Retired(1),
            &[Effect::Terminate, Effect::Spawn(2)],
        ),
        (1_100, Event::Greeted(2), NONE),
        (2_000, missing(2), &[Effect::Retire]),
        (2_010, Event::Retired(2), &[Effect::Terminate]),
        (9_000, Event::Retry, &[Effect::Spawn(3)]),
    ]);
}

#[test]
fn without_an_adapter_from_the_start_there_is_nothing_to_wait_for() {
    check(&[
        (0, Event::Start, SPAWN),
        (10, Event::Greeted(1), NONE),
        (
            20,
            Event::Lost(1, Cause::Adapter),
            &[Effect::GiveUp(Cause::Adapter)],
        ),
    ]);
}

#[test]
fn memory_that_does_not_suffice_leads_to_smaller_configurations() {
    let full = |generation| Event::Lost(generation, Cause::Memory);
    let supervisor = check(&[
        (0, Event::Start, SPAWN),
        (10, Event::Greeted(1), NONE),
        (20, full(1), &[Effect::Retire]),
        (
            30,
            Event::Retired(1),
            &[Effect::Terminate, Effect::Spawn(2)],
        ),
        (40, Event::Greeted(2), NONE),
        (50, full(2), &[Effect::Retire]),
        (
            60,
            Event::Retired(2),
            &[Effect::Terminate, Effect::Spawn(3)],
        ),
        (70, Event::Greeted(3), NONE),
        (80, full(3), &[Effect::GiveUp(Cause::Memory)]),
    ]);
    assert_eq!(supervisor.level(), 2);
}

#[test]
fn a_trap_is_replaced_and_a_failed_worker_is_asked_for_its_device_first() {
    after_ready(&[
        (
            100,
            Event::Lost(1, Cause::Trap),
            &[Effect::Terminate, Effect::Spawn(2)],
        ),
        (200, Event::Greeted(2), NONE),
        (300, Event::Loaded(2), NONE),
        (400, Event::Lost(2, Cause::Worker), &[Effect::Retire]),
        (1_400, Event::Tick, &[Effect::Terminate, Effect::Spawn(3)]),
    ]);
}

#[test]
fn silence_is_counted_in_ticks_of_a_visible_page() {
    let policy = Policy::default();
    let mut supervisor = after_ready(&[]);
    for _ in 0..policy.silent_ticks {
        assert!(supervisor.on(1_000_000, Event::Tick).is_empty());
    }
    assert!(supervisor.on(1_000_000, Event::Heard(1)).is_empty());
    for _ in 0..policy.silent_ticks {
        assert!(supervisor.on(2_000_000, Event::Tick).is_empty());
    }
    assert!(supervisor.on(2_000_000, Event::Hidden).is_empty());
    for _ in 0..1000 {
        assert!(supervisor.on(3_000_000, Event::Tick).is_empty());
    }
    assert!(supervisor.on(3_000_000, Event::Visible).is_empty());
    for _ in 0..policy.silent_ticks {
        assert!(supervisor.on(3_000_000, Event::Tick).is_empty());
    }
    assert_eq!(
        supervisor.on(3_000_000, Event::Tick),
        [Effect::Silent, Effect::Retire]
    );
}

#[test]
fn nothing_is_started_while_nobody_looks() {
    after_ready(&[
        (100, Event::Hidden, NONE),
        (200, lost(1), NONE),
        (5_000, Event::Tick, NONE),
        (9_000, Event::Visible, &[Effect::Reopen]),
        (9_100, Event::Loaded(1), NONE),
        (9_200, Event::Hidden, NONE),
        (9_300, Event::Lost(1, Cause::Trap), &[Effect::Terminate]),
        (99_000, Event::Tick, NONE),
        (99_100, Event::Visible, &[Effect::Spawn(2)]),
    ]);
}

#[test]
fn late_words_of_a_dead_worker_change_nothing() {
    let supervisor = after_ready(&[
        (
            100,
            Event::Lost(1, Cause::Trap),
            &[Effect::Terminate, Effect::Spawn(2)],
        ),
        (110, lost(1), NONE),
        (120, Event::Loaded(1), NONE),
        (130, Event::Retired(1), NONE),
        (140, Event::Greeted(1), NONE),
    ]);
    assert_eq!(supervisor.phase(), Phase::Starting);
}

#[test]
fn a_worker_that_dies_while_it_waits_for_another_device_is_replaced_at_that_time() {
    let supervisor = after_ready(&[
        (100, Event::Began, NONE),
        (110, Event::Accepted, NONE),
        (200, lost(1), &[Effect::Reopen]),
        (300, Event::Loaded(1), NONE),
        (400, Event::Accepted, NONE),
        (500, lost(1), NONE),
        (600, lost(1), NONE),
        (700, Event::Lost(1, Cause::Trap), &[Effect::Terminate]),
    ]);
    assert_eq!(supervisor.phase(), Phase::Waiting(1_500, Move::Replace));
}

#[test]
fn an_end_on_purpose_is_no_loss() {
    after_ready(&[
        (100, Event::Shutdown, &[Effect::Retire]),
        (110, Event::Lost(1, Cause::Worker), NONE),
        (120, Event::Retired(1), &[Effect::Terminate]),
        (130, Event::Tick, NONE),
        (140, Event::Start, &[Effect::Spawn(2)]),
        (150, Event::Shutdown, &[Effect::Retire]),
        (1_150, Event::Tick, &[Effect::Terminate]),
        (1_200, Event::Start, &[Effect::Spawn(3)]),
        (1_300, Event::Shutdown, &[Effect::Retire]),
        // Wanted again before the old one is gone.
        (1_310, Event::Start, NONE),
        (
            1_320,
            Event::Retired(3),
            &[Effect::Terminate, Effect::Spawn(4)],
        ),
        (1_330, Event::Discard, &[Effect::Terminate]),
        (1_340, Event::Discard, NONE),
    ]);
}

#[test]
fn losses_long_ago_are_forgotten() {
    let hour = 3_600_000;
    after_ready(&[
        (hour, lost(1), &[Effect::Reopen]),
        (hour + 100, Event::Loaded(1), NONE),
        (2 * hour, lost(1), &[Effect::Reopen]),
        (2 * hour + 100, Event::Loaded(1), NONE),
    ]);
}
