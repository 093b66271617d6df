//! The first visit: what this is, what it costs, one button; then how far the download is, while one reads.

use app::{Action, Phase, strings};
use leptos::prelude::*;
use protocol::{Fit, LoadStage, ModelOffer, StorageState, is_of_files};

use super::Page;
use super::add_model::LookedUp;
use super::banners::download_button;
use super::catalogue::Catalogue;
use super::fit::OfferDetails;
use crate::components::{Icon, Shape};

/// In place of an empty conversation while the model is not there.
#[component]
pub(super) fn FirstRun(page: Page) -> impl IntoView {
    let is_offer = page.part(|state| state.engine.phase == Phase::Offer);
    let offer = page.part(|state| state.engine.offer.clone());
    let wants_hint = page.part(|state| {
        let environment = &state.environment;
        environment.ios
            && !environment.standalone
            && !state.preferences.install_hint_dismissed
            && state.engine.phase == Phase::Offer
    });
    let points = [Shape::Lock, Shape::Plane, Shape::Leaf]
        .into_iter()
        .zip(strings::FIRST_POINTS)
        .map(|(shape, (name, detail))| {
            view! {
                <li>
                    <Icon shape />
                    <div>
                        <h3>{name}</h3>
                        <p>{detail}</p>
                    </div>
                </li>
            }
        })
        .collect_view();
    view! {
        <section class="first" aria-labelledby="first-title">
            <img src="icon.svg" alt="" width="88" height="88" />
            <h2 id="first-title">{strings::FIRST_TITLE}</h2>
            <p class="lead">{strings::FIRST_LEAD}</p>
            <Show when=move || wants_hint.get()>
                <InstallHint page />
            </Show>
            <div class="card offer">
                {move || {
                    offer
                        .get()
                        .map(|offer| {
                            view! {
                                <Facts offer=offer.clone() />
                                <OfferDetails page offer />
                            }
                        })
                }}
                <Show when=move || is_offer.get() fallback=move || view! { <Download page /> }>
                    <Start page />
                </Show>
            </div>
            <Catalogue page title=strings::OTHER_MODELS />
            <LookedUp page />
            <ul class="points">{points}</ul>
            <button type="button" class="plain" on:click=move |_| page.act(Action::OpenDiagnostics)>
                {strings::DIAGNOSTICS}
            </button>
        </section>
    }
}

/// How to put the app onto the Home Screen, before anything large is stored in the wrong place.
#[component]
fn InstallHint(page: Page) -> impl IntoView {
    let steps = strings::INSTALL_STEPS
        .into_iter()
        .zip([Some(Shape::Share), None, None])
        .map(|(step, shape)| {
            view! {
                <li>
                    <span>{step}</span>
                    {shape.map(|shape| view! { <Icon shape /> })}
                </li>
            }
        })
        .collect_view();
    view! {
        <div class="card hint" role="note" data-testid="install-hint">
            <h3>{strings::INSTALL_TITLE}</h3>
            <p>{strings::INSTALL_WHY}</p>
            <ol>{steps}</ol>
            <button type="button" class="plain" on:click=move |_| page.act(Action::DismissInstallHint)>
                {strings::INSTALL_SKIP}
            </button>
        </div>
    }
}

/// What the model is and what it needs.
#[component]
pub(super) fn Facts(offer: ModelOffer) -> impl IntoView {
    let licence = offer
        .license
        .clone()
        .unwrap_or_else(|| strings::LICENCE_UNKNOWN.to_owned());
    let memory = strings::memory(&offer);
    let source = match is_of_files(&offer.model_url) {
        true => strings::FACT_FILES,
        false => strings::FACT_DOWNLOAD,
    };
    let (fit_class, fit_shape, fit) = match &offer.fit {
        Fit::Fits => ("fit good", Shape::Check, strings::fits(&offer)),
        Fit::FitsWithContext(tokens) => (
            "fit good",
            Shape::Check,
            strings::fits_with_context(*tokens),
        ),
        Fit::TooLarge { detail } => (
            "fit bad",
            Shape::Warning,
            strings::with_detail(strings::FIT_TOO_LARGE, detail),
        ),
        Fit::Unknown => ("fit", Shape::Chip, strings::FIT_UNKNOWN.to_owned()),
    };
    let is_kept = offer.storage == StorageState::Durable;
    view! {
        <dl class="facts">
            <div class="wide">
                <dt>{strings::FACT_MODEL}</dt>
                <dd>{offer.name.clone()}</dd>
            </div>
            <div>
                <dt>{source}</dt>
                <dd>{strings::bytes(offer.download_bytes.get())}</dd>
            </div>
            <div>
                <dt>{strings::FACT_MEMORY}</dt>
                <dd>{memory}</dd>
            </div>
            <div>
                <dt>{strings::FACT_LICENCE}</dt>
                <dd>{licence}</dd>
            </div>
        </dl>
        <p class=fit_class>
            <Icon shape=fit_shape />
            <span>{fit}</span>
        </p>
        {(!is_kept)
            .then(|| {
                view! {
                    <p class="fit bad">
                        <Icon shape=Shape::Warning />
                        <span>{strings::NOT_KEPT}</span>
                    </p>
                }
            })}
    }
}

/// The one button.
#[component]
fn Start(page: Page) -> impl IntoView {
    // What is there already, of how much.
    let part = page.part(|state| {
        let offer = state.engine.offer.as_ref()?;
        let stored = offer.stored_bytes.get();
        (stored > 0).then(|| (stored, offer.download_bytes.get()))
    });
    let (class, words) = download_button(page);
    let is_offline = page.part(|state| !state.environment.online);
    view! {
        <button
            type="button"
            class=class
            data-testid="download"
            on:click=move |_| page.act(Action::Download)
        >
            {words}
        </button>
        <Show when=move || part.with(Option::is_some)>
            <p class="faint centre">
                {move || part.get().map(|(stored, all)| strings::already_here(stored, all))}
            </p>
        </Show>
        <Show when=move || is_offline.get()>
            <p class="faint centre">{strings::OFFLINE_FIRST}</p>
        </Show>
        <div class="download-buttons">
            <button
                type="button"
                class="plain"
                data-testid="another-model"
                on:click=move |_| page.act(Action::OpenSettings)
            >
                {strings::ANOTHER_MODEL}
            </button>
            <button
                type="button"
                class="plain"
                data-testid="first-from-files"
                on:click=move |_| page.act(Action::PickModelFiles)
            >
                {strings::FROM_FILES}
            </button>
        </div>
    }
}

/// How far it is.
#[component]
fn Download(page: Page) -> impl IntoView {
    let progress = page.part(|state| state.engine.progress);
    let rate = page.part(|state| state.engine.rate);
    let is_loading = page.part(|state| state.engine.phase == Phase::Loading);
    let is_paused = page.part(|state| state.engine.download_paused);
    let is_copied = page.part(app::State::is_of_files);
    let pause = move |_| {
        page.act(if is_paused.get_untracked() {
            Action::ResumeDownload
        } else {
            Action::PauseDownload
        });
    };
    let is_download = move || {
        progress
            .get()
            .is_none_or(|progress| progress.stage == LoadStage::Download)
    };
    let left = move || match progress.get() {
        None if is_copied.get() => strings::COPY_STARTING.to_owned(),
        None => strings::DOWNLOAD_STARTING.to_owned(),
        Some(_) if !is_download() => strings::PREPARING.to_owned(),
        Some(progress) => {
            strings::downloaded(progress.bytes_done.get(), progress.bytes_total.get())
        }
    };
    let right = move || match (is_download(), is_paused.get()) {
        (true, true) => Some(strings::PAUSED.to_owned()),
        (true, false) => rate
            .get()
            .map(|rate| strings::rate(rate.bytes_per_second, rate.seconds_left)),
        (false, _) => None,
    };
    view! {
        <Show when=move || is_loading.get()>
            <div class="download">
                <progress
                    aria-label=strings::LOADING_LABEL
                    value=move || progress.get().map(|progress| progress.bytes_done.get().to_string())
                    max=move || {
                        progress.get().map(|progress| progress.bytes_total.get().max(1).to_string())
                    }
                ></progress>
                <p class="download-facts">
                    <span>{left}</span>
                    <span>{right}</span>
                </p>
                <Show when=is_download>
                    <div class="download-buttons">
                        <Show when=move || !is_copied.get()>
                            <button type="button" class="plain" data-testid="pause" on:click=pause>
                                {move || {
                                    if is_paused.get() {
                                        strings::RESUME_DOWNLOAD
                                    } else {
                                        strings::PAUSE_DOWNLOAD
                                    }
                                }}
                            </button>
                        </Show>
                        <button
                            type="button"
                            class="plain"
                            on:click=move |_| page.act(Action::CancelDownload)
                        >
                            {move || {
                                if is_copied.get() {
                                    strings::CANCEL_COPY
                                } else {
                                    strings::CANCEL_DOWNLOAD
                                }
                            }}
                        </button>
                    </div>
                </Show>
            </div>
        </Show>
    }
}
