//! A question that is being rewritten.

use app::{Action, strings};
use leptos::html;
use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::composer::grow;
use super::ui::press;
use super::{Page, use_ui};

/// A field in place of the question.
#[component]
pub(super) fn Edit(page: Page, key: u32, text: String, is_open: RwSignal<bool>) -> impl IntoView {
    let draft = RwSignal::new(text);
    let field = NodeRef::<html::Textarea>::new();
    let ui = use_ui();
    let can_send = page.part(app::State::can_send);
    field.on_load(|field| {
        let _focused = field.focus();
    });
    grow(field, draft);
    let ask = move || {
        let text = draft.get_untracked();
        if can_send.get_untracked() && !text.trim().is_empty() {
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
            is_open.set(false);
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
                on:input=move |event| draft.set(event_target_value(&event))
                on:keydown=on_key
            ></textarea>
            <div class="edit-buttons">
                <p class="faint">{strings::EDIT_NOTE}</p>
                <button type="button" class="plain" on:click=move |_| is_open.set(false)>
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
