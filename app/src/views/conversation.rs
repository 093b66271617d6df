//! What was said.

use app::{Answer, Finish, Phase, strings};
use leptos::html;
use leptos::prelude::*;

use super::Page;
use super::fault::FaultBox;

/// How near to its end, in pixels, the conversation counts as read to the end and follows the answer.
const NEAR_END_PIXELS: i32 = 48;

/// The conversation, or a welcome while there is none, and what went wrong.
#[component]
pub(super) fn Conversation(page: Page) -> impl IntoView {
    let keys = page.part(|state| {
        state
            .chats
            .open
            .turns
            .iter()
            .map(|turn| turn.key)
            .collect::<Vec<_>>()
    });
    let is_busy = page.part(|state| state.engine.phase == Phase::Answering);
    let log = NodeRef::<html::Main>::new();
    let at_end = RwSignal::new(true);
    let on_scroll = move |_| {
        if let Some(log) = log.get_untracked() {
            let below = log.scroll_height() - log.scroll_top() - log.client_height();
            at_end.set(below <= NEAR_END_PIXELS);
        }
    };
    follow(page, log, at_end);
    view! {
        <main
            class="conversation"
            node_ref=log
            on:scroll=on_scroll
        >
            <div
                role="log"
                aria-label=strings::CONVERSATION
                aria-busy=move || if is_busy.get() { "true" } else { "false" }
            >
            <Show when=move || keys.with(Vec::is_empty)>
                <div class="welcome">
                    <h2>{strings::WELCOME}</h2>
                    <p>{strings::WELCOME_DETAIL}</p>
                </div>
            </Show>
            <For each=move || keys.get() key=|key| *key children=move |key| view! { <TurnView page key /> } />
            </div>
            <FaultBox page />
        </main>
    }
}

/// Keeps the end in sight while the person looks at it, and goes there when a question is asked.
fn follow(page: Page, log: NodeRef<html::Main>, at_end: RwSignal<bool>) {
    let growth = page.part(|state| {
        let length = state
            .chats
            .open
            .turns
            .last()
            .map(|turn| (turn.answer.text.len(), turn.answer.finish));
        (
            state.chats.open.turns.len(),
            length,
            state.engine.fault.is_some(),
        )
    });
    Effect::new(move |before: Option<usize>| {
        let (n_turns, ..) = growth.get();
        if at_end.get_untracked() || before.is_some_and(|before| before < n_turns) {
            request_animation_frame(move || {
                if let Some(log) = log.get_untracked() {
                    log.set_scroll_top(log.scroll_height());
                }
            });
        }
        n_turns
    });
}

/// A question and its answer. All of it is text: what a model writes never becomes markup.
#[component]
fn TurnView(page: Page, key: u32) -> impl IntoView {
    let question = page
        .state
        .with_untracked(|state| state.turn(key).map(|turn| turn.question.clone()));
    // Text only grows, so its length tells whether it changed, without copying it.
    let length = page.part(move |state| state.turn(key).map_or(0, |turn| turn.answer.text.len()));
    let text = move || {
        // Read, not only tracked: a memo that nobody reads never runs.
        let _length = length.get();
        page.state
            .with_untracked(|state| state.turn(key).map(|turn| turn.answer.text.clone()))
    };
    let is_waiting = page.part(move |state| {
        state
            .turn(key)
            .is_some_and(|turn| turn.answer.finish.is_none() && turn.answer.text.is_empty())
    });
    let note = page.part(move |state| state.turn(key).and_then(|turn| note(&turn.answer)));
    view! {
        <section class="turn">
            <div class="question" dir="auto">
                <span class="unseen">{strings::YOU}": "</span>
                {question}
            </div>
            <div>
                <span class="unseen">{strings::MODEL}": "</span>
                <Show when=move || is_waiting.get()>
                    <span class="dots" aria-hidden="true">
                        <i></i>
                        <i></i>
                        <i></i>
                    </span>
                </Show>
                <div class="answer" data-testid="answer" dir="auto">
                    {text}
                </div>
                <Show when=move || note.with(Option::is_some)>
                    <p class="note" data-testid="note">
                        {move || note.get()}
                    </p>
                </Show>
            </div>
        </section>
    }
}

/// How an answer ended, unless it just did, and how fast it was.
fn note(answer: &Answer) -> Option<String> {
    let ending = match answer.finish? {
        Finish::Stop => None,
        Finish::Cancelled => Some(strings::NOTE_CANCELLED),
        Finish::Length => Some(strings::NOTE_LENGTH),
        Finish::Context => Some(strings::NOTE_CONTEXT),
        Finish::Failed => Some(strings::NOTE_FAILED),
        Finish::Interrupted => Some(strings::NOTE_INTERRUPTED),
    };
    let usage = answer
        .usage
        .as_ref()
        .filter(|usage| usage.answer_tokens > 0)
        .map(strings::usage);
    match (ending, usage) {
        (Some(ending), Some(usage)) => Some(format!("{ending} · {usage}")),
        (Some(ending), None) => Some(ending.to_owned()),
        (None, usage) => usage,
    }
}
