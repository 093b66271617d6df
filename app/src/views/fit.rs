//! What a model needs in detail, what could go to make room for it, and the precision in which it is converted.

use app::{Action, strings};
use leptos::prelude::*;
use protocol::{ModelOffer, StoredModel};

use super::Page;
use crate::components::Confirm;

/// Behind the facts of an offer.
#[component]
pub(super) fn OfferDetails(page: Page, offer: ModelOffer) -> impl IntoView {
    let parts = [(strings::MEMORY_WEIGHTS.to_owned(), offer.weight_bytes)]
        .into_iter()
        .chain(
            offer
                .kv_at
                .iter()
                .map(|need| (strings::memory_conversation(need.context), need.bytes)),
        )
        .chain([(strings::MEMORY_OTHER.to_owned(), offer.other_bytes)])
        .map(|(name, bytes)| {
            view! {
                <div>
                    <dt>{name}</dt>
                    <dd>{strings::bytes(bytes.get())}</dd>
                </div>
            }
        })
        .collect_view();
    let missing = offer.missing_bytes.get();
    let own = offer.model_url.clone();
    let precisions =
        (!offer.precisions.is_empty()).then(|| view! { <Precisions page offer=offer.clone() /> });
    view! {
        {(missing > 0).then(|| view! { <Room page missing own /> })}
        {precisions}
        <details class="memory-details">
            <summary>{strings::MEMORY_DETAILS}</summary>
            <dl data-testid="memory-details">{parts}</dl>
        </details>
    }
}

/// How much room is missing, and the stored models that could go.
#[component]
fn Room(page: Page, missing: u64, own: String) -> impl IntoView {
    let models = page.part(move |state| {
        let report = state.environment.storage.as_ref();
        let stored = report.map(|report| report.models.clone());
        let mut models: Vec<StoredModel> = stored.unwrap_or_default();
        models.retain(|model| model.model_url != own && model.stored_bytes.get() > 0);
        models
    });
    let asked = RwSignal::new(None::<String>);
    let is_asked = RwSignal::new(false);
    let rows = move || {
        let row = |model: StoredModel| {
            let name = strings::model_name(&model.name, &model.model_url);
            let label = strings::delete_model(&name);
            view! {
                <div class="line model">
                    <div>
                        <p>{name}</p>
                        <p class="faint">{strings::bytes(model.stored_bytes.get())}</p>
                    </div>
                    <button
                        type="button"
                        class="plain danger-text"
                        aria-label=label
                        on:click=move |_| {
                            asked.set(Some(model.model_url.clone()));
                            is_asked.set(true);
                        }
                    >
                        {strings::DELETE}
                    </button>
                </div>
            }
        };
        models.get().into_iter().map(row).collect_view()
    };
    view! {
        <div class="room" data-testid="room">
            <p>{strings::room_missing(missing)}</p>
            <p class="faint">
                {move || {
                    if models.with(Vec::is_empty) {
                        strings::ROOM_NO_MODELS
                    } else {
                        strings::ROOM_HELPS
                    }
                }}
            </p>
            {rows}
        </div>
        <Confirm
            open=is_asked
            title=strings::DELETE_MODEL_TITLE
            detail=strings::DELETE_MODEL_DETAIL
            yes=strings::DELETE_MODEL
            on_yes=Callback::new(move |()| {
                if let Some(url) = asked.get_untracked() {
                    page.act(Action::DeleteModel(url));
                }
            })
        />
    }
}

/// How precisely embedding and head are stored.
#[component]
fn Precisions(page: Page, offer: ModelOffer) -> impl IntoView {
    let can_choose = page.part(app::State::can_choose);
    let most = offer
        .precisions
        .iter()
        .map(|choice| choice.weight_bytes.get())
        .max()
        .unwrap_or(0);
    let own = offer.model_url.clone();
    let choices = offer
        .precisions
        .into_iter()
        .map(|choice| {
            let is_chosen = choice.model_url == own;
            let less = most.saturating_sub(choice.weight_bytes.get());
            view! {
                <label class="segment" class:is-chosen=is_chosen>
                    <input
                        type="radio"
                        name="precision"
                        prop:checked=is_chosen
                        disabled=move || !can_choose.get()
                        on:change=move |_| {
                            page.act(Action::ChoosePrecision(choice.model_url.clone()));
                        }
                    />
                    <span>{strings::precision_choice(choice.precision, less)}</span>
                </label>
            }
        })
        .collect_view();
    view! {
        <fieldset class="precision" data-testid="precision">
            <legend>{strings::PRECISION}</legend>
            <div class="segments">{choices}</div>
            <p class="faint">{strings::PRECISION_NOTE}</p>
        </fieldset>
    }
}
