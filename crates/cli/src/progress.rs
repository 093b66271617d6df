//! Progress on stderr, for people only: nothing is drawn when stderr is not a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar over `total` bytes, named `what`.
    pub(crate) fn bytes(what: &str, total: u64) -> Bar {
        Bar::new(what, total, "{decimal_bytes}/{decimal_total_bytes}")
    }

    /// A bar over `total` steps, named `what`.
    pub(crate) fn steps(what: &str, total: u64) -> Bar {
        Bar::new(what, total, "{pos}/{len}")
    }

    fn new(what: &str, total: u64, amounts: &str) -> Bar {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let progress_bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) =
            ProgressStyle::with_template(&format!("{{prefix}} {{bar:30}} {amounts} {{wide_msg}}"))
        {
            progress_bar.set_style(style);
        }
        progress_bar.set_prefix(what.to_owned());
        Bar(progress_bar)
    }

    /// `done` of the total is finished; `now` is what comes next.
    pub(crate) fn set(&self, done: u64, now: &str) {
        self.0.set_position(done);
        if self.0.message() != now {
            self.0.set_message(now.to_owned());
        }
    }

    /// The total, when it is known later than the bar.
    pub(crate) fn set_total(&self, total: u64) {
        if self.0.length() != Some(total) {
            self.0.set_length(total);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
