//! A page under test, and what its tests say to it.

use app::{
    Action, Change, ChatHead, Clock, DbEvent, DbRequest, Effect, Environment, Opening, Phase,
    Screen, State, Switches,
};
use protocol::{
    ByteCount, Event, FinishReason, Fit, Generate, Hello, LoadTimes, ModelInfo, ModelOffer,
    Outcome, Request, RequestId, Role, SamplingSettings, SelfTestReport, StorageState, Usage,
};

pub(crate) const URL: &str = "https://host/models/m/";

pub(crate) fn opening() -> Opening {
    Opening {
        switches: Switches::default(),
        model_url: URL.to_owned(),
        usual_url: URL.to_owned(),
        queue: Vec::new(),
        screen: Screen::Chat,
        environment: Environment::default(),
        clock: clock(0.0),
        seed: 1,
        resume: None,
    }
}

/// A moment, in seconds after the start of the page.
pub(crate) fn clock(seconds: f64) -> Clock {
    Clock {
        wall_millis: 1.7e12 + seconds * 1000.0,
        steady_millis: seconds * 1000.0,
    }
}

/// A page that was opened, before anybody answered.
pub(crate) fn unanswered(opening: Opening) -> State {
    let (state, effects) = State::new(opening);
    assert_eq!(
        effects,
        [
            Effect::ClaimEngine { steal: false },
            Effect::Db(DbRequest::Open)
        ]
    );
    state
}

/// A page that has the engine and an empty database.
pub(crate) fn new() -> State {
    let mut state = unanswered(opening());
    assert_eq!(state.on(Action::EngineLock(true)), [Effect::Spawn]);
    assert_eq!(db(&mut state, opened(&[])), []);
    state
}

pub(crate) fn opened(chats: &[ChatHead]) -> DbEvent {
    DbEvent::Opened {
        chats: chats.to_vec(),
        preferences: None,
        flight: None,
    }
}

pub(crate) fn db(state: &mut State, event: DbEvent) -> Vec<Effect> {
    state.on(Action::Db(event))
}

/// Lets the state take an action, and returns what concerns the worker.
pub(crate) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    let concerns_worker = |effect: &Effect| {
        matches!(
            effect,
            Effect::Spawn
                | Effect::Retire
                | Effect::Terminate
                | Effect::Post(_)
                | Effect::Settle { .. }
                | Effect::Heal
        )
    };
    state
        .on(action)
        .into_iter()
        .filter(concerns_worker)
        .collect()
}

pub(crate) fn event(state: &mut State, event: Event) -> Vec<Effect> {
    act(state, Action::Event(event))
}

pub(crate) fn send(state: &mut State, text: &str) -> Vec<Effect> {
    act(
        state,
        Action::Send {
            text: text.to_owned(),
        },
    )
}

/// The changes among the effects, but for the flight recorder's.
pub(crate) fn written(effects: &[Effect]) -> Vec<Change> {
    all_written(effects)
        .into_iter()
        .filter(|change| !matches!(change, Change::PutFlight(_)))
        .collect()
}

/// The changes among the effects.
pub(crate) fn all_written(effects: &[Effect]) -> Vec<Change> {
    effects
        .iter()
        .flat_map(|effect| match effect {
            Effect::Db(DbRequest::Write(changes)) => changes.clone(),
            _ => Vec::new(),
        })
        .collect()
}

pub(crate) fn offer(complete: bool) -> ModelOffer {
    let bytes = |n| ByteCount::saturating(n);
    ModelOffer {
        model_url: URL.to_owned(),
        name: "Tiny".into(),
        license: None,
        download_bytes: bytes(10_000_000),
        stored_bytes: bytes(if complete { 10_000_000 } else { 0 }),
        complete,
        max_context: 100,
        weight_bytes: bytes(9_000_000),
        context: 100,
        kv_bytes: bytes(1_000_000),
        kv_at: Vec::new(),
        other_bytes: bytes(1_000_000),
        fit: Fit::Fits,
        missing_bytes: bytes(0),
        precisions: Vec::new(),
        storage: StorageState::Durable,
    }
}

pub(crate) fn info() -> ModelInfo {
    let bytes = ByteCount::default();
    ModelInfo {
        name: "Tiny".into(),
        license: None,
        context: 100,
        continues_text: false,
        sampling: Some(SamplingSettings {
            temperature: 0.4,
            ..Default::default()
        }),
        weight_bytes: bytes,
        kv_bytes: bytes,
        activation_bytes: bytes,
        load_millis: 1.0,
        times: LoadTimes::default(),
        self_test: SelfTestReport::default(),
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

/// The only look at the stored model among the effects.
pub(crate) fn inspecting(effects: &[Effect]) -> RequestId {
    let ids: Vec<RequestId> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Post(Request::Inspect { id, model_url }) if model_url == URL => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 1, "{effects:?}");
    ids[0]
}

/// Greets the worker of a page whose model is stored, and returns the number of the load.
pub(crate) fn greet(state: &mut State) -> RequestId {
    let effects = event(state, Event::Hello(Hello::own()));
    assert_eq!(effects[0], Effect::Post(Request::Hello(Hello::own())));
    if effects
        .iter()
        .any(|effect| matches!(effect, Effect::Post(Request::Load { .. })))
    {
        return loading(&effects);
    }
    let id = inspecting(&effects);
    loading(&event(state, finished(id, Outcome::Inspected(offer(true)))))
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
