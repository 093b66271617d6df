//! Models that are known: where they lie and what they need.

use app::{Action, KnownModel, known_models, strings};
use leptos::prelude::*;

use super::Page;

/// A list that is closed at first.
#[component]
pub(super) fn Catalogue(page: Page, title: &'static str) -> impl IntoView {
    let rows = known_models()
        .iter()
        .map(|model| view! { <Known page model /> })
        .collect_view();
    view! {
        <details class="card catalogue" data-testid="known-models">
            <summary class="line">{title}</summary>
            {rows}
            <p class="line faint">{strings::KNOWN_NOTE}</p>
        </details>
    }
}

/// What is known here of one's place on this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Absent,
    NoRoom,
    Queued,
    Stored,
}

fn standing(state: &app::State, model: &KnownModel) -> Standing {
    let url = model.model_url();
    if state.queued(&url).is_some() {
        return Standing::Queued;
    }
    let Some(report) = &state.environment.storage else {
        return Standing::Absent;
    };
    let mut models = report.models.iter();
    if models.any(|stored| stored.model_url == url && stored.complete) {
        return Standing::Stored;
    }
    // What is kept of it is about as large as its weights are on the device.
    let room = report.quota_bytes.zip(report.usage_bytes);
    let room = room.map(|(quota, used)| quota.get().saturating_sub(used.get()));
    match room {
        Some(room) if room < model.weight_bytes.get() => Standing::NoRoom,
        _ => Standing::Absent,
    }
}

#[component]
fn Known(page: Page, model: &'static KnownModel) -> impl IntoView {
    let standing = page.part(move |state| standing(state, model));
    let can_choose = page.part(app::State::can_choose);
    let can_manage = page.part(app::State::can_manage);
    let is_there = move || matches!(standing.get(), Standing::Queued | Standing::Stored);
    let word = move || match standing.get() {
        Standing::Absent => None,
        Standing::NoRoom => Some(("fit bad", strings::NO_ROOM)),
        Standing::Queued => Some(("fit", strings::IN_QUEUE)),
        Standing::Stored => Some(("fit good", strings::MODEL_STORED)),
    };
    view! {
        <div class="line model known-model">
            <div>
                <h3>{model.name.clone()}</h3>
                <p class="faint">{strings::known_facts(model)}</p>
                <p>{model.description.clone()}</p>
                {model.note.clone().map(|note| view! { <p class="faint">{note}</p> })}
                {move || word().map(|(class, words)| view! { <p class=class>{words}</p> })}
            </div>
            <button
                type="button"
                class="plain"
                aria-label=strings::look_up_model(&model.name)
                disabled=move || !can_choose.get()
                on:click=move |_| page.act(Action::LookUp(model.model_url()))
            >
                {strings::LOOK_UP}
            </button>
            <button
                type="button"
                class="plain"
                aria-label=strings::queue_model(&model.name)
                disabled=move || !can_manage.get() || is_there()
                on:click=move |_| page.act(Action::QueueModel(model.to_queue()))
            >
                {strings::QUEUE_MODEL}
            </button>
        </div>
    }
}
