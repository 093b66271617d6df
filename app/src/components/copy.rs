//! A button that puts text into the clipboard and says so for a moment.

use std::time::Duration;

use app::{Action, strings};
use leptos::prelude::*;

use super::{Icon, Shape};
use crate::page::Page;

/// How long the button says that it is done.
const SAYS_DONE: Duration = Duration::from_millis(1600);

/// How the button looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyStyle {
    /// An icon alone.
    Icon,
    /// An icon with a word beside it.
    Word,
}

/// The button. `text` is asked for when it is pressed.
#[component]
pub(crate) fn CopyButton(
    page: Page,
    label: &'static str,
    style: CopyStyle,
    text: impl Fn() -> String + Send + Sync + 'static,
) -> impl IntoView {
    let is_done = RwSignal::new(false);
    let press = move |_| {
        page.act(Action::Copy(text()));
        is_done.set(true);
        set_timeout(
            move || {
                // The button may be gone by then.
                let _gone = is_done.try_set(false);
            },
            SAYS_DONE,
        );
    };
    let name = move || {
        if is_done.get() {
            strings::COPIED
        } else {
            label
        }
    };
    let word = move || {
        if is_done.get() {
            strings::COPIED
        } else {
            strings::COPY
        }
    };
    let shape = move || {
        if is_done.get() {
            Shape::Check
        } else {
            Shape::Copy
        }
    };
    view! {
        <button
            type="button"
            class=match style {
                CopyStyle::Icon => "icon-button",
                CopyStyle::Word => "word-button",
            }
            aria-label=name
            title=name
            on:click=press
        >
            {move || view! { <Icon shape=shape() /> }}
            {(style == CopyStyle::Word).then(|| view! { <span aria-hidden="true">{word}</span> })}
        </button>
    }
}
