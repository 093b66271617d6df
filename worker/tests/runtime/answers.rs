//! Answers, undisturbed, cut short and continued.

use crate::support::{Break, Script, fault, play, question, resumed, shown};
use protocol::{Event, FaultCode, FinishReason, Request, RequestId, Status};

fn undisturbed() -> crate::support::Shown {
    shown(&play(Script::default(), &[question(2, 0)], |_, _| {}), 2)
}

fn count(events: &[Event], matches: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| matches(event)).count()
}

fn is_lost(event: &Event) -> bool {
    matches!(event, Event::Status(Status::DeviceLost { .. }))
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
        (answer.usage.prompt_tokens, answer.usage.answer_tokens),
        (30, 50)
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
fn cancel_works_in_prefill_and_in_steps() {
    let expected = undisturbed();
    let cancel = |when: fn(&Event) -> bool| {
        let world = play(
            Script::default(),
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
        cancel(|event| matches!(event, Event::Prefill { done: 8, .. })),
        0
    );
    let in_steps = cancel(|event| matches!(event, Event::Tokens { sequence: 5, .. }));
    assert!(
        (5..20).contains(&in_steps),
        "stopped within a few steps: {in_steps}"
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
