//! Everything that is known of a stored model, and the check of its files.

use app::{Action, CheckState, Details, strings};
use leptos::prelude::*;
use protocol::{FaultCode, HashOrigin, ModelDetails, SourceFile};

use super::Page;
use crate::components::{CopyButton, CopyStyle, Modal};

/// A sheet that shows what was asked for last.
#[component]
pub(super) fn ModelSheet(page: Page, open: RwSignal<bool>) -> impl IntoView {
    let details = page.part(|state| state.manager.details.clone());
    view! {
        <Modal open title=strings::MODEL_INFORMATION is_sheet=true>
            <div class="sheet-content model-sheet" data-testid="model-details">
                {move || match details.get() {
                    None => view! { <p class="faint">{strings::DETAILS_GONE}</p> }.into_any(),
                    Some(details) => view! { <Known page details /> }.into_any(),
                }}
            </div>
        </Modal>
    }
}

#[component]
fn Known(page: Page, details: Details) -> impl IntoView {
    let url = details.model_url;
    match details.result {
        None => view! { <p class="faint">{strings::LOOKING}</p> }.into_any(),
        Some(Err(fault)) if fault.code == FaultCode::NotFound => {
            view! { <p class="faint">{strings::DETAILS_UNKNOWN}</p> }.into_any()
        }
        Some(Err(fault)) => view! {
            <p class="fit bad">{strings::fault_words(&fault)}</p>
            <p class="faint detail">{fault.detail.clone()}</p>
            <FilesCheck page url />
        }
        .into_any(),
        Some(Ok(model)) => view! {
            <Facts model=model.clone() />
            <FilesCheck page url />
            <SourceHashes page model=model.clone() />
            <StoredHashes page model />
        }
        .into_any(),
    }
}

fn fact(name: impl Into<String>, value: impl Into<String>) -> impl IntoView {
    view! {
        <div>
            <dt>{name.into()}</dt>
            <dd>{value.into()}</dd>
        </div>
    }
}

#[component]
fn Facts(model: ModelDetails) -> impl IntoView {
    let licence = model.license.clone();
    let stored = model.files.iter().filter(|file| file.is_stored);
    let stored: u64 = stored.map(|file| file.bytes.get()).sum();
    let all: u64 = model.files.iter().map(|file| file.bytes.get()).sum();
    let parts = [
        (strings::DETAIL_CODES, model.parts.codes),
        (strings::DETAIL_TABLES, model.parts.tables),
        (strings::DETAIL_NORMS, model.parts.norms),
        (strings::DETAIL_TOKENIZER, model.parts.tokenizer),
    ]
    .map(|(name, size)| fact(name, strings::bytes(size.get())));
    let memory = model
        .memory
        .iter()
        .map(|memory| fact(strings::memory_label(memory), strings::memory_at(memory)))
        .collect_view();
    let revision = model
        .revision
        .clone()
        .unwrap_or_else(|| strings::NO_REVISION.to_owned());
    view! {
        <dl class="known">
            {fact(strings::FACT_MODEL, model.name.clone())}
            {fact(strings::DETAIL_SOURCE, model.model_url.clone())}
            {fact(strings::DETAIL_REVISION, revision)}
            {fact(
                strings::FACT_LICENCE,
                licence.unwrap_or_else(|| strings::LICENCE_UNKNOWN.to_owned()),
            )}
            {fact(strings::DETAIL_KIND, model.kind.clone())}
            {fact(strings::DETAIL_SHAPE, strings::shape(&model.shape))}
            {fact(strings::DETAIL_STORED, strings::downloaded(stored, all))}
            {parts.collect_view()}
            {memory}
        </dl>
    }
}

/// The button that has all files compared, how far that is, and what was found.
#[component]
fn FilesCheck(page: Page, url: String) -> impl IntoView {
    let own = url.clone();
    let check = page.part(move |state| {
        let check = state.manager.check.as_ref();
        let own = check.filter(|check| check.model_url == own);
        own.map(|check| check.state.clone())
    });
    let is_open = move || check.with(|check| check.as_ref().is_some_and(CheckState::is_open));
    // One at a time.
    let is_busy = page.part(|state| {
        let check = state.manager.check.as_ref();
        check.is_some_and(|check| check.state.is_open()) || !state.can_manage()
    });
    let press = move |_| {
        page.act(if is_open() {
            Action::CancelCheck
        } else {
            Action::CheckModel(url.clone())
        });
    };
    let found = move || match check.get() {
        None => ().into_any(),
        Some(CheckState::Waiting) => {
            view! { <p class="faint">{strings::CHECK_WAITING}</p> }.into_any()
        }
        Some(CheckState::Running(progress)) => {
            view! { <p class="faint">{strings::checking(progress.as_ref())}</p> }.into_any()
        }
        Some(CheckState::Failed(fault)) => {
            let words = strings::with_detail(strings::CHECK_FAILED, &strings::fault_words(&fault));
            view! { <p class="fit bad">{words}</p> }.into_any()
        }
        Some(CheckState::Done(report)) => {
            let class = if report.is_right() {
                "fit good"
            } else {
                "fit bad"
            };
            let why = report.fault.as_ref().map(|fault| {
                view! {
                    <p>{strings::fault_words(fault)}</p>
                    <p class="faint detail">{fault.detail.clone()}</p>
                }
            });
            view! {
                <p class=class>{strings::checked(&report)}</p>
                {why}
            }
            .into_any()
        }
    };
    view! {
        <div class="files-check">
            <button
                type="button"
                class="plain"
                data-testid="check-files"
                disabled=move || is_busy.get() && !is_open()
                on:click=press
            >
                {move || if is_open() { strings::STOP_CHECK } else { strings::CHECK_FILES }}
            </button>
            <div role="status" data-testid="check-result">{found}</div>
        </div>
    }
}

/// Lines of a hash and a name, as `sha256sum` writes them.
fn hash_lines<'a>(files: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let lines = files.map(|(sha256, name)| format!("{sha256}  {name}\n"));
    lines.collect()
}

#[component]
fn SourceHashes(page: Page, model: ModelDetails) -> impl IntoView {
    let sources = model.sources;
    let is_published = |source: &&SourceFile| source.origin == HashOrigin::Published;
    let n_published = sources.iter().filter(is_published).count();
    let note = match sources.iter().find(|source| !is_published(source)) {
        None if sources.is_empty() => strings::NO_SOURCES.to_owned(),
        None => strings::hash_origin(n_published, sources.len(), HashOrigin::Published),
        Some(other) => strings::hash_origin(n_published, sources.len(), other.origin),
    };
    let lines = hash_lines(sources.iter().map(|file| (&file.sha256, &file.name)));
    view! { <Hashes page title=strings::HASHES_OF_SOURCES note=note lines /> }
}

#[component]
fn StoredHashes(page: Page, model: ModelDetails) -> impl IntoView {
    let lines = hash_lines(model.files.iter().map(|file| (&file.sha256, &file.name)));
    view! { <Hashes page title=strings::HASHES_OF_FILES lines /> }
}

/// A list that is closed at first: it may be long.
#[component]
fn Hashes(
    page: Page,
    title: &'static str,
    #[prop(optional)] note: Option<String>,
    lines: String,
) -> impl IntoView {
    let copied = lines.clone();
    let has_lines = !lines.is_empty();
    view! {
        <details class="hashes">
            <summary>{title}</summary>
            {note.map(|note| view! { <p class="faint">{note}</p> })}
            {has_lines
                .then(|| {
                    view! {
                        <pre tabindex="0">{lines}</pre>
                        <CopyButton
                            page
                            label=strings::COPY_HASHES
                            style=CopyStyle::Word
                            text=move || copied.clone()
                        />
                    }
                })}
        </details>
    }
}
