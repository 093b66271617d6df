//! The question before a link that a model wrote is opened.

use app::strings;
use leptos::prelude::*;
use web_sys::Url;

use super::Modal;
use super::copy::copying;
use crate::page::Page;
use crate::views::use_ui;

/// Shows where the link goes, as the browser understands it: foreign letters in host names become visible as such.
#[component]
pub(crate) fn LinkDialog(page: Page) -> impl IntoView {
    let ui = use_ui();
    let open = RwSignal::new(false);
    Effect::new(move |_| {
        if ui.link.with(Option::is_some) {
            open.set(true);
        }
    });
    // The address stays until the dialog is gone, so that it does not change under the finger.
    Effect::new(move |_| {
        if !open.get() {
            ui.link.set(None);
        }
    });
    let address = move || {
        let written = ui.link.get().unwrap_or_default();
        Url::new(&written).map_or(written, |url| url.href())
    };
    let host = move || Url::new(&address()).map_or_else(|_| String::new(), |url| url.host());
    // It stays open, so that it can say what came of it.
    let (is_copied, copy) = copying(page);
    view! {
        <Modal open title=strings::LINK_TITLE>
            <h2>{strings::LINK_TITLE}</h2>
            <Show when=move || !host().is_empty()>
                <p class="link-host">{host}</p>
            </Show>
            <p class="link-address">{address}</p>
            <p class="faint">{strings::LINK_DETAIL}</p>
            <div class="dialog-buttons">
                <button type="button" class="plain" on:click=move |_| open.set(false)>
                    {strings::CANCEL}
                </button>
                <button type="button" class="plain" on:click=move |_| copy(address())>
                    {move || if is_copied.get() { strings::COPIED } else { strings::LINK_COPY }}
                </button>
                <a
                    class="button"
                    href=address
                    target="_blank"
                    rel="noreferrer noopener"
                    on:click=move |_| open.set(false)
                >
                    {strings::LINK_OPEN}
                </a>
            </div>
        </Modal>
    }
}
