//! The text field and its button, and one line on what is going on.

use app::{Action, Database, Phase, Place, strings};
use leptos::html;
use leptos::prelude::*;
use web_sys::{KeyboardEvent, SubmitEvent};

use super::fault::is_alone;
use super::ui::press;
use super::{Page, is_first_run, use_ui};
use crate::components::{Icon, Shape};

/// The bar at the bottom. Out of sight, but with its status line, where there is nothing to write to yet.
#[component]
pub(super) fn Composer(page: Page) -> impl IntoView {
    let ui = use_ui();
    let field = ui.message;
    let draft = draft_of_chat(page);
    let write = move |text: String| {
        let place = page.state.with_untracked(place);
        ui.drafts.change(|drafts| drafts.set(place, &text));
        draft.set(text);
    };
    let is_answering =
        page.part(|state| matches!(state.engine.phase, Phase::Answering | Phase::Paused));
    let is_ready = page.part(app::State::can_send);
    let has_field = page.part(|state| {
        !is_first_run(state) && !is_alone(state) && state.engine.phase != Phase::Elsewhere
    });
    let continues_text = page.part(|state| {
        let model = state.engine.model.as_ref();
        model.is_some_and(|model| model.continues_text)
    });
    let can_send = move || is_ready.get() && draft.with(|draft| !draft.trim().is_empty());
    // The button that was pressed vanishes; without this the focus would too.
    let focus = move || {
        if let Some(field) = field.get_untracked() {
            let _focused = field.focus();
        }
    };
    let send = move || {
        let text = draft.get_untracked();
        if is_ready.get_untracked() && !text.trim().is_empty() {
            // First, since the question makes a new chat one that is known.
            write(String::new());
            page.act(Action::Send { text });
            focus();
        }
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        send();
    };
    let on_key = move |event: KeyboardEvent| {
        if press(&event, &event.key()).sends() {
            event.prevent_default();
            send();
        }
    };
    let stop = move |_| {
        page.act(Action::Stop);
        focus();
    };
    // A suggestion that was chosen is put here.
    Effect::new(move |_| {
        if let Some(text) = ui.suggestion.get() {
            write(text.to_owned());
            ui.suggestion.set(None);
            ui.focus_message();
        }
    });
    grow(field, draft);
    view! {
        <footer class="composer" class:is-empty=move || !has_field.get()>
            <LoadingBar page />
            <p
                id="composer-mode"
                class="mode"
                data-testid="mode"
                hidden=move || !has_field.get() || !continues_text.get()
            >
                {strings::CONTINUES_TEXT}
            </p>
            <form on:submit=on_submit hidden=move || !has_field.get()>
                <textarea
                    data-testid="message"
                    rows="1"
                    dir="auto"
                    enterkeyhint="send"
                    aria-label=strings::MESSAGE_LABEL
                    placeholder=move || {
                        if continues_text.get() { strings::TEXT_HINT } else { strings::MESSAGE_HINT }
                    }
                    aria-describedby=move || continues_text.get().then_some("composer-mode")
                    node_ref=field
                    prop:value=move || draft.get()
                    on:input=move |event| write(event_target_value(&event))
                    on:keydown=on_key
                ></textarea>
                <button
                    type="submit"
                    class="round"
                    data-testid="send"
                    aria-label=strings::SEND
                    title=strings::SEND
                    hidden=move || is_answering.get()
                    disabled=move || !can_send()
                >
                    <Icon shape=Shape::ArrowUp />
                </button>
                <button
                    type="button"
                    class="round stop"
                    data-testid="stop"
                    node_ref=ui.stop
                    aria-label=strings::STOP
                    title=strings::STOP
                    hidden=move || !is_answering.get()
                    on:click=stop
                >
                    <Icon shape=Shape::Stop />
                </button>
            </form>
            <StatusLine page />
        </footer>
    }
}

/// Where a message to the open chat is written.
fn place(state: &app::State) -> Place {
    let id = state.chats.open.head.id;
    match state.chats.find(id) {
        Some(_) => Place::Chat(id),
        None => Place::NewChat,
    }
}

/// The draft of the open chat, as it was left.
fn draft_of_chat(page: Page) -> RwSignal<String> {
    let drafts = use_ui().drafts;
    let at = page.part(|state| {
        (
            place(state),
            state.environment.database == Database::Opening,
        )
    });
    let found = move |place| drafts.get(place).unwrap_or_default();
    let left = found(at.get_untracked().0);
    let draft = RwSignal::new(left.clone());
    Effect::new(move |before: Option<(Place, bool)>| {
        let (place, is_opening) = at.get();
        if let Some((old, was_opening)) = before
            && old != place
        {
            let typed = draft.get_untracked();
            if was_opening && !typed.is_empty() && typed != left {
                // Whoever wrote before the chats were there meant the one that is on the screen now. What an earlier page had
                // left there stays there.
                drafts.change(|drafts| {
                    drafts.set(old, &left);
                    drafts.set(place, &typed);
                });
            } else {
                draft.set(found(place));
            }
        }
        (place, is_opening)
    });
    draft
}

/// Keeps the field as high as what is written in it; the style sets the limit.
pub(super) fn grow(field: NodeRef<html::Textarea>, text: RwSignal<String>) {
    Effect::new(move |_| {
        text.track();
        request_animation_frame(move || {
            if let Some(field) = field.try_get_untracked().flatten() {
                let style = (*field).style();
                // A property that can't be set leaves a field that scrolls.
                let _set = style.set_property("height", "auto");
                let _set = style.set_property("height", &format!("{}px", field.scroll_height()));
            }
        });
    });
}

/// What is going on. It stays in the page whatever is shown, so that screen readers hear its changes.
#[component]
pub(super) fn StatusLine(page: Page) -> impl IntoView {
    let status = page.part(app::State::status);
    let is_waiting = page.part(app::State::can_try_now);
    // The first-run screen has a button of its own.
    let is_resting = page.part(|state| state.engine.download_paused && !is_first_run(state));
    let is_trouble = page.part(|state| {
        let engine = &state.engine;
        engine.recovering || engine.trouble.is_some() || engine.phase == Phase::Paused
    });
    view! {
        <div class="status-line">
            <p
                class="status"
                class:is-trouble=move || is_trouble.get()
                role="status"
                data-testid="status"
            >
                {move || status.get()}
            </p>
            <Show when=move || is_waiting.get()>
                <button
                    type="button"
                    class="plain"
                    data-testid="try-now"
                    on:click=move |_| page.act(Action::Retry)
                >
                    {strings::TRY_NOW}
                </button>
            </Show>
            <Show when=move || is_resting.get()>
                <button
                    type="button"
                    class="plain"
                    on:click=move |_| page.act(Action::ResumeDownload)
                >
                    {strings::RESUME_DOWNLOAD}
                </button>
            </Show>
        </div>
    }
}

/// How far loading is, as a line along the top of the composer. The first-run screen has a larger one.
#[component]
fn LoadingBar(page: Page) -> impl IntoView {
    let progress = page.part(|state| {
        let progress = state.engine.progress.filter(|_| !is_first_run(state))?;
        Some((progress.bytes_done.get(), progress.bytes_total.get()))
    });
    view! {
        <Show when=move || progress.get().is_some()>
            <progress
                class="hairline"
                aria-label=strings::LOADING_LABEL
                value=move || progress.get().map(|(done, _)| done.to_string())
                max=move || progress.get().map(|(_, total)| total.max(1).to_string())
            ></progress>
        </Show>
    }
}
