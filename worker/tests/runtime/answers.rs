//! Answers, undisturbed and disturbed: whatever happens to the device, the page sees the same tokens.

use crate::support::{Break, LOAD, Open, Script, fault, play, question, resumed, shown};
use proptest::prelude::*;
use protocol::{Event, FaultCode, FinishReason, Outcome, Request, RequestId, Status};

fn undisturbed() -> crate::support::Shown {
    shown(&play(Script::default(), &[question(2, 0)], |_, _| {}), 2)
}

fn count(events: &[Event], matches: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| matches(event)).count()
}

fn is_lost(event: &Event) -> bool {
    matches!(event, Event::Status(Status::DeviceLost { .. }))
}

fn is_restored(event: &Event) -> bool {
    matches!(event, Event::Status(Status::DeviceRestored { .. }))
}

#[test]
fn an_answer_streams_until_the_stop_token() {
    let answer = undisturbed();
    assert_eq!(answer.reason, FinishReason::Stop);
    assert_eq!(answer.ids.len(), 50, "30 tokens of prompt, stop at 80");
    assert!(
        !answer.ids.contains(&0),
        "the stop token is no part of the answer"
    );
    let text: String = answer.ids.iter().map(|id| format!("{id} ")).collect();
    assert_eq!(answer.text, text);
    assert_eq!(
        (
            answer.usage.prompt_tokens,
            answer.usage.answer_tokens,
            answer.usage.recoveries
        ),
        (30, 50, 0)
    );
    // 8 chunks of 30 ms and one step of 7 ms; then a token every 7 ms.
    assert_eq!(answer.usage.first_token_millis, 247.0);
    assert!(
        (answer.usage.tokens_per_second - 1000.0 / 7.0).abs() < 1e-9,
        "{answer:?}"
    );
}

#[test]
fn tokens_travel_in_batches() {
    let world = play(Script::default(), &[question(2, 0)], |_, _| {});
    let batches = count(&world.events(), |event| {
        matches!(event, Event::Tokens { .. })
    });
    assert!(
        (15..=25).contains(&batches),
        "50 tokens in 350 ms, a batch every 16 ms: {batches}"
    );
}

#[test]
fn a_device_lost_anywhere_changes_nothing_but_the_time() {
    let expected = undisturbed();
    // 8 chunks of prefill, 50 tokens and the stop token.
    for after in 0..59 {
        let script = Script {
            sessions: [Some((after, Break::Lost))].into(),
            ..Script::default()
        };
        let world = play(script, &[question(2, 0)], |_, _| {});
        let answer = shown(&world, 2);
        assert_eq!(
            (&answer.ids, &answer.text),
            (&expected.ids, &expected.text),
            "lost after {after} operations"
        );
        assert_eq!(
            (answer.reason, answer.usage.recoveries),
            (FinishReason::Stop, 1)
        );
        let events = world.events();
        assert_eq!(
            (count(&events, is_lost), count(&events, is_restored)),
            (1, 1),
            "one status for each loss"
        );
    }
}

#[test]
fn a_silent_device_counts_as_lost() {
    let expected = undisturbed();
    for after in [0, 3, 8, 20, 58] {
        let script = Script {
            sessions: [Some((after, Break::Hang))].into(),
            ..Script::default()
        };
        let world = play(script, &[question(2, 0)], |_, _| {});
        let answer = shown(&world, 2);
        assert_eq!(
            (&answer.ids, &answer.text),
            (&expected.ids, &expected.text),
            "silent after {after} operations"
        );
        assert_eq!(answer.usage.recoveries, 1);
    }
}

#[test]
fn losses_in_a_row_and_missing_adapters_are_survived() {
    let expected = undisturbed();
    let script = Script {
        opens: [Open::Absent, Open::Absent].into(),
        sessions: [
            Some((20, Break::Lost)),
            Some((0, Break::Lost)),
            Some((4, Break::Hang)),
            Some((30, Break::Lost)),
        ]
        .into(),
        ..Script::default()
    };
    let world = play(script, &[question(2, 0)], |_, _| {});
    let answer = shown(&world, 2);
    assert_eq!((&answer.ids, &answer.text), (&expected.ids, &expected.text));
    assert_eq!(answer.usage.recoveries, 4);
    let restored: Vec<Event> = world.events().into_iter().filter(is_restored).collect();
    assert_eq!(
        restored.last(),
        Some(&Event::Status(Status::DeviceRestored { generation: 5 }))
    );
}

#[test]
fn endless_losses_without_progress_end_the_request_but_not_the_worker() {
    let losses = vec![Some((2, Break::Lost)); 5];
    let script = Script {
        sessions: losses.into(),
        ..Script::default()
    };
    let world = play(script, &[question(2, 0), question(3, 0)], |_, _| {});
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::DeviceLost);
    assert_eq!(shown(&world, 3).ids, undisturbed().ids);
}

#[test]
fn an_adapter_that_stays_away_is_believed_in_the_end() {
    let script = Script {
        opens: [vec![Open::Opens], vec![Open::Absent; 7]].concat().into(),
        sessions: [Some((20, Break::Lost))].into(),
        ..Script::default()
    };
    let world = play(script, &[question(2, 0)], |_, _| {});
    let fault = fault(&world, RequestId(2));
    assert_eq!(fault.code, FaultCode::NoAdapter);
    let events = world.events();
    let tokens = count(&events, |event| matches!(event, Event::Tokens { .. }));
    assert!(tokens > 0, "what was accepted before is shown");
    assert_eq!(
        (count(&events, is_lost), count(&events, is_restored)),
        (1, 0)
    );
}

#[test]
fn an_error_that_is_no_loss_ends_the_request() {
    let script = Script {
        sessions: [Some((12, Break::Error))].into(),
        ..Script::default()
    };
    let world = play(script, &[question(2, 0)], |_, _| {});
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::Gpu);
    assert_eq!(count(&world.events(), is_lost), 0);
}

#[test]
fn limits_end_an_answer() {
    let expected = undisturbed();
    let answer = shown(&play(Script::default(), &[question(2, 7)], |_, _| {}), 2);
    assert_eq!(
        (&answer.ids[..], answer.reason),
        (&expected.ids[..7], FinishReason::Length)
    );
    let script = Script {
        context: 40,
        ..Script::default()
    };
    let answer = shown(&play(script, &[question(2, 0)], |_, _| {}), 2);
    assert_eq!(
        (&answer.ids[..], answer.reason),
        (&expected.ids[..10], FinishReason::Context)
    );
    let script = Script {
        context: 30,
        ..Script::default()
    };
    let world = play(script, &[question(2, 0)], |_, _| {});
    assert_eq!(fault(&world, RequestId(2)).code, FaultCode::PromptTooLong);
}

#[test]
fn cancel_works_in_prefill_in_steps_and_during_recovery() {
    let expected = undisturbed();
    let cancel = |when: fn(&Event) -> bool, sessions: &[Option<(u32, Break)>]| {
        let script = Script {
            sessions: sessions.to_vec().into(),
            ..Script::default()
        };
        let world = play(
            script,
            &[question(2, 0), question(3, 0)],
            move |world, event| {
                if when(event) {
                    world.push(Request::Cancel { id: RequestId(2) });
                }
            },
        );
        let answer = shown(&world, 2);
        assert_eq!(answer.reason, FinishReason::Cancelled);
        assert_eq!(answer.ids[..], expected.ids[..answer.ids.len()]);
        assert_eq!(
            shown(&world, 3).ids,
            expected.ids,
            "the next answer is complete"
        );
        answer.ids.len()
    };
    assert_eq!(
        cancel(|event| matches!(event, Event::Prefill { done: 8, .. }), &[]),
        0
    );
    let in_steps = cancel(
        |event| matches!(event, Event::Tokens { sequence: 5, .. }),
        &[],
    );
    assert!(
        (5..20).contains(&in_steps),
        "stopped within a few steps: {in_steps}"
    );
    let in_recovery = cancel(is_lost, &[Some((20, Break::Lost))]);
    assert_eq!(
        in_recovery, 12,
        "what was accepted before the loss is shown"
    );
}

#[test]
fn a_queued_request_can_be_cancelled_and_unknown_numbers_do_nothing() {
    let world = play(
        Script::default(),
        &[question(2, 0), question(3, 0)],
        |world, event| {
            if matches!(
                event,
                Event::Tokens {
                    sequence: 0,
                    id: RequestId(2),
                    ..
                }
            ) {
                for id in [3, 99, 1] {
                    world.push(Request::Cancel { id: RequestId(id) });
                }
            }
        },
    );
    assert_eq!(shown(&world, 2).reason, FinishReason::Stop);
    let events: Vec<Event> = world
        .events()
        .into_iter()
        .filter(|event| event.id() == Some(RequestId(3)))
        .collect();
    assert!(
        matches!(&events[..], [Event::Finished { outcome, .. }] if **outcome == protocol::Outcome::Cancelled)
    );
    assert_eq!(
        count(&world.events(), |event| event.id() == Some(RequestId(99))),
        0
    );
}

#[test]
fn an_answer_goes_on_behind_the_tokens_that_a_dead_worker_sent() {
    let expected = undisturbed();
    for n in [1, 2, 17, 49, 50] {
        let world = play(
            Script::default(),
            &[resumed(2, 0, expected.ids[..n].to_vec())],
            |_, _| {},
        );
        let answer = shown(&world, 2);
        assert_eq!(answer.ids[..], expected.ids[n..], "after {n} tokens");
        let before = shown(
            &play(Script::default(), &[question(2, n as u32)], |_, _| {}),
            2,
        );
        // The first part ends with `finish`, which flushes what a dying worker would have kept; so compare the whole.
        let whole = expected.text.strip_suffix(&answer.text).unwrap();
        assert!(before.text.starts_with(whole), "{whole} | {}", before.text);
        assert_eq!(answer.usage.answer_tokens, 50);
    }
    let world = play(
        Script::default(),
        &[resumed(2, 7, expected.ids[..7].to_vec())],
        |_, _| {},
    );
    let answer = shown(&world, 2);
    assert_eq!((answer.ids.len(), answer.reason), (0, FinishReason::Length));
}

#[test]
fn a_conversation_goes_on_after_the_device_was_lost_between_answers() {
    // 8 chunks and 51 steps belong to the first answer; the device breaks at the next operation.
    let script = Script {
        sessions: [Some((59, Break::Lost))].into(),
        ..Script::default()
    };
    let world = play(script, &[question(2, 0), question(3, 0)], |_, _| {});
    assert_eq!(
        (
            shown(&world, 2).usage.recoveries,
            shown(&world, 3).usage.recoveries
        ),
        (0, 1)
    );
    assert_eq!(shown(&world, 3).ids, undisturbed().ids);
}

/// One thing that goes wrong after some operations of a session.
fn any_break() -> impl Strategy<Value = Option<(u32, Break)>> {
    prop_oneof![
        1 => Just(None),
        3 => (0u32..60).prop_map(|after| Some((after, Break::Lost))),
        1 => (0u32..60).prop_map(|after| Some((after, Break::Hang))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever devices do and whenever the person stops, what the page sees is a beginning of the undisturbed answer, and
    /// the whole of it unless it was stopped or given up.
    #[test]
    fn any_mishaps_show_a_beginning_of_the_undisturbed_answer(
        sessions in proptest::collection::vec(any_break(), 0..6),
        opens in proptest::collection::vec(prop_oneof![Just(Open::Opens), Just(Open::Absent), Just(Open::LostAtShard(1))], 0..8),
        cancel_after in prop_oneof![Just(None), (0u32..3000).prop_map(Some)],
    ) {
        let expected = undisturbed();
        let script = Script { sessions: sessions.into(), opens: opens.into(), ..Script::default() };
        let world = play(script, &[question(2, 0)], move |world, event| {
            if let Some(millis) = cancel_after && event.is_terminal() && event.id() == Some(LOAD) {
                world.push_later(millis, Request::Cancel { id: RequestId(2) });
            }
        });
        let events: Vec<Event> = world.events().into_iter().filter(|event| event.id() == Some(RequestId(2))).collect();
        prop_assert_eq!(count(&events, Event::is_terminal), 1);
        let ids: Vec<u32> = events
            .iter()
            .flat_map(|event| match event {
                Event::Tokens { ids, .. } => ids.clone(),
                _ => Vec::new(),
            })
            .collect();
        prop_assert!(expected.ids.starts_with(&ids), "{:?}", ids);
        match events.last() {
            Some(Event::Finished { outcome, .. }) => match **outcome {
                Outcome::Answered { reason: FinishReason::Stop, .. } => prop_assert_eq!(ids, expected.ids),
                Outcome::Answered { reason: FinishReason::Cancelled, .. } | Outcome::Cancelled => {
                    prop_assert!(cancel_after.is_some());
                }
                ref other => prop_assert!(false, "{:?}", other),
            },
            Some(Event::Failed { fault, .. }) => {
                prop_assert!(matches!(fault.code, FaultCode::DeviceLost | FaultCode::NoAdapter), "{:?}", fault);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
