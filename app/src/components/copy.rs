//! A button that puts text into the clipboard and says so for a moment, when it is there.

use std::time::Duration;

use app::{Action, strings};
use leptos::prelude::*;

use super::{Icon, Shape};
use crate::page::{Page, memo};

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

/// Whether the text that was handed over last is in the clipboard, for a moment, and what hands one over.
pub(super) fn copying(page: Page) -> (Memo<bool>, impl Fn(String) + Copy) {
    let number = RwSignal::new(None::<u32>);
    // Only whoever waits for it looks at the state.
    let is_done = memo(move || {
        let number = number.get();
        number.is_some_and(|number| page.state.with(|state| state.copying.done == number))
    });
    Effect::new(move |_| {
        if is_done.get() {
            set_timeout(
                move || {
                    // The button may be gone by then.
                    let _gone = number.try_set(None);
                },
                SAYS_DONE,
            );
        }
    });
    let copy = move |text| {
        page.act(Action::Copy(text));
        number.set(Some(page.state.with_untracked(|state| state.copying.asked)));
    };
    (is_done, copy)
}

/// The button. `text` is asked for when it is pressed.
#[component]
pub(crate) fn CopyButton(
    page: Page,
    label: &'static str,
    style: CopyStyle,
    text: impl Fn() -> String + Send + Sync + 'static,
) -> impl IntoView {
    let (is_done, copy) = copying(page);
    let press = move |_| copy(text());
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
