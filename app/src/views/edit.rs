//! A question that is being rewritten.

use app::{Action, ChatId, Place, strings};
use leptos::html;
use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::composer::grow;
use super::ui::press;
use super::{Page, use_ui};

/// Where the words of a question are rewritten.
pub(super) fn place(page: Page, key: u32) -> Option<(ChatId, u32)> {
    page.state.with_untracked(|state| {
        let turn = state.turn(key)?;
        Some((state.chats.open.head.id, turn.number))
    })
}

/// A field in place of the question.
#[component]
pub(super) fn Edit(page: Page, key: u32, text: String, is_open: RwSignal<bool>) -> impl IntoView {
    let ui = use_ui();
    let drafts = ui.drafts;
    let place = place(page, key);
    let question = place.map(|(chat, number)| Place::Question(chat, number));
    let left = question.and_then(|place| drafts.get(place));
    let is_new = left.is_none();
    let draft = RwSignal::new(left.unwrap_or(text));
    let write = move |text: String| {
        if let Some(place) = question {
            drafts.change(|drafts| drafts.set(place, &text));
        }
        draft.set(text);
    };
    let field = NodeRef::<html::Textarea>::new();
    let can_send = page.part(app::State::can_send);
    if is_new {
        // That it is being rewritten is worth keeping, too.
        write(draft.get_untracked());
        field.on_load(|field| {
            let _focused = field.focus();
        });
    }
    grow(field, draft);
    let close = move || {
        if let Some(place) = question {
            drafts.change(|drafts| drafts.drop(place));
        }
        is_open.set(false);
    };
    let ask = move || {
        let text = draft.get_untracked();
        if can_send.get_untracked() && !text.trim().is_empty() {
            if let Some((chat, number)) = place {
                drafts.change(|drafts| drafts.drop_questions_from(chat, number));
            }
            is_open.set(false);
            page.act(Action::EditAndResend { key, text });
            ui.focus_stop();
        }
    };
    let on_key = move |event: KeyboardEvent| {
        if press(&event, &event.key()).sends() {
            event.prevent_default();
            ask();
        } else if event.key() == "Escape" {
            event.prevent_default();
            close();
        }
    };
    view! {
        <div class="edit">
            <textarea
                rows="1"
                dir="auto"
                aria-label=strings::EDIT_QUESTION
                node_ref=field
                prop:value=move || draft.get()
                on:input=move |event| write(event_target_value(&event))
                on:keydown=on_key
            ></textarea>
            <div class="edit-buttons">
                <p class="faint">{strings::EDIT_NOTE}</p>
                <button type="button" class="plain" on:click=move |_| close()>
                    {strings::CANCEL}
                </button>
                <button
                    type="button"
                    class="primary"
                    disabled=move || !can_send.get() || draft.with(|draft| draft.trim().is_empty())
                    on:click=move |_| ask()
                >
                    {strings::ASK_AGAIN}
                </button>
            </div>
        </div>
    }
}
