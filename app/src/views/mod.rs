//! The page, drawn from the state.

mod composer;
mod conversation;
mod fault;
mod header;

use leptos::prelude::*;

pub(crate) use crate::page::Page;
use composer::Composer;
use conversation::Conversation;
use header::Header;

/// Draws the page and starts the worker.
pub(crate) fn mount() {
    mount_to_body(|| {
        let page = crate::page::start();
        view! {
            <div class="page">
                <Header page />
                <Conversation page />
                <Composer page />
            </div>
        }
    });
}
