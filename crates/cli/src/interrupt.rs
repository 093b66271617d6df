//! What Ctrl-C does, which depends on what the program is doing.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use anyhow::Context as _;

use crate::failure::INTERRUPTED;

/// What Ctrl-C means now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// End at once: nothing would be left half done.
    Exit = 0,
    /// Ask the running work to stop and tidy up; a second Ctrl-C ends at once.
    Stop = 1,
    /// A chat waits for a line: the first Ctrl-C says how to leave, the second leaves.
    Prompt = 2,
}

static MODE: AtomicU8 = AtomicU8::new(Mode::Exit as u8);
/// Ctrl-C was pressed since the mode was set.
static PRESSED: AtomicBool = AtomicBool::new(false);

/// Starts to handle Ctrl-C; the mode is [`Mode::Exit`].
///
/// # Errors
/// When the system refuses a handler.
pub(crate) fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(on_ctrl_c).context("cannot handle Ctrl-C")
}

fn on_ctrl_c() {
    let again = PRESSED.swap(true, Ordering::SeqCst);
    let mode = MODE.load(Ordering::SeqCst);
    if mode == Mode::Prompt as u8 {
        if again {
            end(0);
        }
        eprint!("\n(Ctrl-C again or Ctrl-D leaves the chat)\n> ");
    } else if again || mode == Mode::Exit as u8 {
        end(INTERRUPTED);
    }
}

fn end(code: u8) {
    eprintln!();
    #[allow(
        clippy::disallowed_methods,
        reason = "main may be blocked in a read or a GPU wait; output is flushed as it is written"
    )]
    std::process::exit(i32::from(code));
}

/// Says what Ctrl-C means from now on, and forgets earlier presses.
pub(crate) fn set_mode(mode: Mode) {
    MODE.store(mode as u8, Ordering::SeqCst);
    PRESSED.store(false, Ordering::SeqCst);
}

/// Whether Ctrl-C was pressed since [`set_mode`].
pub(crate) fn pressed() -> bool {
    PRESSED.load(Ordering::SeqCst)
}
