//! One chat of the list, with its menu.

use app::{Action, ChatId, strings};
use leptos::html;
use leptos::prelude::*;
use web_sys::KeyboardEvent;

use crate::components::{Icon, Shape};
use crate::page::Page;
use crate::views::use_ui;

/// A chat: its title, or the field to change it.
#[component]
pub(super) fn Row(page: Page, id: ChatId) -> impl IntoView {
    let ui = use_ui();
    let title = page.part(move |state| {
        state
            .chats
            .find(id)
            .map(|head| head.title.clone())
            .filter(|title| !title.is_empty())
            .unwrap_or_else(|| strings::UNTITLED.to_owned())
    });
    let is_open = page.part(move |state| state.chats.open.head.id == id);
    let is_renamed = RwSignal::new(false);
    let open = move |_| {
        page.act(Action::OpenChat(id));
        page.act(Action::CloseSettings);
        ui.close_drawer();
    };
    view! {
        <li class="chat" class:is-open=move || is_open.get()>
            <Show
                when=move || is_renamed.get()
                fallback=move || {
                    view! {
                        <button
                            type="button"
                            class="chat-title"
                            dir="auto"
                            aria-current=move || is_open.get().then_some("page")
                            on:click=open
                        >
                            {move || title.get()}
                        </button>
                        <Menu page id title is_renamed />
                    }
                }
            >
                <Rename page id title=title.get_untracked() is_renamed />
            </Show>
        </li>
    }
}

/// What can be done with a chat. The browser's own popover closes on Escape and on a tap elsewhere.
#[component]
fn Menu(page: Page, id: ChatId, title: Memo<String>, is_renamed: RwSignal<bool>) -> impl IntoView {
    let menu = format!("menu-{id}");
    let can_edit = page.part(app::State::can_edit);
    let closes = (menu.clone(), menu.clone(), menu.clone());
    view! {
        <button
            type="button"
            class="icon-button more"
            popovertarget=menu.clone()
            aria-label=move || title.with(|title| strings::options_of(title))
        >
            <Icon shape=Shape::More />
        </button>
        <div class="menu" id=menu popover="auto">
            <button
                type="button"
                popovertarget=closes.0
                popovertargetaction="hide"
                disabled=move || !can_edit.get()
                on:click=move |_| is_renamed.set(true)
            >
                <Icon shape=Shape::Pencil />
                {strings::RENAME}
            </button>
            <button
                type="button"
                popovertarget=closes.1
                popovertargetaction="hide"
                on:click=move |_| page.act(Action::ExportChat(id))
            >
                <Icon shape=Shape::Share />
                {strings::EXPORT_CHAT}
            </button>
            <button
                type="button"
                class="danger-text"
                popovertarget=closes.2
                popovertargetaction="hide"
                disabled=move || !can_edit.get()
                on:click=move |_| page.act(Action::DeleteChat(id))
            >
                <Icon shape=Shape::Bin />
                {strings::DELETE}
            </button>
        </div>
    }
}

/// A field for another title. Leaving it keeps what was written, Escape does not.
#[component]
fn Rename(page: Page, id: ChatId, title: String, is_renamed: RwSignal<bool>) -> impl IntoView {
    let field = NodeRef::<html::Input>::new();
    field.on_load(|field| {
        // After the menu has given the focus back to its button.
        request_animation_frame(move || {
            let _focused = field.focus();
            field.select();
        });
    });
    let keep = move || {
        if is_renamed.try_get_untracked() != Some(true) {
            return;
        }
        if let Some(field) = field.get_untracked() {
            let title = field.value();
            is_renamed.set(false);
            page.act(Action::RenameChat { id, title });
        }
    };
    let on_key = move |event: KeyboardEvent| match event.key().as_str() {
        "Enter" if !event.is_composing() => {
            event.prevent_default();
            keep();
        }
        "Escape" => {
            event.prevent_default();
            is_renamed.set(false);
        }
        _ => {}
    };
    view! {
        <input
            type="text"
            class="rename"
            aria-label=strings::TITLE_FIELD
            maxlength=app::limits::MAX_TITLE.to_string()
            value=title
            node_ref=field
            on:keydown=on_key
            on:blur=move |_| keep()
        />
    }
}
