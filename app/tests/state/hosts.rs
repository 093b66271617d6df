//! Servers that the person allows: asked about, stored, and what goes on behind the one load of the page.

use app::{Action, ChatId, Effect, HostProblem, Look, Opening, Phase, Resume, Screen, State};
use protocol::{Event, Fault, FaultCode, Hello, Outcome, Request, RequestId};

use crate::first_run::offered;
use crate::support::{
    URL, act, clock, db, event, finished, info, offer, opened, opening, ready, unanswered,
};

const ADDRESS: &str = "https://models.example/one.gguf";
const HOST: &str = "https://models.example";

fn refused(host: Option<&str>) -> Fault {
    Fault {
        host: host.map(str::to_owned),
        ..Fault::new(FaultCode::HostNotAllowed, "not allowed")
    }
}

fn look_of(effects: &[Effect]) -> Option<RequestId> {
    effects.iter().find_map(|effect| match effect {
        Effect::Post(Request::Inspect { id, model_url }) if model_url == ADDRESS => Some(*id),
        _ => None,
    })
}

/// A page on whose settings a look has failed.
fn looked(fault: Fault) -> State {
    let mut state = ready();
    let _open = state.on(Action::OpenSettings);
    let look = look_of(&act(&mut state, Action::LookUp(ADDRESS.to_owned()))).unwrap();
    let failed = Event::Failed {
        id: Some(look),
        fault,
    };
    event(&mut state, failed);
    state
}

#[test]
fn a_host_is_asked_about_stored_and_looked_up_again_behind_one_load() {
    let mut state = looked(refused(Some(HOST)));
    assert_eq!(state.host_to_allow(), Some(HOST));
    let chat = state.chats.open.head.id;
    let effects = state.on(Action::AllowHost(HOST.to_owned()));
    assert!(effects.contains(&Effect::AllowHost(HOST.to_owned())));
    assert!(!effects.contains(&Effect::Reload), "it is not stored yet");
    assert!(!state.can_change_hosts());
    let again = state.on(Action::AllowHost(HOST.to_owned()));
    assert!(!again.contains(&Effect::AllowHost(HOST.to_owned())));
    let effects = state.on(Action::HostsStored(Ok(vec![HOST.to_owned()])));
    let resume = Resume {
        chat,
        settings: true,
        address: ADDRESS.to_owned(),
        look: true,
        agreed: Some(URL.to_owned()),
    };
    assert_eq!(effects, [Effect::Resume(resume.clone()), Effect::Reload]);

    // The next load goes on.
    let mut state = unanswered(Opening {
        resume: Some(resume),
        ..opening()
    });
    assert_eq!(
        (state.screen, state.chats.open.head.id),
        (Screen::Settings, chat)
    );
    assert_eq!(state.engine.look_address, ADDRESS);
    assert_eq!(state.engine.look, Some(Look::Asking));
    let _spawned = state.on(Action::EngineLock(true));
    db(&mut state, opened(&[]));
    let effects = event(&mut state, Event::Hello(Hello::own()));
    assert_eq!(look_of(&effects), None, "the model comes first");
    let load = effects.iter().find_map(|effect| match effect {
        Effect::Post(Request::Load { id, .. }) => Some(*id),
        _ => None,
    });
    let effects = event(&mut state, finished(load.unwrap(), Outcome::Loaded(info())));
    let look = look_of(&effects).unwrap();
    event(&mut state, finished(look, Outcome::Inspected(offer(false))));
    assert_eq!(state.engine.look, Some(Look::Found(offer(false))));
    let effects = state.on(Action::CloseSettings);
    assert_eq!(look_of(&effects), None, "it is looked up once");
}

#[test]
fn without_a_service_worker_nothing_is_loaded_again() {
    let mut state = looked(refused(Some(HOST)));
    let _allow = state.on(Action::AllowHost(HOST.to_owned()));
    let problem = HostProblem::NoServiceWorker;
    let effects = state.on(Action::HostsStored(Err(problem.clone())));
    assert!(!effects.contains(&Effect::Reload));
    assert_eq!(state.hosts.problem, Some(problem));
    assert!(state.can_change_hosts(), "it can be tried again");
    act(&mut state, Action::LookUp(ADDRESS.to_owned()));
    assert_eq!(state.hosts.problem, None);
}

#[test]
fn only_what_a_policy_can_name_is_asked_about_and_allowed() {
    for host in [
        "https://a.example;",
        "https://*.example",
        "https://a.example 'unsafe-eval'",
        "http://a.example",
    ] {
        let mut state = looked(refused(Some(host)));
        assert_eq!(state.host_to_allow(), None, "{host}");
        assert_eq!(state.on(Action::AllowHost(host.to_owned())), [], "{host}");
    }
    assert_eq!(looked(refused(None)).host_to_allow(), None);
    // A reload is what helps then, not another permission.
    let blocked = Fault {
        host: Some(HOST.to_owned()),
        ..Fault::new(FaultCode::HostBlocked, "blocked")
    };
    assert_eq!(looked(blocked).host_to_allow(), None);
}

#[test]
fn a_host_is_removed_likewise_and_nothing_is_looked_up_then() {
    let mut state = ready();
    let _read = state.on(Action::HostsRead(vec![HOST.to_owned()]));
    assert_eq!(state.hosts.allowed, [HOST]);
    let _open = state.on(Action::OpenSettings);
    let effects = state.on(Action::ForgetHost(HOST.to_owned()));
    assert!(effects.contains(&Effect::ForgetHost(HOST.to_owned())));
    let effects = state.on(Action::HostsStored(Ok(Vec::new())));
    let [Effect::Resume(resume), Effect::Reload] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((resume.settings, resume.look), (true, false));
}

#[test]
fn nothing_is_allowed_while_something_runs() {
    let mut state = offered();
    let _load = state.on(Action::Download);
    assert_eq!(state.engine.phase, Phase::Loading);
    assert_eq!(state.on(Action::AllowHost(HOST.to_owned())), []);
    assert_eq!(state.on(Action::ForgetHost(HOST.to_owned())), []);
}

#[test]
fn a_download_that_needs_another_host_goes_on_behind_the_load() {
    let mut state = offered();
    let effects = act(&mut state, Action::Download);
    let load = effects.iter().find_map(|effect| match effect {
        Effect::Post(Request::Load { id, .. }) => Some(*id),
        _ => None,
    });
    let failed = Event::Failed {
        id: load,
        fault: refused(Some(HOST)),
    };
    event(&mut state, failed);
    assert_eq!(state.engine.phase, Phase::Failed);
    assert_eq!(state.host_to_allow(), Some(HOST));
    let _allow = state.on(Action::AllowHost(HOST.to_owned()));
    let effects = state.on(Action::HostsStored(Ok(vec![HOST.to_owned()])));
    let Some(Effect::Resume(resume)) = effects.first() else {
        panic!("{effects:?}")
    };
    let mut state = unanswered(Opening {
        resume: Some(resume.clone()),
        ..opening()
    });
    let _spawned = state.on(Action::EngineLock(true));
    db(&mut state, opened(&[]));
    let effects = event(&mut state, Event::Hello(Hello::own()));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Post(Request::Load { .. }))),
        "{effects:?}"
    );
    // Of another model nothing was said.
    let other = Resume {
        agreed: Some("https://host/models/other/".to_owned()),
        ..resume.clone()
    };
    let mut state = unanswered(Opening {
        resume: Some(other),
        ..opening()
    });
    let _spawned = state.on(Action::EngineLock(true));
    db(&mut state, opened(&[]));
    let effects = event(&mut state, Event::Hello(Hello::own()));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Post(Request::Inspect { .. })))
    );
}

#[test]
fn a_new_chat_stays_on_the_screen_behind_the_load() {
    let last = app::ChatHead::new(ChatId(7), clock(0.0).wall_millis);
    let with = |chat| {
        let mut state = unanswered(Opening {
            resume: Some(Resume {
                chat,
                settings: false,
                address: String::new(),
                look: false,
                agreed: None,
            }),
            ..opening()
        });
        let _spawned = state.on(Action::EngineLock(true));
        db(&mut state, opened(std::slice::from_ref(&last)));
        state.chats.open.head.id
    };
    assert_eq!(with(ChatId(9)), ChatId(9), "a new one");
    assert_eq!(with(ChatId(7)), ChatId(7), "one that is stored");
}
