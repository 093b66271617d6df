//! Progress on stderr, for people only: nothing is drawn when stderr is not a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `total` bytes; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A new bar named `what`.
    pub(crate) fn bytes(what: &str, total: u64) -> Bar {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = "{prefix} {bar:30} {decimal_bytes}/{decimal_total_bytes} {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        Bar(bar)
    }

    /// `done` bytes are finished; `now` is what comes next.
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
