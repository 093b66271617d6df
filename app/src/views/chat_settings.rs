//! The settings of one chat: instructions to the model, and how words are chosen.

use std::ops::RangeInclusive;

use app::{Action, limits, strings};
use leptos::prelude::*;
use protocol::SamplingSettings;

use super::{Page, use_ui};
use crate::components::Modal;

/// A sheet. What is changed holds at once.
#[component]
pub(super) fn ChatSettings(page: Page) -> impl IntoView {
    let ui = use_ui();
    view! {
        <Modal open=ui.chat_settings title=strings::CHAT_SETTINGS is_sheet=true>
            <div class="sheet-content">
                <Instructions page />
                <Sampling page />
            </div>
        </Modal>
    }
}

#[component]
fn Instructions(page: Page) -> impl IntoView {
    let text = page
        .state
        .with_untracked(|state| state.chats.open.head.system_prompt.clone());
    view! {
        <label class="field">
            <span class="field-name">{strings::INSTRUCTIONS}</span>
            <textarea
                rows="4"
                dir="auto"
                placeholder=strings::INSTRUCTIONS_HINT
                maxlength=limits::MAX_SYSTEM_PROMPT.to_string()
                prop:value=text
                on:change=move |event| page.act(Action::SetSystemPrompt(event_target_value(&event)))
            ></textarea>
        </label>
    }
}

#[component]
fn Sampling(page: Page) -> impl IntoView {
    let is_own = page.part(|state| state.chats.open.head.sampling.is_some());
    view! {
        <section class="sampling" aria-labelledby="sampling">
            <h3 id="sampling">{strings::SAMPLING}</h3>
            <Slider page words=strings::TEMPERATURE range=limits::TEMPERATURE step=0.05 get=|s| s.temperature set=|s, v| s.temperature = v />
            <Slider page words=strings::TOP_P range=limits::TOP_P step=0.05 get=|s| s.top_p set=|s, v| s.top_p = v />
            <Slider page words=strings::TOP_K range=whole(&limits::TOP_K) step=1.0 get=|s| f64::from(s.top_k) set=|s, v| s.top_k = v as u32 />
            <Slider page words=strings::MIN_P range=limits::MIN_P step=0.01 get=|s| s.min_p set=|s, v| s.min_p = v />
            <Slider page words=strings::REPETITION range=limits::REPETITION_PENALTY step=0.05 get=|s| s.repetition_penalty set=|s, v| s.repetition_penalty = v />
            <Slider page words=strings::WINDOW range=whole(&limits::REPETITION_WINDOW) step=16.0 get=|s| f64::from(s.repetition_window) set=|s, v| s.repetition_window = v as u32 />
            <button
                type="button"
                class="plain"
                disabled=move || !is_own.get()
                on:click=move |_| page.act(Action::ResetSampling)
            >
                {strings::RESET_SAMPLING}
            </button>
        </section>
    }
}

fn whole(range: &RangeInclusive<u32>) -> RangeInclusive<f64> {
    f64::from(*range.start())..=f64::from(*range.end())
}

/// One value. While the thumb moves only the number follows; the chat changes when it is let go.
#[component]
fn Slider(
    page: Page,
    words: (&'static str, &'static str),
    range: RangeInclusive<f64>,
    step: f64,
    get: fn(&SamplingSettings) -> f64,
    set: fn(&mut SamplingSettings, f64),
) -> impl IntoView {
    let stored = page.part(move |state| get(&state.sampling()));
    let shown = RwSignal::new(stored.get_untracked());
    Effect::new(move |_| shown.set(stored.get()));
    let read = |event: &leptos::ev::Event| event_target_value(event).parse::<f64>().ok();
    let change = move |event: leptos::ev::Event| {
        if let Some(value) = read(&event) {
            let mut sampling = page.state.with_untracked(app::State::sampling);
            set(&mut sampling, value);
            page.act(Action::SetSampling(sampling));
        }
    };
    let (name, detail) = words;
    view! {
        <label class="slider">
            <span class="slider-top">
                <span class="field-name">{name}</span>
                <output>{move || strings::setting(shown.get(), step >= 1.0)}</output>
            </span>
            <input
                type="range"
                aria-label=name
                min=range.start().to_string()
                max=range.end().to_string()
                step=step.to_string()
                prop:value=move || shown.get().to_string()
                on:input=move |event| {
                    if let Some(value) = read(&event) {
                        shown.set(value);
                    }
                }
                on:change=change
            />
            <span class="faint">{detail}</span>
        </label>
    }
}
