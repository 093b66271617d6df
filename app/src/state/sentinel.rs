//! The crash sentinel: what the page was about to do, written before it does something that has ended pages before. No error
//! announces such an end (iPadOS closes a page that takes too much memory without a word), so the next page learns of it by
//! the sentinel that nobody has taken away.

use protocol::{Fault, FaultCode};
use serde::{Deserialize, Serialize};

use super::{Flight, Phase, Setback, State};

/// So many pages must have ended in the same step before the next one starts with a smaller configuration. A single one may
/// have been closed by chance.
const KILLS_BEFORE_SMALLER: u32 = 2;
/// So many, before the next one asks first.
const KILLS_BEFORE_ASKING: u32 = 4;
/// An answer is a risk of its own when the conversation takes this part of the context.
const LARGE_PART: u32 = 2;

/// Something that has ended pages before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Putting the model on a device.
    Load,
    /// Its first token.
    FirstToken,
    /// The first token behind a long conversation.
    LargeContext,
}

impl Step {
    const fn words(self) -> &'static str {
        match self {
            Self::Load => "the model was being loaded",
            Self::FirstToken => "the model was about to make its first token",
            Self::LargeContext => "a long conversation was being read",
        }
    }
}

/// What the page is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentinel {
    /// What.
    pub step: Step,
    /// URL of the model's package.
    pub model_url: String,
    /// How many pages before this one ended in such a step.
    pub kills: u32,
    /// Bytes of graphics memory that the model takes, as far as they are known; 0 = they are not.
    #[serde(default)]
    pub bytes: u64,
}

impl State {
    /// Something risky comes next. It is written before that is posted.
    pub(super) fn mark(&mut self, step: Step) {
        let sentinel = Sentinel {
            step,
            model_url: self.model_url.clone(),
            kills: self.kills,
            bytes: self.bytes_at_risk(),
        };
        if self.sentinel.as_ref() == Some(&sentinel) {
            return;
        }
        self.sentinel = Some(sentinel);
        self.recorder_must_write();
    }

    /// It went well. That is written at once as well: a page may be closed right behind it.
    pub(super) fn unmark(&mut self) {
        if self.sentinel.take().is_some() {
            self.recorder_must_write();
        }
    }

    /// An answer ended before its risky part was over.
    pub(super) fn unmark_answer(&mut self) {
        let is_answer = |sentinel: &Sentinel| sentinel.step != Step::Load;
        if self.sentinel.as_ref().is_some_and(is_answer) {
            self.unmark();
        }
    }

    /// The model works: whatever ended earlier pages is over.
    pub(super) fn has_worked(&mut self) {
        self.kills = 0;
        self.has_answered = true;
        self.unmark();
    }

    /// Which risk the next answer is, if any.
    pub(super) fn risk_of_answer(&self) -> Option<Step> {
        if !self.has_answered {
            return Some(Step::FirstToken);
        }
        let (used, total) = self.context_use()?;
        (used > total / LARGE_PART).then_some(Step::LargeContext)
    }

    /// What an earlier page left behind, or the tab that had the engine before. A sentinel means that it was ended in the
    /// middle of something, unless the engine was taken away from it: then it lives.
    pub(super) fn take_flight(&mut self, flight: Flight) {
        self.recorder.is_known = true;
        self.remember(flight.entries);
        self.learnt = flight.learnt;
        let was_taken = std::mem::take(&mut self.engine.was_taken);
        let Some(sentinel) = flight
            .sentinel
            .filter(|found| found.model_url == self.model_url && !was_taken)
        else {
            return;
        };
        // An end while nobody looked was taken away; what is left was an end in plain sight.
        self.kills = sentinel.kills.saturating_add(1);
        self.learn_from_kill(&sentinel);
        let (kills, words) = (self.kills, sentinel.step.words());
        self.note_now(&format!(
            "an earlier page ended while {words} ({kills} in a row)"
        ));
        if kills >= KILLS_BEFORE_SMALLER {
            let level = kills - KILLS_BEFORE_SMALLER + 1;
            self.engine.supervisor.begin_at(level);
            self.engine.setback = Setback::Killed;
            self.note("starting with a smaller configuration");
        }
        self.must_ask = kills >= KILLS_BEFORE_ASKING;
    }

    /// Asks before the model is loaded again, if it has ended too many pages. Only the person's word ends that, and it is
    /// good for this page: a worker that is replaced meanwhile asks again.
    pub(super) fn asks_first(&mut self) -> bool {
        if !self.must_ask {
            return false;
        }
        let kills = self.kills;
        self.fail(Fault::new(
            FaultCode::Killed,
            format!("{kills} pages in a row ended while the model was being started"),
        ));
        true
    }

    /// The tab that has the engine now keeps the records, and reads what is there first, as this one will when it has the
    /// engine again.
    pub(super) fn leave_flight(&mut self) {
        self.sentinel = None;
        self.hidden_sentinel = None;
        self.recorder.is_known = false;
    }

    /// Nobody looks: what the system does to the page now says nothing of the step.
    pub(super) fn unmark_while_hidden(&mut self) {
        let kept = self.sentinel.take();
        if kept.is_some() {
            self.write_flight();
        }
        self.hidden_sentinel = kept;
    }

    /// Somebody looks again, and the step may still be going on.
    pub(super) fn mark_again(&mut self) {
        let is_going_on = matches!(
            self.engine.phase,
            Phase::Loading | Phase::Answering | Phase::Starting
        );
        if let Some(sentinel) = self.hidden_sentinel.take().filter(|_| is_going_on) {
            self.sentinel = Some(sentinel);
            self.recorder_must_write();
        }
    }
}
