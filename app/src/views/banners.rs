//! Lines above the conversation that stay until something changes.

use app::{Action, Database, Phase, strings};
use leptos::prelude::*;

use super::{Page, is_first_run};
use crate::components::{Icon, Shape};

/// Trouble with storing chats, and a new version of the app.
#[component]
pub(super) fn Banners(page: Page) -> impl IntoView {
    let trouble = page.part(|state| match state.environment.database {
        Database::Failed { .. } => Some(strings::CHATS_NOT_SAVED),
        Database::Full { .. } => Some(strings::STORAGE_FULL),
        Database::Opening | Database::Open => None,
    });
    let can_update = page.part(app::State::can_update);
    let has_chats = page.part(|state| !state.chats.list.is_empty());
    view! {
        <Show when=move || trouble.get().is_some()>
            <div class="banner warning" role="alert">
                <Icon shape=Shape::Warning />
                <p>{move || trouble.get()}</p>
                <button
                    type="button"
                    class="plain"
                    disabled=move || !has_chats.get()
                    on:click=move |_| page.act(Action::ExportAll)
                >
                    {strings::EXPORT_ALL}
                </button>
            </div>
        </Show>
        <Show when=move || can_update.get()>
            <div class="banner">
                <p>{strings::UPDATE}</p>
                <button type="button" class="primary" on:click=move |_| page.act(Action::ApplyUpdate)>
                    {strings::UPDATE_NOW}
                </button>
            </div>
        </Show>
    }
}

/// Above the composer while the model is not there and the chat on the screen has something in it: the first-run screen
/// has no room then.
#[component]
pub(super) fn Offer(page: Page) -> impl IntoView {
    let title = page.part(|state| {
        let engine = &state.engine;
        let offer = engine.offer.as_ref()?;
        (engine.phase == Phase::Offer && !is_first_run(state))
            .then(|| strings::offer(&offer.name, offer.download_bytes.get()))
    });
    let (class, words) = download_button(page);
    view! {
        <Show when=move || title.with(Option::is_some)>
            <div class="elsewhere">
                <div>
                    <h2>{strings::OFFER}</h2>
                    <p>{move || title.get()}</p>
                </div>
                <button
                    type="button"
                    class=class
                    data-testid="download"
                    on:click=move |_| page.act(Action::Download)
                >
                    {words}
                </button>
            </div>
        </Show>
    }
}

/// Look and words of the button that begins a download: what is probably too large is not what we propose.
pub(super) fn download_button(
    page: Page,
) -> (
    impl Fn() -> &'static str + Copy,
    impl Fn() -> &'static str + Copy,
) {
    let words = page.part(|state| {
        state
            .engine
            .offer
            .as_ref()
            .map_or(strings::DOWNLOAD, strings::download)
    });
    let class = move || match words.get() {
        strings::DOWNLOAD_ANYWAY => "plain large",
        _ => "primary large",
    };
    (class, move || words.get())
}

/// In place of the composer while another tab has the engine.
#[component]
pub(super) fn Elsewhere(page: Page) -> impl IntoView {
    view! {
        <div class="elsewhere">
            <div>
                <h2>{strings::ELSEWHERE_TITLE}</h2>
                <p>{strings::ELSEWHERE_DETAIL}</p>
            </div>
            <button type="button" class="primary" on:click=move |_| page.act(Action::UseHere)>
                {strings::USE_HERE}
            </button>
        </div>
    }
}
