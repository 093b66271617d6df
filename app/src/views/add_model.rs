//! Another model, by its address or out of files.

use app::{Action, Look, QueuedModel, strings};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use protocol::{ModelOffer, is_of_files};

use super::Page;
use super::catalogue::Catalogue;
use super::first_run::Facts;
use super::fit::OfferDetails;
use super::hosts::AllowHost;

/// A field for an address, and what was found there.
#[component]
pub(super) fn AddModel(page: Page) -> impl IntoView {
    // What was looked up before the page was loaded again.
    let address = page
        .state
        .with_untracked(|state| RwSignal::new(state.engine.look_address.clone()));
    let look = page.part(|state| state.engine.look.clone());
    let can_choose = page.part(app::State::can_choose);
    let is_asking = move || look.get() == Some(Look::Asking);
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        page.act(Action::LookUp(address.get_untracked()));
    };
    view! {
        <section class="group" aria-labelledby="group-add">
            <h2 id="group-add">{strings::GROUP_ADD_MODEL}</h2>
            <form class="card add-model" on:submit=on_submit>
                <input
                    type="text"
                    data-testid="model-address"
                    aria-label=strings::MODEL_ADDRESS
                    placeholder=strings::MODEL_ADDRESS_HINT
                    autocapitalize="off"
                    autocomplete="off"
                    spellcheck="false"
                    inputmode="url"
                    enterkeyhint="search"
                    prop:value=move || address.get()
                    on:input=move |event| address.set(event_target_value(&event))
                />
                <button
                    type="submit"
                    class="plain"
                    data-testid="look-up"
                    disabled=move || is_asking() || !can_choose.get()
                >
                    {strings::LOOK_UP}
                </button>
            </form>
            <div class="card">
                <button
                    type="button"
                    class="line action"
                    data-testid="from-files"
                    disabled=move || is_asking() || !can_choose.get()
                    on:click=move |_| page.act(Action::PickModelFiles)
                >
                    {strings::FROM_FILES}
                </button>
            </div>
            <Catalogue page title=strings::KNOWN_MODELS />
            <LookedUp page />
            <p class="group-note">{strings::ADD_MODEL_NOTE}</p>
            <p class="group-note">{strings::FROM_FILES_NOTE}</p>
        </section>
    }
}

/// What became of the last address or the last files.
#[component]
pub(super) fn LookedUp(page: Page) -> impl IntoView {
    let look = page.part(|state| state.engine.look.clone());
    let result = move || match look.get() {
        None => ().into_any(),
        Some(Look::Asking) => view! { <p class="faint">{strings::LOOKING_UP}</p> }.into_any(),
        Some(Look::Found(offer)) => view! { <Found page offer /> }.into_any(),
        Some(Look::Failed(fault)) => view! {
            <p class="fit bad" data-testid="look-failed">
                {strings::fault_words(&fault)}
            </p>
            <p class="faint detail">{fault.detail.clone()}</p>
            <AllowHost page />
        }
        .into_any(),
    };
    view! { <div role="status" class="looked-up">{result}</div> }
}

/// What was found, and the buttons that take it, now or for later.
#[component]
fn Found(page: Page, offer: ModelOffer) -> impl IntoView {
    let url = offer.model_url.clone();
    let words = match (offer.complete, is_of_files(&url)) {
        (true, _) => strings::USE_MODEL,
        (false, true) => strings::COPY_MODEL,
        (false, false) => strings::DOWNLOAD_MODEL,
    };
    let can_choose = page.part(app::State::can_choose);
    let later = (!offer.complete && !is_of_files(&url)).then(|| later_button(page, &offer));
    view! {
        <div class="card offer" data-testid="looked-up">
            <Facts offer=offer.clone() />
            <OfferDetails page offer />
            <button
                type="button"
                class="primary"
                data-testid="use-found"
                disabled=move || !can_choose.get()
                on:click=move |_| page.act(Action::UseModel(url.clone()))
            >
                {words}
            </button>
            {later}
        </div>
    }
}

/// The button that has a model downloaded while another one is used.
fn later_button(page: Page, offer: &ModelOffer) -> impl IntoView + use<> {
    let model = QueuedModel {
        model_url: offer.model_url.clone(),
        name: offer.name.clone(),
        bytes: Some(offer.download_bytes),
        is_paused: false,
        n_begun: 0,
    };
    let url = model.model_url.clone();
    let is_queued = page.part(move |state| state.queued(&url).is_some());
    let words = move || match is_queued.get() {
        true => strings::IN_QUEUE,
        false => strings::QUEUE_MODEL,
    };
    view! {
        <button
            type="button"
            class="plain"
            data-testid="queue-found"
            disabled=move || is_queued.get()
            on:click=move |_| page.act(Action::QueueModel(model.clone()))
        >
            {words}
        </button>
    }
}
