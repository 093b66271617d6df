//! `window.__tern`: what the page tells tests and curious people, and the checks that they can run.
//! `tests/e2e/README.md` describes it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use app::{Action, Answer, ChatId, Check, Database, State};
use js_sys::{Function, Object, Promise, Reflect};
use protocol::{Fault, Outcome, ShapeJob};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::bridge::to_js;

/// Name of the object.
const NAME: &str = "__tern";
/// Name of the function that measures a made-up model, and of the check behind it.
const BENCH: &str = "__ternBench";
const SHAPE: &str = "shape";

/// The functions that settle a check's promise.
type Settle = (Function, Function);

/// Checks whose results are awaited.
#[derive(Default)]
pub(crate) struct Checks {
    last_key: Cell<u32>,
    pending: RefCell<HashMap<u32, Settle>>,
}

impl Checks {
    /// Gives a check's result to whoever asked for it.
    pub(crate) fn settle(&self, key: u32, result: Result<Box<Outcome>, Fault>) {
        let Some((resolve, reject)) = self.pending.borrow_mut().remove(&key) else {
            return;
        };
        let value = match result.map(|outcome| *outcome) {
            Ok(Outcome::Compiled(report)) => to_js(&report),
            Ok(Outcome::Compared(report)) => to_js(&report),
            Ok(Outcome::ShapeMeasured(report)) => to_js(&report),
            Ok(other) => Err(js_sys::Error::new(&format!("the check gave {other:?}")).into()),
            Err(fault) => Err(js_sys::Error::new(&format!("{:?}: {fault}", fault.code)).into()),
        };
        // The promise's own functions do not throw.
        let _settled = match value {
            Ok(value) => resolve.call1(&JsValue::NULL, &value),
            Err(error) => reject.call1(&JsValue::NULL, &error),
        };
    }
}

#[derive(Serialize)]
struct LastAnswer<'a> {
    ids: &'a [u32],
    text: &'a str,
    done: bool,
    finish: Option<&'static str>,
    recoveries: u32,
    usage: Option<protocol::Usage>,
    trimmed: u32,
}

impl<'a> LastAnswer<'a> {
    fn of(answer: &'a Answer) -> Self {
        Self {
            ids: &answer.ids,
            text: &answer.text,
            done: answer.finish.is_some(),
            finish: answer.finish.map(app::Finish::name),
            recoveries: answer.recoveries,
            usage: answer.usage,
            trimmed: answer.trimmed,
        }
    }
}

/// The chats, as tests need them.
#[derive(Serialize)]
struct ChatList<'a> {
    open: ChatId,
    loading: bool,
    database: &'static str,
    list: Vec<ListedChat<'a>>,
    turns: Vec<ShownTurn<'a>>,
}

#[derive(Serialize)]
struct ListedChat<'a> {
    id: ChatId,
    title: &'a str,
}

#[derive(Serialize)]
struct ShownTurn<'a> {
    key: u32,
    question: &'a str,
    answer: LastAnswer<'a>,
}

impl<'a> ChatList<'a> {
    fn of(state: &'a State) -> Self {
        let chats = &state.chats;
        Self {
            open: chats.open.head.id,
            loading: chats.open.loading,
            database: match state.environment.database {
                Database::Opening => "opening",
                Database::Open => "open",
                Database::Failed { .. } => "failed",
                Database::Full { .. } => "full",
            },
            list: chats
                .list
                .iter()
                .map(|head| ListedChat {
                    id: head.id,
                    title: &head.title,
                })
                .collect(),
            turns: chats
                .open
                .turns
                .iter()
                .map(|turn| ShownTurn {
                    key: turn.key,
                    question: &turn.question,
                    answer: LastAnswer::of(&turn.answer),
                })
                .collect(),
        }
    }
}

/// Puts the object on the window. Its properties are read from the state when somebody looks.
pub(crate) fn install(
    checks: &Rc<Checks>,
    with_state: impl Fn(&mut dyn FnMut(&State)) + Clone + 'static,
    dispatch: impl Fn(Action) + 'static,
) -> Result<(), JsValue> {
    let tern = Object::new();
    property(&tern, "state", with_state.clone(), |state| {
        Ok(JsValue::from_str(state.name()))
    })?;
    property(&tern, "report", with_state.clone(), |state| {
        match &state.engine.device {
            Some(report) => to_js(report),
            None => Ok(JsValue::NULL),
        }
    })?;
    property(&tern, "model", with_state.clone(), |state| {
        match &state.engine.model {
            Some(model) => to_js(model),
            None => Ok(JsValue::NULL),
        }
    })?;
    property(&tern, "offer", with_state.clone(), |state| {
        match &state.engine.offer {
            Some(offer) => to_js(offer),
            None => Ok(JsValue::NULL),
        }
    })?;
    property(&tern, "chats", with_state.clone(), |state| {
        to_js(&ChatList::of(state))
    })?;
    property(&tern, "flight", with_state.clone(), |state| {
        Ok(JsValue::from_str(&state.recorder().to_text()))
    })?;
    property(&tern, "lastAnswer", with_state, |state| {
        match state.chats.open.turns.last() {
            Some(turn) => to_js(&LastAnswer::of(&turn.answer)),
            None => Ok(JsValue::NULL),
        }
    })?;
    let checks = Rc::clone(checks);
    let run = Rc::new(move |name: &str, arguments: &JsValue| {
        let check = match read_check(name, arguments) {
            Ok(check) => check,
            Err(problem) => return Promise::reject(&js_sys::Error::new(&problem)),
        };
        let key = checks.last_key.get() + 1;
        checks.last_key.set(key);
        let promise = Promise::new(&mut |resolve, reject| {
            checks.pending.borrow_mut().insert(key, (resolve, reject));
        });
        dispatch(Action::Check { key, check });
        promise
    });
    let bench = Rc::clone(&run);
    let check = Closure::<dyn Fn(String, JsValue) -> Promise>::new(
        move |name: String, arguments: JsValue| run(&name, &arguments),
    );
    let bench =
        Closure::<dyn Fn(JsValue) -> Promise>::new(move |options: JsValue| bench(SHAPE, &options));
    Reflect::set(&tern, &"check".into(), check.as_ref())?;
    Reflect::set(&js_sys::global(), &BENCH.into(), bench.as_ref())?;
    // The objects live as long as the page.
    check.forget();
    bench.forget();
    Reflect::set(&js_sys::global(), &NAME.into(), &tern)?;
    Ok(())
}

/// Defines a property that is computed from the state.
fn property(
    object: &Object,
    name: &str,
    with_state: impl Fn(&mut dyn FnMut(&State)) + 'static,
    value: impl Fn(&State) -> Result<JsValue, JsValue> + 'static,
) -> Result<(), JsValue> {
    let getter = Closure::<dyn Fn() -> Result<JsValue, JsValue>>::new(move || {
        let mut result = Ok(JsValue::NULL);
        with_state(&mut |state| result = value(state));
        result
    });
    let descriptor = Object::new();
    Reflect::set(&descriptor, &"get".into(), getter.as_ref())?;
    Reflect::set(&descriptor, &"enumerable".into(), &JsValue::TRUE)?;
    getter.forget();
    Object::define_property(object, &name.into(), &descriptor);
    Ok(())
}

fn read_check(name: &str, arguments: &JsValue) -> Result<Check, String> {
    match name {
        "variants" => Ok(Check::Variants),
        "prefill" => {
            let get =
                |field: &str| Reflect::get(arguments, &field.into()).unwrap_or(JsValue::UNDEFINED);
            let lengths: Vec<u32> = serde_wasm_bindgen::from_value(get("lengths"))
                .map_err(|error| format!("prefill needs lengths, an array of numbers: {error}"))?;
            let truncate = get("truncate").as_f64().unwrap_or(0.0) as u32;
            Ok(Check::Prefill { lengths, truncate })
        }
        SHAPE if arguments.is_undefined() => Ok(Check::Shape(BenchOptions::default().into())),
        SHAPE => read_shape(arguments).map(Check::Shape),
        _ => Err(format!(
            "unknown check {name}: known are variants, prefill and {SHAPE}"
        )),
    }
}

fn read_shape(arguments: &JsValue) -> Result<ShapeJob, String> {
    let expected = || format!("expected {}", BENCH_OPTIONS.join(", "));
    let object = arguments.dyn_ref::<Object>().ok_or_else(expected)?;
    // A misspelt name would otherwise measure a large model in silence.
    let names = Object::keys(object);
    let unknown = names.iter().filter_map(|name| name.as_string());
    if let Some(unknown) = { unknown }.find(|name| !BENCH_OPTIONS.contains(&&**name)) {
        return Err(format!("{}, got {unknown}", expected()));
    }
    serde_wasm_bindgen::from_value::<BenchOptions>(arguments.clone())
        .map(ShapeJob::from)
        .map_err(|error| format!("{}: {error}", expected()))
}

/// Names of the fields below.
const BENCH_OPTIONS: [&str; 5] = ["shape", "prompts", "contexts", "tokens", "repetitions"];

/// What `window.__ternBench` takes; what is left out is as `tern bench` has it.
#[derive(Deserialize)]
#[serde(default)]
struct BenchOptions {
    shape: String,
    prompts: Vec<u32>,
    contexts: Vec<u32>,
    tokens: u32,
    repetitions: u32,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            shape: "2b-4t".to_owned(),
            prompts: vec![512],
            contexts: vec![128, 512],
            tokens: 64,
            repetitions: 3,
        }
    }
}

impl From<BenchOptions> for ShapeJob {
    fn from(options: BenchOptions) -> Self {
        Self {
            shape: options.shape,
            prompts: options.prompts,
            contexts: options.contexts,
            tokens: options.tokens,
            repetitions: options.repetitions,
        }
    }
}
