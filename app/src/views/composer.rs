//! The status line, the text field and its buttons.

use app::{Action, Phase, strings};
use leptos::html;
use leptos::prelude::*;
use web_sys::{KeyboardEvent, SubmitEvent};

use super::Page;

/// The bar at the bottom.
#[component]
pub(super) fn Composer(page: Page) -> impl IntoView {
    let field = NodeRef::<html::Textarea>::new();
    let draft = RwSignal::new(String::new());
    let is_answering = page.part(|state| state.engine.phase == Phase::Answering);
    let is_ready = page.part(|state| state.engine.phase == Phase::Ready);
    let can_send = move || is_ready.get() && draft.with(|draft| !draft.trim().is_empty());
    // The button that was pressed vanishes; without this the focus would too.
    let focus = move || {
        if let Some(field) = field.get_untracked() {
            let _focused = field.focus();
        }
    };
    let stop = move |_| {
        page.act(Action::Stop);
        focus();
    };
    let send = move || {
        let text = draft.get_untracked();
        if is_ready.get_untracked() && !text.trim().is_empty() {
            page.act(Action::Send { text });
            draft.set(String::new());
            focus();
        }
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        send();
    };
    let on_key = move |event: KeyboardEvent| {
        // Enter also ends the composition of a character; that one is not ours.
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            send();
        }
    };
    view! {
        <footer class="composer">
            <StatusLine page />
            <form on:submit=on_submit>
                <textarea
                    data-testid="message"
                    rows="1"
                    dir="auto"
                    enterkeyhint="send"
                    aria-label=strings::MESSAGE_LABEL
                    placeholder=strings::MESSAGE_HINT
                    node_ref=field
                    prop:value=move || draft.get()
                    on:input=move |event| draft.set(event_target_value(&event))
                    on:keydown=on_key
                ></textarea>
                <button
                    type="submit"
                    data-testid="send"
                    hidden=move || is_answering.get()
                    disabled=move || !can_send()
                >
                    {strings::SEND}
                </button>
                <button
                    type="button"
                    data-testid="stop"
                    hidden=move || !is_answering.get()
                    on:click=stop
                >
                    {strings::STOP}
                </button>
            </form>
        </footer>
    }
}

/// What is going on, and how far loading is.
#[component]
fn StatusLine(page: Page) -> impl IntoView {
    let status = page.part(app::State::status);
    let progress = page.part(|state| {
        state
            .engine
            .progress
            .map(|progress| (progress.bytes_done.get(), progress.bytes_total.get()))
    });
    view! {
        <div class="status">
            <p role="status" data-testid="status">
                {move || status.get()}
            </p>
            <Show when=move || progress.get().is_some()>
                <progress
                    aria-label=strings::LOADING_LABEL
                    value=move || progress.get().map(|(done, _)| done.to_string())
                    max=move || progress.get().map(|(_, total)| total.max(1).to_string())
                ></progress>
            </Show>
        </div>
    }
}
