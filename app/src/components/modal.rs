//! Dialogs. The browser's own element keeps the focus inside, gives it back, and closes on Escape.

use app::strings;
use leptos::ev::MouseEvent;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;

use super::{Icon, Shape};

/// A dialog that is open while `open` is true. It closes through its button, Escape, or a tap beside it.
#[component]
pub(crate) fn Modal(
    open: RwSignal<bool>,
    title: &'static str,
    /// Whether it is a sheet with a bar and a button to close, or a small box whose content has its own buttons.
    #[prop(optional)]
    is_sheet: bool,
    children: ChildrenFn,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let wanted = open.get();
        if let Some(dialog) = dialog.get() {
            if wanted && !dialog.open() {
                // Refused only for an element that is not in the page.
                let _shown = dialog.show_modal();
            } else if !wanted && dialog.open() {
                dialog.close();
            }
        }
    });
    let on_click = move |event: MouseEvent| {
        // The dialog's own box is covered by its content: a click on the element itself is one beside it.
        let is_beside = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::HtmlDialogElement>().ok())
            .is_some();
        if is_beside {
            open.set(false);
        }
    };
    view! {
        <dialog
            class=if is_sheet { "sheet" } else { "alert" }
            aria-label=title
            node_ref=dialog
            on:close=move |_| open.set(false)
            on:click=on_click
        >
            <Show when=move || open.get()>
                <div class="dialog-body">
                    {is_sheet
                        .then(|| {
                            view! {
                                <header class="sheet-bar">
                                    <h2>{title}</h2>
                                    <button
                                        type="button"
                                        class="icon-button"
                                        aria-label=strings::DONE
                                        on:click=move |_| open.set(false)
                                    >
                                        <Icon shape=Shape::Close />
                                    </button>
                                </header>
                            }
                        })} {children()}
                </div>
            </Show>
        </dialog>
    }
}

/// A question before something that can't be undone.
#[component]
pub(crate) fn Confirm(
    open: RwSignal<bool>,
    title: &'static str,
    detail: &'static str,
    yes: &'static str,
    on_yes: Callback<()>,
) -> impl IntoView {
    view! {
        <Modal open title>
            <h2>{title}</h2>
            <p>{detail}</p>
            <div class="dialog-buttons">
                <button type="button" class="plain" on:click=move |_| open.set(false)>
                    {strings::CANCEL}
                </button>
                <button
                    type="button"
                    class="danger"
                    on:click=move |_| {
                        open.set(false);
                        on_yes.run(());
                    }
                >
                    {yes}
                </button>
            </div>
        </Modal>
    }
}
