//! A world without browser and GPU: virtual time, files in memory, a scripted engine.

mod engine;
mod files;
mod network;
mod package;
mod page;
mod published;
mod session;
mod store;
mod texts;
mod world;

use std::rc::Rc;

use protocol::{
    Event, FinishReason, Generate, Hello, Message, Outcome, Request, RequestId, Role,
    SamplingSettings, Settings, Usage,
};
use worker::{Policy, Runtime};

pub(crate) use engine::{Break, FakeEngine, Open, Script};
pub(crate) use files::MemoryFile;
pub(crate) use network::Mishap;
pub(crate) use package::{BASE_URL, Tiny};
pub(crate) use page::{Kept, answer};
pub(crate) use published::{Published, assert_converted, repositories};
pub(crate) use store::StoreBreak;
pub(crate) use texts::FakeTexts;
pub(crate) use world::{Outside, World};

/// After so many bytes what has come of a file is stored.
pub(crate) const PART_BYTES: u64 = 4000;

/// The request that loads the model in [`start`].
pub(crate) const LOAD: RequestId = RequestId(1);

/// A worker in its world, with the tiny package on the server.
pub(crate) fn worker(script: Script) -> (Rc<World>, impl Future<Output = ()>) {
    let world = Rc::new(World::served());
    let run = worker_in(&world, script);
    (world, run)
}

/// A worker in a world that may have seen others before: its disk and its server stay, its requests and events do not.
pub(crate) fn worker_in(world: &Rc<World>, script: Script) -> impl Future<Output = ()> + use<> {
    world.forget();
    let engine = FakeEngine::new(Rc::clone(world), script);
    let runtime = Runtime::new(
        Outside::new(Rc::clone(world)),
        engine,
        FakeTexts,
        world.inbox(),
        Policy {
            part_bytes: PART_BYTES,
            ..Policy::default()
        },
    );
    runtime.run()
}

/// A worker's life in a world that may have seen others: greeted, then these requests.
pub(crate) fn visit(world: &Rc<World>, script: Script, requests: &[Request]) {
    let run = worker_in(world, script);
    world.push(Request::Hello(Hello::own()));
    for request in requests {
        world.push(request.clone());
    }
    world.run_until_idle(run);
}

/// Runs a worker that is greeted, loads the tiny package and then gets `requests`; returns when it waits for more.
pub(crate) fn play(
    script: Script,
    requests: &[Request],
    on_event: impl FnMut(&World, &Event) + 'static,
) -> Rc<World> {
    let (world, run) = worker(script);
    *world.on_event.borrow_mut() = Box::new(on_event);
    world.push(Request::Hello(Hello::own()));
    world.push(load(LOAD));
    for request in requests {
        world.push(request.clone());
    }
    world.run_until_idle(run);
    world
}

pub(crate) fn load(id: RequestId) -> Request {
    Request::Load {
        id,
        model_url: BASE_URL.to_owned(),
        settings: Settings::default(),
    }
}

/// A question whose prompt is longer than a few chunks of the scripted engine.
pub(crate) fn question(id: u32, max_tokens: u32) -> Request {
    resumed(id, max_tokens, Vec::new())
}

pub(crate) fn resumed(id: u32, max_tokens: u32, resume: Vec<u32>) -> Request {
    Request::Generate {
        id: RequestId(id),
        job: Generate {
            messages: vec![Message::new(Role::User, "What is the capital of France?")],
            sampling: SamplingSettings {
                temperature: 0.7,
                seed: 5,
                ..SamplingSettings::default()
            },
            max_tokens,
            resume,
        },
    }
}

/// What a page would show of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) ids: Vec<u32>,
    pub(crate) reason: FinishReason,
    pub(crate) usage: Usage,
}

/// Puts the events of an answer together, and checks that they are well-formed: batches numbered without gaps, exactly one
/// terminal event, nothing behind it.
pub(crate) fn shown(world: &World, id: u32) -> Shown {
    let id = RequestId(id);
    let events: Vec<Event> = world
        .events()
        .into_iter()
        .filter(|event| event.id() == Some(id))
        .collect();
    assert_eq!(
        events.iter().filter(|event| event.is_terminal()).count(),
        1,
        "{events:?}"
    );
    assert!(events.last().unwrap().is_terminal(), "{events:?}");
    let (mut text, mut ids, mut next) = (String::new(), Vec::new(), 0);
    for event in &events {
        match event {
            Event::Tokens {
                sequence,
                text: part,
                ids: part_ids,
                ..
            } => {
                assert_eq!(*sequence, next);
                next += 1;
                text.push_str(part);
                ids.extend(part_ids);
            }
            Event::Finished { outcome, .. } => match **outcome {
                Outcome::Answered { reason, usage } => {
                    return Shown {
                        text,
                        ids,
                        reason,
                        usage,
                    };
                }
                ref other => panic!("expected an answer, got {other:?}"),
            },
            Event::Failed { fault, .. } => panic!("expected an answer, got {fault:?}"),
            _ => {}
        }
    }
    unreachable!("a terminal event was counted")
}

/// The fault that ended a request.
pub(crate) fn fault(world: &World, id: RequestId) -> protocol::Fault {
    let events = world.events();
    let mut terminal = events
        .iter()
        .filter(|event| event.id() == Some(id) && event.is_terminal());
    let Some(Event::Failed { fault, .. }) = terminal.next() else {
        panic!("expected a failure, got {events:?}")
    };
    assert!(terminal.next().is_none());
    fault.clone()
}
