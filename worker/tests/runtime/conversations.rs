//! Conversations of more than one turn: what is read again, and what is left out.

use std::rc::Rc;

use crate::support::{LOAD, Script, World, fault, load, shown, visit};
use protocol::{Event, FaultCode, Generate, Message, Request, RequestId, Role, SamplingSettings};

const QUESTION: &str = "What is the capital of France?";

fn ask(id: u32, messages: Vec<Message>, resume: Vec<u32>) -> Request {
    Request::Generate {
        id: RequestId(id),
        job: Generate {
            messages,
            sampling: SamplingSettings::default(),
            max_tokens: 10,
            resume,
        },
    }
}

/// The (done, total) pairs of a request's reading.
fn prefill(world: &World, id: u32) -> Vec<(u32, u32)> {
    let events = world.events();
    let read = events.iter().filter_map(|event| match event {
        Event::Prefill {
            id: RequestId(of),
            done,
            total,
        } if *of == id => Some((*done, *total)),
        _ => None,
    });
    read.collect()
}

fn trimmed(world: &World, id: u32) -> Vec<u32> {
    let events = world.events();
    let trimmed = events.iter().filter_map(|event| match event {
        Event::Trimmed {
            id: RequestId(of),
            messages,
        } if *of == id => Some(*messages),
        _ => None,
    });
    trimmed.collect()
}

fn answered(ids: &[u32]) -> Message {
    Message {
        role: Role::Assistant,
        content: "as text it has other tokens".into(),
        ids: ids.to_vec(),
    }
}

/// A first question, then a second one behind the first answer, which is given as its ids.
fn two_turns(script: Script) -> Rc<World> {
    let first = vec![Message::new(Role::User, QUESTION)];
    let world = Rc::new(World::served());
    visit(
        &world,
        Script::default(),
        &[load(LOAD), ask(2, first.clone(), vec![])],
    );
    let ids = shown(&world, 2).ids;
    assert_eq!(ids.len(), 10);
    let second = [
        first.clone(),
        vec![answered(&ids), Message::new(Role::User, "And?")],
    ]
    .concat();
    visit(
        &world,
        script,
        &[load(LOAD), ask(2, first, vec![]), ask(3, second, vec![])],
    );
    world
}

#[test]
fn a_follow_up_reads_only_its_own_tokens() {
    let world = two_turns(Script::default());
    assert_eq!(prefill(&world, 2).last(), Some(&(30, 30)));
    // Four bytes of question, and the last token of the answer, which no step had read.
    let reading = prefill(&world, 3);
    assert!(
        reading.iter().all(|(_, total)| *total <= 5) && !reading.is_empty(),
        "{reading:?}"
    );
    assert_eq!(shown(&world, 3).usage.prompt_tokens, 44);
    assert_eq!(shown(&world, 3).usage.context_tokens, 54);
}

/// Ten pairs of 20 + 10 bytes, a system prompt of 15, and a question of 30: 345 bytes for a context of 200.
fn long(resume: Vec<u32>) -> Request {
    let mut messages = vec![Message::new(Role::System, "Answer briefly!")];
    for n in 0..10 {
        messages.push(Message::new(Role::User, format!("Question number {n:>4}")));
        messages.push(Message::new(Role::Assistant, format!("Answer {n:>3}")));
    }
    messages.push(Message::new(Role::User, QUESTION));
    ask(2, messages, resume)
}

#[test]
fn the_oldest_pairs_are_left_out_and_it_is_said_once() {
    let world = Rc::new(World::served());
    visit(&world, Script::default(), &[load(LOAD), long(vec![])]);
    // 190 are free beside ten for the answer: 45 that stay and four pairs of 30.
    assert_eq!(trimmed(&world, 2), [12]);
    let answer = shown(&world, 2);
    assert_eq!(answer.usage.prompt_tokens, 45 + 4 * 30);
    let events = world.events();
    let said = events
        .iter()
        .position(|event| matches!(event, Event::Trimmed { .. }));
    let read = events
        .iter()
        .position(|event| matches!(event, Event::Prefill { .. }));
    assert!(said < read, "before the prompt is read");
}

#[test]
fn a_resumed_answer_sees_the_same_part_of_the_conversation() {
    let world = Rc::new(World::served());
    visit(&world, Script::default(), &[load(LOAD), long(vec![])]);
    let expected = shown(&world, 2).ids;
    for n in 0..=expected.len() {
        visit(
            &world,
            Script::default(),
            &[load(LOAD), long(expected[..n].to_vec())],
        );
        assert_eq!(trimmed(&world, 2), [12]);
        assert_eq!(shown(&world, 2).ids[..], expected[n..]);
    }
}

#[test]
fn a_question_that_does_not_fit_is_refused_before_it_is_read() {
    let world = Rc::new(World::served());
    let question = vec![Message::new(Role::User, "x".repeat(191))];
    visit(
        &world,
        Script::default(),
        &[load(LOAD), ask(2, question, vec![])],
    );
    let fault = fault(&world, RequestId(2));
    assert_eq!(fault.code, FaultCode::PromptTooLong);
    assert!(
        fault.detail.contains("191 tokens") && fault.detail.contains("context of 200 holds 190"),
        "{fault}"
    );
    assert_eq!(prefill(&world, 2), []);
}
