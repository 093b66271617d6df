//! The queue of downloads.

use app::{Action, Queued, strings};
use leptos::prelude::*;

use super::Page;

/// A group that is there while something is to be downloaded.
#[component]
pub(super) fn Downloads(page: Page) -> impl IntoView {
    // A row is drawn anew only when another model takes its place; what changes in it changes there.
    let urls = page.part(|state| {
        let queue = state.manager.queue.iter();
        queue
            .map(|queued| queued.model.model_url.clone())
            .collect::<Vec<_>>()
    });
    view! {
        <Show when=move || !urls.with(Vec::is_empty)>
            <section class="group" aria-labelledby="group-downloads" data-testid="downloads">
                <h2 id="group-downloads">{strings::GROUP_DOWNLOADS}</h2>
                <div class="card">
                    <For
                        each=move || urls.get()
                        key=|url| url.clone()
                        children=move |url| view! { <Row page url /> }
                    />
                </div>
                <p class="group-note">{strings::DOWNLOADS_NOTE}</p>
            </section>
        </Show>
    }
}

#[component]
fn Row(page: Page, url: String) -> impl IntoView {
    let (own, fetched) = (url.clone(), url.clone());
    let queued = page.part(move |state| state.queued(&own).cloned());
    let is_fetching = page.part(move |state| state.is_fetching(&fetched));
    let can_manage = page.part(app::State::can_manage);
    let trouble = page.part(|state| state.engine.trouble);
    let name = queued
        .get_untracked()
        .map_or_else(String::new, |queued| queued.model.name);
    let is_resting = move || queued.with(|queued| queued.as_ref().is_some_and(|q| !q.is_waiting()));
    let words = move || match queued.get() {
        Some(Queued {
            fault: Some(fault), ..
        }) => strings::fault_words(&fault),
        Some(queued) => {
            let words = match (queued.model.is_paused, is_fetching.get(), trouble.get()) {
                (true, ..) => strings::QUEUE_PAUSED,
                (_, true, Some(trouble)) => strings::trouble(trouble),
                (_, true, None) => strings::QUEUE_RUNNING,
                (_, false, _) => strings::QUEUE_WAITING,
            };
            let total = queued.model.bytes.map(protocol::ByteCount::get);
            strings::queue_state(words, queued.progress.as_ref(), total)
        }
        None => String::new(),
    };
    let filled = move || {
        let progress = queued.get()?.progress?;
        let total = progress.bytes_total.get();
        (total > 0).then(|| (progress.bytes_done.get().to_string(), total.to_string()))
    };
    let rest_word = move || match queued.get() {
        Some(Queued { fault: Some(_), .. }) => strings::TRY_AGAIN,
        Some(queued) if queued.model.is_paused => strings::RESUME_DOWNLOAD,
        _ => strings::PAUSE_DOWNLOAD,
    };
    let (steered, removed) = (url.clone(), url);
    let steer = move |_| {
        page.act(if is_resting() {
            Action::ResumeQueued(steered.clone())
        } else {
            Action::PauseQueued(steered.clone())
        });
    };
    let (steer_name, remove_label) = (name.clone(), strings::of_model(strings::REMOVE, &name));
    let bar_label = strings::of_model(strings::QUEUE_RUNNING, &name);
    view! {
        <div class="line model">
            <div>
                <p>{name}</p>
                <p class="faint">{words}</p>
                <Show when=move || filled().is_some()>
                    <progress
                        aria-label=bar_label.clone()
                        value=move || filled().map(|(done, _)| done)
                        max=move || filled().map(|(_, total)| total)
                    ></progress>
                </Show>
            </div>
            <span class="row-buttons">
                <button
                    type="button"
                    class="plain"
                    aria-label=move || strings::of_model(rest_word(), &steer_name)
                    disabled=move || !can_manage.get()
                    on:click=steer
                >
                    {rest_word}
                </button>
                <button
                    type="button"
                    class="plain danger-text"
                    aria-label=remove_label
                    disabled=move || !can_manage.get()
                    on:click=move |_| page.act(Action::RemoveQueued(removed.clone()))
                >
                    {strings::REMOVE}
                </button>
            </span>
        </div>
    }
}
