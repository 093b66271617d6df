//! The settings of the app.

use app::{Action, TextSize, Theme, strings};
use leptos::prelude::*;

use super::Page;
use super::add_model::AddModel;
use super::downloads::Downloads;
use super::hosts::Hosts;
use super::screen::Screen;
use super::settings_model::{Model, Storage};
use crate::components::Confirm;

/// A screen in place of the chat.
#[component]
pub(super) fn Settings(page: Page) -> impl IntoView {
    view! {
        <Screen page title=strings::SETTINGS class="column settings" done=Action::CloseSettings>
            <Model page />
            <Downloads page />
            <AddModel page />
            <Hosts page />
            <Appearance page />
            <Energy page />
            <Chats page />
            <Storage page />
            <Shortcuts />
            <About page />
        </Screen>
    }
}

#[component]
fn Appearance(page: Page) -> impl IntoView {
    let theme = page.part(|state| state.preferences.theme);
    let size = page.part(|state| state.preferences.text_size);
    let themes = Theme::ALL
        .into_iter()
        .zip(strings::THEMES)
        .map(|(value, name)| {
            choice(
                "theme",
                name,
                move || theme.get() == value,
                move || page.act(Action::SetTheme(value)),
            )
        })
        .collect_view();
    let sizes = TextSize::ALL
        .into_iter()
        .zip(strings::TEXT_SIZES)
        .map(|(value, name)| {
            choice(
                "size",
                name,
                move || size.get() == value,
                move || page.act(Action::SetTextSize(value)),
            )
        })
        .collect_view();
    view! {
        <section class="group" aria-labelledby="appearance">
            <h2 id="appearance">{strings::GROUP_APPEARANCE}</h2>
            <div class="card">
                <fieldset class="line">
                    <legend>{strings::THEME}</legend>
                    <div class="segments">{themes}</div>
                </fieldset>
                <fieldset class="line">
                    <legend>{strings::TEXT_SIZE}</legend>
                    <div class="segments">{sizes}</div>
                </fieldset>
            </div>
        </section>
    }
}

#[component]
fn Energy(page: Page) -> impl IntoView {
    let saves = page.part(|state| state.preferences.saves_energy);
    let speeds = [false, true]
        .into_iter()
        .zip(strings::ANSWER_SPEEDS)
        .map(|(value, name)| {
            choice(
                "speed",
                name,
                move || saves.get() == value,
                move || page.act(Action::SaveEnergy(value)),
            )
        })
        .collect_view();
    view! {
        <section class="group" aria-labelledby="energy">
            <h2 id="energy">{strings::GROUP_ENERGY}</h2>
            <div class="card">
                <fieldset class="line">
                    <legend>{strings::ANSWER_SPEED}</legend>
                    <div class="segments">{speeds}</div>
                </fieldset>
            </div>
            <p class="group-note">{strings::saving_energy()}</p>
        </section>
    }
}

/// One of several choices, a radio button that looks like a segment.
fn choice(
    group: &'static str,
    name: &'static str,
    is_chosen: impl Fn() -> bool + Send + Sync + Copy + 'static,
    choose: impl Fn() + 'static,
) -> impl IntoView {
    view! {
        <label class="segment" class:is-chosen=is_chosen>
            <input type="radio" name=group prop:checked=is_chosen on:change=move |_| choose() />
            <span>{name}</span>
        </label>
    }
}

#[component]
fn Chats(page: Page) -> impl IntoView {
    let can_edit = page.part(app::State::can_edit);
    let has_chats = page.part(|state| !state.chats.list.is_empty());
    view! {
        <section class="group" aria-labelledby="group-chats">
            <h2 id="group-chats">{strings::GROUP_CHATS}</h2>
            <div class="card">
                <button
                    type="button"
                    class="line action"
                    disabled=move || !has_chats.get()
                    on:click=move |_| page.act(Action::ExportAll)
                >
                    {strings::EXPORT_ALL}
                </button>
                <button
                    type="button"
                    class="line action"
                    disabled=move || !can_edit.get()
                    on:click=move |_| page.act(Action::PickImport)
                >
                    {strings::IMPORT}
                </button>
            </div>
            <p class="group-note">{strings::EXPORT_NOTE}</p>
        </section>
    }
}

#[component]
fn Shortcuts() -> impl IntoView {
    let lines = strings::SHORTCUTS
        .map(|(name, keys)| {
            let keys = keys
                .iter()
                .map(|key| view! { <kbd>{*key}</kbd> })
                .collect_view();
            view! {
                <div class="line">
                    <dt>{name}</dt>
                    <dd>{keys}</dd>
                </div>
            }
        })
        .collect_view();
    view! {
        <section class="group" aria-labelledby="keyboard">
            <h2 id="keyboard">{strings::SHORTCUTS_TITLE}</h2>
            <dl class="card">{lines}</dl>
        </section>
    }
}

#[component]
fn About(page: Page) -> impl IntoView {
    let gpu = page.part(|state| {
        let report = state.engine.device.as_ref()?;
        let adapter = &report.adapter;
        let name = [&adapter.description, &adapter.architecture, &adapter.vendor]
            .into_iter()
            .find(|name| !name.is_empty())?;
        Some(format!("{name} · {}", report.variant))
    });
    let is_asked = RwSignal::new(false);
    let can_edit = page.part(|state| state.can_edit() && !state.erasing);
    let is_erasing = page.part(|state| state.erasing);
    view! {
        <section class="group" aria-labelledby="about">
            <h2 id="about">{strings::GROUP_ABOUT}</h2>
            <dl class="card">
                <div class="line">
                    <dt>{strings::VERSION}</dt>
                    <dd>{protocol::BUILD}</dd>
                </div>
                <Show when=move || gpu.with(Option::is_some)>
                    <div class="line">
                        <dt>{strings::GPU}</dt>
                        <dd>{move || gpu.get()}</dd>
                    </div>
                </Show>
            </dl>
            <p class="group-note">{strings::ABOUT}</p>
        </section>
        <section class="group">
            <div class="card">
                <button type="button" class="line action" on:click=move |_| page.act(Action::OpenDiagnostics)>
                    {strings::DIAGNOSTICS}
                </button>
            </div>
        </section>
        <section class="group">
            <div class="card">
                <button
                    type="button"
                    class="line action danger-text"
                    disabled=move || !can_edit.get()
                    on:click=move |_| is_asked.set(true)
                >
                    {move || if is_erasing.get() { strings::ERASING } else { strings::ERASE }}
                </button>
            </div>
        </section>
        <Confirm
            open=is_asked
            title=strings::ERASE_TITLE
            detail=strings::ERASE_DETAIL
            yes=strings::ERASE
            on_yes=Callback::new(move |()| page.act(Action::EraseEverything))
        />
    }
}
