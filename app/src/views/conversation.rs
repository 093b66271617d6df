//! What was said, from the newest backwards as far as somebody looks.

use app::{ChatId, Phase, strings};
use gloo::events::EventListener;
use leptos::html;
use leptos::prelude::*;

use super::fault::FaultBox;
use super::first_run::FirstRun;
use super::turn::TurnView;
use super::{Page, Ui, is_first_run, use_ui};
use crate::components::{Icon, Shape};

/// How near to its end, in pixels, the conversation counts as read to the end and follows the answer.
const NEAR_END_PIXELS: i32 = 48;
/// How near to its end it still counts after a move upwards: what rounding makes of nothing.
const AT_END_PIXELS: i32 = 1;
/// How near to the first drawn turn, in pixels, earlier ones are drawn.
const NEAR_START_PIXELS: i32 = 1200;
/// From how many scrolled pixels a line shows that there is more above.
const LIFTED_PIXELS: i32 = 4;
/// Turns that are drawn at first, and that are added at a time. A chat of thousands opens as fast as a short one.
const PAGE_TURNS: usize = 12;

/// The conversation, or a welcome while there is none, and what went wrong.
#[component]
pub(super) fn Conversation(page: Page) -> impl IntoView {
    let scroll = Scroll::new(page);
    let keys = page.part(move |state| {
        let turns = &state.chats.open.turns;
        let first = turns.len().saturating_sub(scroll.n_shown.get());
        turns
            .iter()
            .skip(first)
            .map(|turn| turn.key)
            .collect::<Vec<_>>()
    });
    let has_more = page.part(move |state| state.chats.open.turns.len() > scroll.n_shown.get());
    let is_busy = page.part(|state| state.engine.phase == Phase::Answering);
    let first_run = page.part(is_first_run);
    let is_quiet = page.part(|state| !state.chats.open.loading && state.engine.fault.is_none());
    let is_welcome = move || keys.with(Vec::is_empty) && !first_run.get() && is_quiet.get();
    scroll.follow();
    scroll.follow_window();
    view! {
        <main class="conversation" node_ref=scroll.log on:scroll=move |_| scroll.scrolled()>
            <div class="column">
                <Show when=move || first_run.get()>
                    <FirstRun page />
                </Show>
                <Show when=is_welcome>
                    <Welcome page />
                </Show>
                <Show when=move || has_more.get()>
                    <button type="button" class="plain earlier" on:click=move |_| scroll.show_more()>
                        {strings::EARLIER}
                    </button>
                </Show>
                <div
                    role="region"
                    class="turns"
                    aria-label=strings::CONVERSATION
                    aria-busy=move || if is_busy.get() { "true" } else { "false" }
                >
                    <For each=move || keys.get() key=|key| *key children=move |key| view! { <TurnView page key /> } />
                </div>
                <FaultBox page />
            </div>
        </main>
        <div class="jump" hidden=move || scroll.at_end.get() || keys.with(Vec::is_empty)>
            <button
                type="button"
                class="round small"
                aria-label=strings::JUMP_TO_LATEST
                title=strings::JUMP_TO_LATEST
                on:click=move |_| scroll.to_end()
            >
                <Icon shape=Shape::ArrowDown />
            </button>
        </div>
    }
}

/// What to see before the first question.
#[component]
fn Welcome(page: Page) -> impl IntoView {
    let ui = use_ui();
    let can_send = page.part(app::State::can_send);
    let suggestions = strings::SUGGESTIONS
        .map(|text| {
            view! {
                <li>
                    <button type="button" class="suggestion" on:click=move |_| ui.suggestion.set(Some(text))>
                        {text}
                    </button>
                </li>
            }
        })
        .collect_view();
    view! {
        <div class="welcome">
            <img src="icon.svg" alt="" width="72" height="72" />
            <h2>{strings::WELCOME}</h2>
            <p>{strings::WELCOME_DETAIL}</p>
            <ul class="suggestions" class:is-waiting=move || !can_send.get()>
                {suggestions}
            </ul>
        </div>
    }
}

/// A place in the conversation, and the size of what is seen of it.
#[derive(Clone, Copy, Default)]
struct Place {
    top: i32,
    width: i32,
    height: i32,
}

/// Where somebody looks, and how much is drawn.
#[derive(Clone, Copy)]
struct Scroll {
    page: Page,
    ui: Ui,
    log: NodeRef<html::Main>,
    at_end: RwSignal<bool>,
    n_shown: RwSignal<usize>,
    /// Where the conversation stood, and how wide and high it was, when it was last seen to move.
    last: StoredValue<Place>,
}

impl Scroll {
    fn new(page: Page) -> Self {
        Self {
            page,
            ui: use_ui(),
            log: NodeRef::new(),
            at_end: RwSignal::new(true),
            n_shown: RwSignal::new(PAGE_TURNS),
            last: StoredValue::new(Place::default()),
        }
    }

    fn n_turns(self) -> usize {
        self.page
            .state
            .with_untracked(|state| state.chats.open.turns.len())
    }

    fn scrolled(self) {
        let Some(log) = self.log.get_untracked() else {
            return;
        };
        let top = log.scroll_top();
        let (width, height) = (log.client_width(), log.client_height());
        let last = self.last.get_value();
        self.last.set_value(Place { top, width, height });
        let below = log.scroll_height() - top - height;
        // Whoever goes up a little wants to read there. A text that got shorter moves up, too, but stays at its end.
        let at_end = if (last.width, last.height) != (width, height) {
            // Another size of the window moved it, not the person.
            self.at_end.get_untracked()
        } else if top == last.top {
            // Where show_end has put it; the text may have grown since.
            self.at_end.get_untracked()
        } else if top < last.top {
            below <= AT_END_PIXELS
        } else {
            below <= NEAR_END_PIXELS
        };
        if at_end != self.at_end.get_untracked() {
            self.at_end.set(at_end);
        }
        let is_scrolled = top > LIFTED_PIXELS;
        if is_scrolled != self.ui.scrolled.get_untracked() {
            self.ui.scrolled.set(is_scrolled);
        }
        if top < NEAR_START_PIXELS && self.n_turns() > self.n_shown.get_untracked() {
            self.show_more();
        }
    }

    /// Draws earlier turns, and keeps what is in sight where it is: not every browser does that by itself.
    fn show_more(self) {
        let Some(log) = self.log.get_untracked() else {
            return;
        };
        let below = log.scroll_height() - log.scroll_top();
        self.n_shown.update(|n_shown| *n_shown += PAGE_TURNS);
        request_animation_frame(move || log.set_scroll_top(log.scroll_height() - below));
    }

    /// Goes to the newest words. What was drawn on the way up is let go.
    fn to_end(self) {
        self.n_shown.set(PAGE_TURNS);
        self.jump();
    }

    /// Goes to the end with the next frame, wherever the conversation stands.
    fn jump(self) {
        self.at_end.set(true);
        // Another chat may be shorter: that it moves up says nothing of what the person wants.
        self.last.update_value(|last| last.top = 0);
        request_animation_frame(move || self.show_end());
    }

    /// Goes to the end with the next frame, if the person is there then: a finger may have moved away by that time.
    fn keep_up(self) {
        if self.at_end.get_untracked() && self.n_turns() > 0 {
            request_animation_frame(move || {
                if self.at_end.try_get_untracked() == Some(true) {
                    self.show_end();
                }
            });
        }
    }

    fn show_end(self) {
        if let Some(log) = self.log.try_get_untracked().flatten() {
            log.set_scroll_top(log.scroll_height());
            let top = log.scroll_top();
            let _gone = self.last.try_update_value(|last| last.top = top);
        }
    }

    /// Keeps the end in sight when the on-screen keyboard comes or the window changes.
    fn follow_window(self) {
        let Some(visual) = window().visual_viewport() else {
            return;
        };
        let resized = EventListener::new(&visual, "resize", move |_| self.keep_up());
        // It ends with the conversation.
        StoredValue::new_local(resized);
    }

    /// Keeps the end in sight while the person looks at it, and goes there when a question is asked or a chat is opened.
    fn follow(self) {
        let growth = self.page.part(|state| {
            let open = &state.chats.open;
            let last = open
                .turns
                .last()
                .map(|turn| (turn.key, turn.answer.text.len(), turn.answer.finish));
            (
                open.head.id,
                open.loading,
                last,
                state.engine.fault.is_some(),
            )
        });
        Effect::new(move |before: Option<(ChatId, bool, Option<u32>)>| {
            let (chat, is_loading, last, _) = growth.get();
            let key = last.map(|(key, ..)| key);
            let is_same = before
                .is_some_and(|(old, was_loading, _)| old == chat && was_loading == is_loading);
            let is_asked = before.is_some_and(|(.., old)| old < key);
            if !is_same {
                self.to_end();
            } else if is_asked {
                self.jump();
            } else {
                self.keep_up();
            }
            (chat, is_loading, key)
        });
    }
}
