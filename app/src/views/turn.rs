//! A question and its answer.

use std::sync::Arc;

use app::markdown::{self, Block};
use app::{Action, Answer, Finish, Place, strings};
use leptos::html;
use leptos::prelude::*;

use super::edit::{self, Edit};
use super::{Page, use_ui};
use crate::components::{CopyButton, CopyStyle, Icon, LiveMarkdown, Markdown, Shape};

/// A question and its answer, two articles.
#[component]
pub(super) fn TurnView(page: Page, key: u32) -> impl IntoView {
    let trimmed = page.part(move |state| state.turn(key).map_or(0, |turn| turn.answer.trimmed));
    view! {
        <div class="turn">
            <Question page key />
            <Show when=move || { trimmed.get() > 0 }>
                <p class="trimmed" data-testid="trimmed">
                    {move || strings::trimmed(trimmed.get())}
                </p>
            </Show>
            <AnswerView page key />
        </div>
    }
}

/// What the person wrote, as it was written.
#[component]
fn Question(page: Page, key: u32) -> impl IntoView {
    let text = page.part(move |state| {
        state
            .turn(key)
            .map(|turn| turn.question.clone())
            .unwrap_or_default()
    });
    let can_edit = page.part(app::State::can_send);
    let drafts = use_ui().drafts;
    let left = edit::place(page, key).map(|(chat, number)| Place::Question(chat, number));
    let is_edited = RwSignal::new(left.is_some_and(|place| drafts.get(place).is_some()));
    let pencil = NodeRef::<html::Button>::new();
    // The field that had the focus is gone when editing ends.
    Effect::new(move |was: Option<bool>| {
        let is_edited = is_edited.get();
        if was == Some(true) && !is_edited {
            request_animation_frame(move || {
                if let Some(pencil) = pencil.try_get_untracked().flatten() {
                    let _focused = pencil.focus();
                }
            });
        }
        is_edited
    });
    view! {
        <article class="question" aria-label=strings::YOU>
            <Show
                when=move || is_edited.get()
                fallback=move || {
                    view! {
                        <div class="bubble" dir="auto">
                            {move || text.get()}
                        </div>
                        <div class="actions">
                            <button
                                type="button"
                                class="icon-button"
                                node_ref=pencil
                                aria-label=strings::EDIT_QUESTION
                                title=strings::EDIT_QUESTION
                                disabled=move || !can_edit.get()
                                on:click=move |_| is_edited.set(true)
                            >
                                <Icon shape=Shape::Pencil />
                            </button>
                            <CopyButton
                                page
                                label=strings::COPY_QUESTION
                                style=CopyStyle::Icon
                                text=move || text.get_untracked()
                            />
                        </div>
                    }
                }
            >
                <Edit page key text=text.get_untracked() is_open=is_edited />
            </Show>
        </article>
    }
}

/// What the model wrote.
#[component]
fn AnswerView(page: Page, key: u32) -> impl IntoView {
    // Text only grows, and starts anew with another seed: these tell whether it changed, without copying it.
    let version = page.part(move |state| {
        state.turn(key).map(|turn| {
            (
                turn.answer.text.len(),
                turn.seed,
                turn.answer.finish.is_some(),
            )
        })
    });
    let blocks = Memo::new(move |_| {
        let is_done = version.get().is_some_and(|(.., is_done)| is_done);
        page.state
            .with_untracked(|state| state.turn(key).map(|turn| read(&turn.answer.text, is_done)))
            .unwrap_or_default()
    });
    let is_running = page.part(move |state| {
        state
            .turn(key)
            .is_some_and(|turn| turn.answer.finish.is_none())
    });
    // What was ever seen growing keeps its elements when it is done.
    let is_live = Memo::new(move |was: Option<&bool>| was == Some(&true) || is_running.get());
    let is_waiting = move || is_running.get() && blocks.with(Vec::is_empty);
    let is_empty = move || !is_running.get() && blocks.with(Vec::is_empty);
    let body = move || {
        if is_live.get() {
            view! { <LiveMarkdown page blocks /> }.into_any()
        } else {
            view! { <Markdown page blocks=blocks.get() /> }.into_any()
        }
    };
    view! {
        <article
            class="answer"
            aria-label=strings::TERN
            aria-busy=move || if is_running.get() { "true" } else { "false" }
        >
            <Show when=is_waiting>
                <span class="dots" aria-hidden="true">
                    <i></i>
                    <i></i>
                    <i></i>
                </span>
            </Show>
            <div data-testid="answer" dir="auto">
                {body}
            </div>
            <Show when=is_empty>
                <p class="faint">{strings::EMPTY_ANSWER}</p>
            </Show>
            <Footer page key is_running />
        </article>
    }
}

fn read(text: &str, is_done: bool) -> Vec<Arc<Block>> {
    if is_done {
        markdown::parse(text)
    } else {
        markdown::parse_growing(text)
    }
}

/// Buttons under an answer, and how it went. It takes its room while the answer still runs, so that nothing moves at its end.
#[component]
fn Footer(page: Page, key: u32, is_running: Memo<bool>) -> impl IntoView {
    let note = page.part(move |state| state.turn(key).and_then(|turn| note(&turn.answer)));
    let is_last = page.part(move |state| {
        state
            .chats
            .open
            .turns
            .last()
            .is_some_and(|turn| turn.key == key)
    });
    let ui = use_ui();
    let can_regenerate = page.part(app::State::can_regenerate);
    let can_continue = page.part(app::State::can_continue);
    let text = move || {
        page.state
            .with_untracked(|state| state.turn(key).map(|turn| turn.answer.text.clone()))
            .unwrap_or_default()
    };
    view! {
        <div class="actions" class:is-hidden=move || is_running.get()>
            <CopyButton page label=strings::COPY_ANSWER style=CopyStyle::Icon text />
            <Show when=move || is_last.get() && !is_running.get()>
                <button
                    type="button"
                    class="icon-button"
                    aria-label=strings::REGENERATE
                    title=strings::REGENERATE
                    disabled=move || !can_regenerate.get()
                    on:click=move |_| {
                        page.act(Action::Regenerate);
                        ui.focus_stop();
                    }
                >
                    <Icon shape=Shape::Again />
                </button>
                <Show when=move || can_continue.get()>
                    <button
                        type="button"
                        class="word-button"
                        on:click=move |_| {
                            page.act(Action::Continue);
                            ui.focus_stop();
                        }
                    >
                        <Icon shape=Shape::Play />
                        {strings::CONTINUE}
                    </button>
                </Show>
            </Show>
            <Show when=move || note.with(Option::is_some)>
                <p class="note" data-testid="note">
                    {move || note.get()}
                </p>
            </Show>
        </div>
    }
}

/// How an answer ended, unless it just did, what happened meanwhile, and how fast it was.
fn note(answer: &Answer) -> Option<String> {
    let ending = match answer.finish? {
        Finish::Stop => None,
        Finish::Cancelled => Some(strings::NOTE_CANCELLED),
        Finish::Length => Some(strings::NOTE_LENGTH),
        Finish::Context => Some(strings::NOTE_CONTEXT),
        Finish::Failed => Some(strings::NOTE_FAILED),
        Finish::Interrupted => Some(strings::NOTE_INTERRUPTED),
    };
    let recovered = (answer.recoveries > 0).then(|| strings::recovered(answer.recoveries));
    let usage = answer.usage.as_ref().and_then(strings::speed);
    let parts: Vec<String> = ending
        .map(str::to_owned)
        .into_iter()
        .chain(recovered)
        .chain(usage)
        .collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}
