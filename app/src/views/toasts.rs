//! Short words above the composer: what was deleted and can come back, what an import brought.

use app::{Action, Notice, strings};
use leptos::prelude::*;

use super::Page;
use crate::components::{Icon, Shape};

/// At most two lines.
#[component]
pub(super) fn Toasts(page: Page) -> impl IntoView {
    let deleted = page.part(|state| {
        state.undo.as_ref().map(|undo| {
            let title = &undo.head.title;
            strings::deleted(if title.is_empty() {
                strings::UNTITLED
            } else {
                title
            })
        })
    });
    let notice = page.part(|state| state.notice.as_ref().map(words));
    view! {
        <div class="toasts" aria-live="polite">
            <Show when=move || deleted.with(Option::is_some)>
                <div class="toast">
                    <p>{move || deleted.get()}</p>
                    <button type="button" class="plain" on:click=move |_| page.act(Action::UndoDelete)>
                        {strings::UNDO}
                    </button>
                </div>
            </Show>
            <Show when=move || notice.with(Option::is_some)>
                <div class="toast">
                    <p>{move || notice.get()}</p>
                    <button
                        type="button"
                        class="icon-button"
                        aria-label=strings::DISMISS
                        on:click=move |_| page.act(Action::DismissNotice)
                    >
                        <Icon shape=Shape::Close />
                    </button>
                </div>
            </Show>
        </div>
    }
}

fn words(notice: &Notice) -> String {
    match notice {
        Notice::Imported(report) => strings::imported(report),
        Notice::ImportFailed { detail } => strings::with_detail(strings::IMPORT_FAILED, detail),
        Notice::ExportFailed { detail } => strings::with_detail(strings::EXPORT_FAILED, detail),
        Notice::ExportedInPart { incomplete } => strings::exported_in_part(*incomplete),
        Notice::ExportTooLarge { bytes } => strings::export_too_large(*bytes),
        Notice::EraseFailed { detail } => strings::with_detail(strings::ERASE_FAILED, detail),
        Notice::DeleteFailed { detail } => strings::with_detail(strings::DELETE_FAILED, detail),
        Notice::CopyFailed { detail } => strings::with_detail(strings::COPY_FAILED, detail),
        Notice::Smaller {
            context,
            is_rounded,
            because,
        } => strings::smaller(*context, *is_rounded, *because),
        Notice::FilesLeft => strings::FILES_LEFT.to_owned(),
        Notice::ModelFetched { name } => strings::model_fetched(name),
        Notice::ModelDeleted { bytes } => strings::model_deleted(*bytes),
    }
}
