//! The flight recorder: what happened lately to device, worker and storage, for a person to read and to send along with a
//! report. It holds no words of any chat, and nothing is sent by itself.

use std::collections::VecDeque;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Change, Clock, State};

/// How many entries are kept; the oldest go.
pub const MAX_ENTRIES: usize = 300;
/// Longest text of an entry, in characters: a browser's reason may be long.
const MAX_TEXT: usize = 300;
/// Shortest time between two writes of entries that can wait.
const WRITE_MILLIS: f64 = 2_000.0;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since 1970; may jump with the clock of the device.
    pub wall_millis: f64,
    /// Milliseconds since the page was opened.
    pub page_millis: f64,
    /// What.
    pub text: String,
}

impl Entry {
    /// Its line.
    fn write(&self, text: &mut String) {
        let seconds = self.page_millis / 1000.0;
        // Writing into a string does not fail.
        let _written = writeln!(text, "{seconds:9.3}  {}", self.text);
    }
}

/// The entries, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recorder {
    entries: VecDeque<Entry>,
    /// Whether it is known what an earlier page, or the tab that had the engine before, has left behind.
    pub(super) is_known: bool,
    /// Whether there is something to write.
    is_unwritten: bool,
    /// Whether it must be written with this very action.
    is_urgent: bool,
    /// When it is written otherwise.
    due_at: f64,
}

impl Recorder {
    /// What is known, oldest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// One line for each entry, the newest first.
    #[must_use]
    pub fn newest_first(&self) -> String {
        let mut text = String::new();
        for entry in self.entries.iter().rev() {
            entry.write(&mut text);
        }
        text
    }

    /// A text file of it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "Tern flight recorder, build {}, protocol {}\nseconds since the page was opened, what happened\n",
            protocol::BUILD,
            protocol::PROTOCOL_VERSION
        );
        for entry in &self.entries {
            entry.write(&mut text);
        }
        text
    }

    fn push(&mut self, clock: Clock, text: &str) {
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
        }
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.entries.push_back(Entry {
            wall_millis: clock.wall_millis,
            page_millis: clock.steady_millis,
            text: one_line.chars().take(MAX_TEXT).collect(),
        });
    }
}

impl State {
    /// What happened lately to device, worker and storage.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Notes something that may be lost if the page ends within seconds.
    pub(super) fn note(&mut self, text: &str) {
        self.recorder.push(self.clock, text);
        self.recorder.is_unwritten = true;
    }

    /// Notes something that explains the end of the page, should it end now.
    pub(super) fn note_now(&mut self, text: &str) {
        self.recorder.push(self.clock, text);
        self.recorder_must_write();
    }

    /// Puts the entries of an earlier page in front. After a while without the engine some of them are this page's own.
    pub(super) fn remember(&mut self, earlier: Vec<Entry>) {
        self.recorder.entries.retain(|own| !earlier.contains(own));
        let room = MAX_ENTRIES.saturating_sub(self.recorder.entries.len());
        let skipped = earlier.len().saturating_sub(room);
        for entry in earlier.into_iter().skip(skipped).rev() {
            self.recorder.entries.push_front(entry);
        }
    }

    pub(super) const fn recorder_must_write(&mut self) {
        self.recorder.is_unwritten = true;
        self.recorder.is_urgent = true;
    }

    /// Stores what must be stored at once.
    pub(super) fn save_recorder(&mut self) {
        if self.recorder.is_urgent && self.can_write_flight() {
            self.write_flight();
        }
    }

    /// Stores what is due.
    pub(super) fn save_recorder_on_tick(&mut self) {
        let is_due = self.clock.steady_millis >= self.recorder.due_at;
        if self.recorder.is_unwritten && is_due && self.can_write_flight() {
            self.write_flight();
        }
    }

    /// A tab that does not have the engine writes nothing, and one that has not read yet what is there.
    fn can_write_flight(&self) -> bool {
        self.recorder.is_known && !self.environment.hidden && self.can_edit()
    }

    /// Stores the flight recorder and the sentinel.
    pub(super) fn write_flight(&mut self) {
        self.recorder.is_unwritten = false;
        self.recorder.is_urgent = false;
        self.recorder.due_at = self.clock.steady_millis + WRITE_MILLIS;
        let flight = Flight {
            sentinel: self.sentinel.clone(),
            learnt: self.learnt,
            entries: self.recorder.entries.iter().cloned().collect(),
        };
        self.save(Change::PutFlight(flight));
    }
}

/// What outlives the page.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Flight {
    /// What was going on.
    pub sentinel: Option<super::Sentinel>,
    /// What models have taken of this device.
    pub learnt: super::Learnt,
    /// The flight recorder.
    pub entries: Vec<Entry>,
}
