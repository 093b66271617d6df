//! What a person looks at first on a new device, and sends along with a report.

use app::facts::{self, Group};
use app::{Action, Trial, strings};
use leptos::prelude::*;
use protocol::BenchmarkStep;

use super::Page;
use super::composer::StatusLine;
use super::screen::Screen;
use crate::components::{CopyButton, CopyStyle};

/// A screen in place of the chat.
#[component]
pub(super) fn Diagnostics(page: Page) -> impl IntoView {
    let groups = page.part(facts::groups);
    let draw = move || groups.get().into_iter().map(facts_card).collect_view();
    view! {
        <Screen
            page
            title=strings::DIAGNOSTICS
            class="column settings diagnostics"
            done=Action::CloseDiagnostics
            dock=move || view! { <StatusLine page /> }
        >
            <p class="lead">{strings::DIAGNOSTICS_LEAD}</p>
            <Report page />
            <Checks page />
            <Flight page />
            {draw}
        </Screen>
    }
}

/// The ways out of the page for what is on it.
#[component]
fn Report(page: Page) -> impl IntoView {
    view! {
        <div class="report">
            <button
                type="button"
                class="primary"
                data-testid="save-report"
                on:click=move |_| page.act(Action::SaveDiagnosis)
            >
                {strings::SAVE_REPORT}
            </button>
            <CopyButton
                page
                label=strings::COPY_REPORT
                style=CopyStyle::Word
                text=move || page.state.with_untracked(facts::text)
            />
        </div>
    }
}

/// What can be tried.
#[component]
fn Checks(page: Page) -> impl IntoView {
    let is_idle = page.part(|state| state.can_try() || state.diagnosis.running.is_some());
    view! {
        <section class="group" aria-labelledby="group-checks">
            <h2 id="group-checks">{strings::GROUP_CHECKS}</h2>
            <div class="card">
                <SelfTest page />
                <Benchmark page />
                <Loss page />
            </div>
            <Show when=move || !is_idle.get()>
                <p class="group-note">{strings::NOT_NOW}</p>
            </Show>
        </section>
    }
}

#[component]
fn SelfTest(page: Page) -> impl IntoView {
    let can_try = page.part(app::State::can_try);
    let is_bad = page.part(|state| state.last_self_test().is_some_and(|test| test.is_err()));
    let found = page.part(|state| match state.diagnosis.running {
        Some(Trial::SelfTest) => strings::TESTING.to_owned(),
        _ => facts::self_test(state).unwrap_or_else(|| strings::NOT_TESTED.to_owned()),
    });
    view! {
        <div class="line check">
            <div>
                <h3>{strings::SELF_TEST.0}</h3>
                <p class="faint">{strings::SELF_TEST.1}</p>
                <p role="status" class="found" class:is-bad=move || is_bad.get() data-testid="self-test">
                    {move || found.get()}
                </p>
            </div>
            <button
                type="button"
                class="plain"
                disabled=move || !can_try.get()
                on:click=move |_| page.act(Action::Try(Trial::SelfTest))
            >
                {strings::RUN_SELF_TEST}
            </button>
        </div>
    }
}

#[component]
fn Benchmark(page: Page) -> impl IntoView {
    let can_try = page.part(app::State::can_try);
    let is_running = page.part(|state| state.diagnosis.running == Some(Trial::Benchmark));
    let progress = page.part(|state| state.diagnosis.progress);
    let found = page.part(|state| match state.diagnosis.running {
        Some(Trial::Benchmark) => {
            let progress = state.diagnosis.progress;
            let step = progress.map_or(BenchmarkStep::WarmUp, |progress| progress.step);
            strings::measuring(step).to_owned()
        }
        _ => facts::benchmark(state).unwrap_or_else(|| strings::NOT_TESTED.to_owned()),
    });
    // One button for both, so that the focus stays where it was.
    let is_of_no_use = move || !is_running.get() && !can_try.get();
    let press = move |_| {
        page.act(if is_running.get_untracked() {
            Action::CancelTrial
        } else {
            Action::Try(Trial::Benchmark)
        });
    };
    let words = move || {
        if is_running.get() {
            strings::CANCEL
        } else {
            strings::RUN_BENCHMARK
        }
    };
    view! {
        <div class="line check">
            <div>
                <h3>{strings::BENCHMARK.0}</h3>
                <p class="faint">{strings::BENCHMARK.1}</p>
                <p role="status" class="found" data-testid="benchmark">
                    {move || found.get()}
                </p>
                <Show when=move || is_running.get()>
                    <progress
                        aria-label=strings::BENCHMARK_PROGRESS
                        value=move || progress.get().map(|progress| progress.done.to_string())
                        max=move || progress.get().map(|progress| progress.total.max(1).to_string())
                    ></progress>
                </Show>
            </div>
            <button type="button" class="plain" disabled=is_of_no_use on:click=press>
                {words}
            </button>
        </div>
    }
}

#[component]
fn Loss(page: Page) -> impl IntoView {
    let can_lose = page.part(app::State::can_lose_device);
    view! {
        <div class="line check">
            <div>
                <h3>{strings::LOSE_DEVICE.0}</h3>
                <p class="faint">{strings::LOSE_DEVICE.1}</p>
                <Show when=move || !can_lose.get()>
                    <p class="found">{strings::NO_DEVICE}</p>
                </Show>
            </div>
            <button
                type="button"
                class="plain danger-text"
                disabled=move || !can_lose.get()
                on:click=move |_| page.act(Action::LoseDevice)
            >
                {strings::LOSE_DEVICE.0}
            </button>
        </div>
    }
}

/// The flight recorder. It can be scrolled with the keyboard.
#[component]
fn Flight(page: Page) -> impl IntoView {
    let text = page.part(|state| state.recorder().newest_first());
    view! {
        <section class="group" aria-labelledby="group-flight">
            <h2 id="group-flight">{strings::FLIGHT}</h2>
            <pre class="card flight" tabindex="0" role="region" aria-label=strings::FLIGHT_LABEL data-testid="flight">
                {move || text.with(|text| lines(text))}
            </pre>
            <p class="group-note">{strings::FLIGHT_NOTE}</p>
        </section>
    }
}

/// Each line by itself, so that one that is too long goes on below its own words.
fn lines(text: &str) -> impl IntoView + use<> {
    let line = |line: &str| view! { <span class="flight-line">{format!("{line}\n")}</span> };
    text.lines().map(line).collect_view()
}

fn facts_card(group: Group) -> impl IntoView {
    let lines = group
        .facts
        .into_iter()
        .map(|(name, value)| {
            view! {
                <div class="line">
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                </div>
            }
        })
        .collect_view();
    view! {
        <section class="group" aria-label=group.title>
            <h2>{group.title}</h2>
            <dl class="card">{lines}</dl>
        </section>
    }
}
