//! Logging: to the console, and into a ring whose end travels with a `Trap`.

use std::cell::RefCell;
use std::collections::VecDeque;

use log::{Level, LevelFilter, Log, Metadata, Record};
use wasm_bindgen::JsValue;
use web_sys::console;

/// Lines that the ring holds.
const RING_LINES: usize = 50;

thread_local! {
    static RING: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

struct Logger;

static LOGGER: Logger = Logger;

/// Makes this the logger of the worker.
pub(super) fn install() {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// The latest lines, oldest first.
pub(super) fn recent() -> String {
    // A panic may come from inside the logger, so the ring may be in use.
    RING.with(|ring| {
        ring.try_borrow()
            .map(|ring| ring.iter().cloned().collect::<Vec<_>>().join("\n"))
    })
    .unwrap_or_default()
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = format!("{} {}: {}", record.level(), record.target(), record.args());
        let value = JsValue::from_str(&line);
        match record.level() {
            Level::Error => console::error_1(&value),
            Level::Warn => console::warn_1(&value),
            Level::Info => console::info_1(&value),
            Level::Debug | Level::Trace => console::debug_1(&value),
        }
        RING.with(|ring| {
            if let Ok(mut ring) = ring.try_borrow_mut() {
                if ring.len() == RING_LINES {
                    ring.pop_front();
                }
                ring.push_back(line);
            }
        });
    }

    fn flush(&self) {}
}
