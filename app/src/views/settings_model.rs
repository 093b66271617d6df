//! The settings' groups on the model and on storage.

use app::{Action, CheckState, strings};
use leptos::prelude::*;
use protocol::StoredModel;

use super::Page;
use super::model_sheet::ModelSheet;
use crate::components::Confirm;
use crate::page::memo;

/// The models that are stored, and the one that runs.
#[component]
pub(super) fn Model(page: Page) -> impl IntoView {
    let running = page.part(|state| {
        state
            .engine
            .model
            .as_ref()
            .map(|model| (model.name.clone(), model.context, model.cached))
    });
    let stored = page.part(|state| {
        state
            .environment
            .storage
            .as_ref()
            .map(|report| report.models.clone())
            .unwrap_or_default()
    });
    let asked = RwSignal::new(None::<String>);
    let is_asked = RwSignal::new(false);
    let is_shown = RwSignal::new(false);
    // By their addresses: models out of files often have the same name.
    let running_url = page.part(|state| state.running_url().map(str::to_owned));
    let is_stored = move || {
        let url = running_url.get();
        stored.with(|models| {
            models
                .iter()
                .any(|model| Some(&model.model_url) == url.as_ref())
        })
    };
    let rows = move || {
        let url = running_url.get();
        stored
            .get()
            .into_iter()
            .map(|model| {
                let is_running = url.as_ref() == Some(&model.model_url);
                stored_model(page, model, is_running, is_shown, move |url| {
                    asked.set(Some(url));
                    is_asked.set(true);
                })
            })
            .collect_view()
    };
    view! {
        <section class="group" aria-labelledby="group-model">
            <h2 id="group-model">{strings::GROUP_MODEL}</h2>
            <div class="card">
                {rows}
                <Show when=move || running.with(Option::is_some) && !is_stored()>
                    <div class="line">
                        <span>{move || running.get().map(|(name, ..)| name)}</span>
                        <span class="value">{strings::MODEL_MEMORY_ONLY}</span>
                    </div>
                </Show>
                <Show when=move || running.with(Option::is_none) && stored.with(Vec::is_empty)>
                    <p class="line faint">{strings::NO_MODELS}</p>
                </Show>
                <Show when=move || running.with(Option::is_some)>
                    <div class="line">
                        <span>{strings::CONTEXT}</span>
                        <span class="value">
                            {move || running.get().map(|(_, context, _)| strings::tokens(context))}
                        </span>
                    </div>
                </Show>
            </div>
        </section>
        <ModelSheet page open=is_shown />
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

fn stored_model(
    page: Page,
    model: StoredModel,
    is_running: bool,
    is_shown: RwSignal<bool>,
    ask: impl Fn(String) + 'static,
) -> impl IntoView {
    let size = if model.complete {
        strings::bytes(model.stored_bytes.get())
    } else {
        strings::downloaded(model.stored_bytes.get(), model.total_bytes.get())
    };
    let state = match (model.complete, is_running) {
        (_, true) => strings::MODEL_RUNNING,
        (true, false) => strings::MODEL_STORED,
        (false, false) => strings::MODEL_PARTLY,
    };
    let url = model.model_url.clone();
    let usable = url.clone();
    let can_choose = page.part(move |state| state.can_choose() && state.can_use(&usable));
    let label = strings::use_model(&model.name);
    let take = (!is_running).then(|| {
        view! {
            <button
                type="button"
                class="plain"
                aria-label=label
                disabled=move || !can_choose.get()
                on:click=move |_| page.act(Action::UseModel(url.clone()))
            >
                {strings::USE_STORED}
            </button>
        }
    });
    let save = model.complete.then(|| save_button(page, &model));
    let details = details_button(page, &model, is_shown);
    let checked = model.model_url.clone();
    let check = page.part(move |state| {
        let check = state.manager.check.as_ref();
        match check.filter(|check| check.model_url == checked)?.state {
            CheckState::Waiting => Some(strings::checking(None)),
            CheckState::Running(progress) => Some(strings::checking(progress.as_ref())),
            CheckState::Done(_) | CheckState::Failed(_) => None,
        }
    });
    view! {
        <div class="line model">
            <div>
                <p>{strings::model_name(&model.name, &model.model_url)}</p>
                <p class="faint">
                    {move || check.get().unwrap_or_else(|| format!("{state} · {size}"))}
                </p>
            </div>
            <span class="row-buttons">
                {take}
                {details}
                {save}
                <button
                    type="button"
                    class="plain danger-text"
                    on:click=move |_| ask(model.model_url.clone())
                >
                    {strings::DELETE}
                </button>
            </span>
        </div>
    }
}

/// The button that shows everything that is known of a stored model.
fn details_button(
    page: Page,
    model: &StoredModel,
    is_shown: RwSignal<bool>,
) -> impl IntoView + use<> {
    let can_choose = page.part(app::State::can_choose);
    let url = model.model_url.clone();
    view! {
        <button
            type="button"
            class="plain"
            aria-label=strings::details_of(&model.name)
            disabled=move || !can_choose.get()
            on:click=move |_| {
                page.act(Action::DescribeModel(url.clone()));
                is_shown.set(true);
            }
        >
            {strings::MODEL_DETAILS}
        </button>
    }
}

/// The button that makes one file of a stored model.
fn save_button(page: Page, model: &StoredModel) -> impl IntoView + use<> {
    let can_choose = page.part(app::State::can_choose);
    let saved = page.part(|state| state.saved_model().map(str::to_owned));
    let name = model.name.clone();
    let (url, own) = (model.model_url.clone(), model.model_url.clone());
    let words = memo(move || match saved.get() {
        Some(url) if url == own => strings::SAVING_MODEL,
        _ => strings::SAVE_MODEL,
    });
    view! {
        <button
            type="button"
            class="plain"
            aria-label=move || strings::save_model(words.get(), &name)
            disabled=move || !can_choose.get() || saved.with(Option::is_some)
            on:click=move |_| page.act(Action::SaveModel(url.clone()))
        >
            {move || words.get()}
        </button>
    }
}

/// How much room is taken, and whether the browser may take it back.
#[component]
pub(super) fn Storage(page: Page) -> impl IntoView {
    let used = page.part(|state| {
        let report = state.environment.storage.as_ref()?;
        Some((report.usage_bytes?.get(), report.quota_bytes?.get()))
    });
    let persisted = page.part(|state| state.environment.persisted);
    view! {
        <section class="group" aria-labelledby="group-storage">
            <h2 id="group-storage">{strings::GROUP_STORAGE}</h2>
            <div class="card">
                <div class="line">
                    <span>{strings::USED}</span>
                    <span class="value">
                        {move || {
                            used.get()
                                .map_or_else(
                                    || strings::UNKNOWN.to_owned(),
                                    |(used, quota)| strings::downloaded(used, quota),
                                )
                        }}
                    </span>
                </div>
                <div class="line">
                    <span>{strings::KEPT}</span>
                    <span class="value">
                        {move || match persisted.get() {
                            Some(true) => strings::YES,
                            Some(false) => strings::NO,
                            None => strings::UNKNOWN,
                        }}
                    </span>
                </div>
            </div>
            <Show when=move || persisted.get() == Some(false)>
                <p class="group-note">{strings::NOT_PROTECTED}</p>
            </Show>
        </section>
    }
}
