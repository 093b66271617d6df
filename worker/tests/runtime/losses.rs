//! Devices that are lost: whatever happens to them, a page that goes on has the same tokens in the end.

use crate::support::{
    Break, Kept, LOAD, Open, Script, World, answer, fault, load, play, question, shown,
};
use proptest::prelude::*;
use protocol::{Event, FaultCode, FinishReason, Outcome, Request, RequestId, Status};

fn undisturbed() -> crate::support::Shown {
    shown(&play(Script::default(), &[question(2, 0)], |_, _| {}), 2)
}

fn is_lost(event: &Event) -> bool {
    matches!(event, Event::Status(Status::DeviceLost { .. }))
}

fn n_losses(world: &World) -> usize {
    world.events().iter().filter(|event| is_lost(event)).count()
}

/// A page that asks the usual question of devices that break.
fn broken(sessions: &[Option<(u32, Break)>], opens: &[Open]) -> Kept {
    let script = Script {
        sessions: sessions.to_vec().into(),
        opens: opens.to_vec().into(),
        ..Script::default()
    };
    answer(script, question(2, 0), None).1
}

#[test]
fn a_device_lost_anywhere_changes_nothing_but_the_time() {
    let expected = undisturbed();
    // 8 chunks of prefill, 50 tokens and the stop token.
    for after in 0..59 {
        let kept = broken(&[Some((after, Break::Lost))], &[]);
        assert_eq!(
            (&kept.ids, &kept.text),
            (&expected.ids, &expected.text),
            "lost after {after} operations"
        );
        assert_eq!(kept.end, Some(Ok(FinishReason::Stop)));
        assert_eq!((kept.losses, kept.requests), (1, 3), "told once");
    }
}

#[test]
fn a_silent_device_counts_as_lost() {
    let expected = undisturbed();
    for after in [0, 3, 8, 20, 58] {
        let kept = broken(&[Some((after, Break::Hang))], &[]);
        assert_eq!(
            (&kept.ids, &kept.text),
            (&expected.ids, &expected.text),
            "silent after {after} operations"
        );
        assert_eq!(kept.losses, 1);
    }
}

#[test]
fn a_device_that_is_lost_or_silent_while_it_is_loaded_is_a_loss_too() {
    for open in [
        Open::LostAtShard(0),
        Open::LostAtShard(1),
        Open::Hangs,
        Open::HangsAtShard(0),
        Open::HangsAtShard(1),
        Open::HangsAtShard(u32::MAX),
    ] {
        let script = Script {
            opens: [open.clone()].into(),
            ..Script::default()
        };
        let world = play(script, &[load(RequestId(2)), question(3, 0)], |_, _| {});
        assert_eq!(fault(&world, LOAD).code, FaultCode::DeviceLost, "{open:?}");
        assert_eq!(n_losses(&world), 1);
        assert_eq!(shown(&world, 3).ids, undisturbed().ids);
    }
}

#[test]
fn losses_in_a_row_and_missing_adapters_are_survived() {
    let expected = undisturbed();
    let sessions = [
        Some((20, Break::Lost)),
        Some((0, Break::Lost)),
        Some((4, Break::Hang)),
        Some((30, Break::Lost)),
    ];
    let kept = broken(&sessions, &[Open::Absent, Open::Absent]);
    assert_eq!((&kept.ids, &kept.text), (&expected.ids, &expected.text));
    assert_eq!(kept.losses, 4);
}

#[test]
fn a_loss_while_nothing_is_asked_is_told_at_once() {
    let script = Script {
        idle_losses: [Some(5_000)].into(),
        ..Script::default()
    };
    let world = play(script, &[], |world, event| {
        if is_lost(event) {
            world.push(load(RequestId(2)));
            world.push(question(3, 0));
        }
    });
    assert_eq!(n_losses(&world), 1);
    assert_eq!(shown(&world, 3).ids, undisturbed().ids);
}

#[test]
fn a_question_to_a_model_without_a_device_is_refused_as_lost() {
    let script = Script {
        idle_losses: [Some(5_000)].into(),
        ..Script::default()
    };
    let world = play(script, &[], |world, event| {
        if is_lost(event) {
            world.push(question(2, 0));
        }
    });
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::DeviceLost);
}

#[test]
fn another_device_for_the_same_package_reads_nothing_but_its_weights() {
    let world = play(
        Script::default(),
        &[load(RequestId(2)), question(3, 0)],
        |world, event| {
            if event.id() == Some(LOAD) && event.is_terminal() {
                world.network.asked.borrow_mut().clear();
            }
        },
    );
    assert_eq!(shown(&world, 3).ids, undisturbed().ids);
    assert_eq!(world.network.asked.borrow().len(), 0);
}

#[test]
fn stop_during_recovery_keeps_what_was_accepted() {
    let expected = undisturbed();
    let script = Script {
        sessions: [Some((20, Break::Lost))].into(),
        ..Script::default()
    };
    // The loss comes 324 ms after the load; the next device takes some time.
    let (_, kept) = answer(script, question(2, 0), Some(330));
    assert_eq!(kept.end, Some(Ok(FinishReason::Cancelled)));
    assert_eq!(kept.ids[..], expected.ids[..12]);
}

#[test]
fn a_retired_worker_has_no_model_any_more() {
    let world = play(
        Script::default(),
        &[Request::Retire, question(2, 0)],
        |_, _| {},
    );
    assert!(world.events().contains(&Event::Retired));
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::BadRequest);
}

/// One thing that goes wrong after some operations of a session.
fn any_break() -> impl Strategy<Value = Option<(u32, Break)>> {
    prop_oneof![
        1 => Just(None),
        3 => (0u32..60).prop_map(|after| Some((after, Break::Lost))),
        1 => (0u32..60).prop_map(|after| Some((after, Break::Hang))),
    ]
}

fn any_open() -> impl Strategy<Value = Open> {
    prop_oneof![
        3 => Just(Open::Opens),
        2 => Just(Open::Absent),
        1 => (0u32..3).prop_map(Open::LostAtShard),
        1 => (0u32..3).prop_map(Open::HangsAtShard),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever devices do and whenever the person stops, what the page has is a beginning of the undisturbed answer, and the
    /// whole of it unless it was stopped.
    #[test]
    fn any_mishaps_leave_a_beginning_of_the_undisturbed_answer(
        sessions in proptest::collection::vec(any_break(), 0..6),
        opens in proptest::collection::vec(any_open(), 0..8),
        stop_after in prop_oneof![Just(None), (0u32..3000).prop_map(Some)],
    ) {
        let expected = undisturbed();
        let script = Script { sessions: sessions.into(), opens: opens.into(), ..Script::default() };
        let (world, kept) = answer(script, question(2, 0), stop_after);
        prop_assert!(expected.ids.starts_with(&kept.ids), "{:?}", kept);
        match kept.end {
            Some(Ok(FinishReason::Stop)) => {
                prop_assert_eq!(&kept.ids, &expected.ids);
                prop_assert_eq!(&kept.text, &expected.text);
            }
            Some(Ok(FinishReason::Cancelled)) => prop_assert!(stop_after.is_some()),
            ref other => prop_assert!(false, "{:?}", other),
        }
        for id in 1..40 {
            let of_id = |event: &&Event| event.id() == Some(RequestId(id)) && event.is_terminal();
            prop_assert!(world.events().iter().filter(of_id).count() <= 1);
        }
        let cancelled = Event::Finished { id: LOAD, outcome: Box::new(Outcome::Cancelled) };
        prop_assert!(!world.events().contains(&cancelled) || stop_after.is_some());
    }
}
