//! The first drawing in parts, each a task of its own: all at once they would block the page for longer than anybody should
//! wait for a tap.

use gloo::timers::callback::Timeout;
use leptos::prelude::*;

/// The parts, in the order in which they are drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Frame,
    Bar,
    Conversation,
    Dock,
    Chats,
    Dialogs,
}

/// Which parts there are.
#[derive(Clone, Copy)]
pub(super) struct Stages(RwSignal<Part>);

impl Stages {
    /// Draws part after part, and then calls `drawn`.
    pub(super) fn start(drawn: impl FnOnce() + 'static) -> Self {
        let stages = Self(RwSignal::new(Part::Frame));
        provide_context(stages);
        stages.proceed(drawn);
        stages
    }

    /// Whether a part may be there. To be called where it is drawn.
    pub(super) fn has(part: Part) -> impl Fn() -> bool + Copy + Send + Sync + 'static {
        let Self(last) = expect_context::<Self>();
        move || last.get() >= part
    }

    fn proceed(self, drawn: impl FnOnce() + 'static) {
        let next = match self.0.get_untracked() {
            // Browsers let the timers of hidden pages wait for seconds, and nobody sees that they are slow.
            _ if document().hidden() => Part::Dialogs,
            Part::Frame => Part::Bar,
            Part::Bar => Part::Conversation,
            Part::Conversation => Part::Dock,
            Part::Dock => Part::Chats,
            Part::Chats | Part::Dialogs => Part::Dialogs,
        };
        Timeout::new(0, move || {
            self.0.set(next);
            if next == Part::Dialogs {
                drawn();
            } else {
                self.proceed(drawn);
            }
        })
        .forget();
    }
}
