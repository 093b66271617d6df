//! A page under test, and what its tests say to it.

use app::{Action, Clock, Effect, Environment, Opening, Phase, State, Switches};
use protocol::{
    ByteCount, Event, FinishReason, Generate, Hello, ModelInfo, Outcome, Request, RequestId, Role,
    SamplingSettings, Usage,
};

pub(crate) const URL: &str = "https://host/models/m/";

pub(crate) fn new() -> State {
    let (state, effects) = State::new(Opening {
        switches: Switches::default(),
        model_url: URL.to_owned(),
        environment: Environment::default(),
        clock: Clock::default(),
        seed: 1,
    });
    assert_eq!(effects, [Effect::Spawn]);
    state
}

pub(crate) fn event(state: &mut State, event: Event) -> Vec<Effect> {
    state.on(Action::Event(event))
}

pub(crate) fn send(state: &mut State, text: &str) -> Vec<Effect> {
    state.on(Action::Send {
        text: text.to_owned(),
    })
}

pub(crate) fn info() -> ModelInfo {
    let bytes = ByteCount::default();
    ModelInfo {
        name: "Tiny".into(),
        license: None,
        context: 100,
        sampling: Some(SamplingSettings {
            temperature: 0.4,
            ..Default::default()
        }),
        weight_bytes: bytes,
        kv_bytes: bytes,
        activation_bytes: bytes,
        load_millis: 1.0,
        cached: true,
    }
}

pub(crate) fn finished(id: RequestId, outcome: Outcome) -> Event {
    Event::Finished {
        id,
        outcome: Box::new(outcome),
    }
}

pub(crate) fn answered(id: RequestId, reason: FinishReason) -> Event {
    finished(
        id,
        Outcome::Answered {
            reason,
            usage: Usage::default(),
        },
    )
}

pub(crate) fn tokens(id: RequestId, sequence: u32, text: &str, ids: &[u32]) -> Event {
    Event::Tokens {
        id,
        sequence,
        text: text.into(),
        ids: ids.to_vec(),
    }
}

/// The only load among the effects.
pub(crate) fn loading(effects: &[Effect]) -> RequestId {
    let ids: Vec<RequestId> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Post(Request::Load { id, model_url, .. }) if model_url == URL => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 1, "{effects:?}");
    ids[0]
}

/// The only answer asked for among the effects.
pub(crate) fn generating(effects: &[Effect]) -> (RequestId, Generate) {
    let mut jobs = effects.iter().filter_map(|effect| match effect {
        Effect::Post(Request::Generate { id, job }) => Some((*id, job.clone())),
        _ => None,
    });
    let job = jobs
        .next()
        .unwrap_or_else(|| panic!("no answer asked for: {effects:?}"));
    assert!(jobs.next().is_none());
    job
}

pub(crate) fn greet(state: &mut State) -> RequestId {
    let effects = event(state, Event::Hello(Hello::own()));
    assert_eq!(effects[0], Effect::Post(Request::Hello(Hello::own())));
    loading(&effects)
}

pub(crate) fn ready() -> State {
    let mut state = new();
    let load = greet(&mut state);
    let effects = event(&mut state, finished(load, Outcome::Loaded(info())));
    assert!(matches!(
        effects[..],
        [Effect::Post(Request::DescribeDevice { .. })]
    ));
    assert_eq!(state.engine.phase, Phase::Ready);
    state
}

/// A page whose worker has sent two tokens of an answer.
pub(crate) fn answering() -> (State, RequestId) {
    let mut state = ready();
    let (id, job) = generating(&send(&mut state, " Hello? "));
    assert_eq!(job.messages.len(), 1);
    assert_eq!(
        (job.messages[0].role, job.messages[0].content.as_str()),
        (Role::User, "Hello?")
    );
    let seed = state.chats.open.turns[0].seed;
    assert_eq!((job.sampling.temperature, job.sampling.seed), (0.4, seed));
    assert!(event(&mut state, tokens(id, 0, "He", &[1])).is_empty());
    assert!(event(&mut state, tokens(id, 1, "y", &[2])).is_empty());
    (state, id)
}
