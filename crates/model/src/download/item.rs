//! One wanted file within a download.

use super::{Attempt, Extent, Head, Millis, Problem, Want};

/// A want and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) want: Want,
    /// Bytes that are held, in front.
    pub(super) held: u64,
    /// The version that they are of.
    version: Option<String>,
    /// Length of the whole file, when the server stated it.
    total: Option<u64>,
    pub(super) stage: Stage,
    /// Requests so far.
    pub(super) attempts: u32,
    /// Failures in a row.
    pub(super) failures: u32,
    /// How often it came wrong.
    pub(super) wrongs: u32,
    /// Whether caches are to be passed by.
    pub(super) fresh: bool,
    /// Whether the server's parts have proved to be none.
    is_whole_only: bool,
    /// What was wrong last.
    pub(super) trouble: Option<Problem>,
}

/// What is being done about an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stage {
    /// It waits until then.
    Waiting(Millis),
    /// A request runs.
    Running(Run),
    /// Its bytes are looked at.
    Checking,
    /// It is there.
    Done,
}

/// A request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    pub(super) attempt: Attempt,
    /// Whether it asked for a part.
    is_ranged: bool,
    /// Whether its head has come.
    has_head: bool,
    /// Bytes of its body that come before those that are wanted.
    skip: u64,
    /// Bytes that it brought.
    brought: u64,
    /// When it last gave a sign of life.
    pub(super) touched: Millis,
}

/// What is to be done with a head or a body.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It goes on.
    Fine,
    /// What is held is of another version; the body brings all of it anew.
    Anew,
    /// The server's parts can't be used: the whole file is needed.
    Whole,
    /// All bytes are there.
    Complete,
    /// It does not do.
    Bad(Problem),
}

impl Item {
    pub(super) fn new(want: Want) -> Self {
        // More than there is to hold is as good as nothing.
        let held = if want.held_bytes > want.extent.max_bytes() {
            0
        } else {
            want.held_bytes
        };
        Self {
            held,
            version: want.held_version.clone(),
            want,
            total: None,
            stage: Stage::Waiting(f64::NEG_INFINITY),
            attempts: 0,
            failures: 0,
            wrongs: 0,
            fresh: false,
            is_whole_only: false,
            trouble: None,
        }
    }

    /// Whether it has a place among those that are worked on, and keeps it while it waits: its bytes take memory.
    pub(super) const fn is_begun(&self) -> bool {
        match self.stage {
            Stage::Waiting(_) => self.attempts > 0,
            Stage::Running(_) | Stage::Checking => true,
            Stage::Done => false,
        }
    }

    pub(super) const fn run(&self) -> Option<&Run> {
        match &self.stage {
            Stage::Running(run) => Some(run),
            _ => None,
        }
    }

    /// Whether all bytes are there, as far as that can be known without the end of the body.
    pub(super) fn has_all(&self) -> bool {
        self.want.extent.bytes() == Some(self.held)
    }

    /// Whether what is held can't be gone on with: nobody could tell whether the rest is of the same version.
    pub(super) fn is_unsure(&self) -> bool {
        self.held > 0 && !self.want.has_hash && self.version.is_none()
    }

    pub(super) fn forget(&mut self) {
        self.held = 0;
        self.version = None;
    }

    /// Begins a request. Returns the range to ask for.
    pub(super) fn begin(&mut self, attempt: Attempt, now: Millis) -> Option<(u64, Option<u64>)> {
        self.attempts += 1;
        let first = self.want.extent.start() + self.held;
        let last = match self.want.extent {
            Extent::Part { start, bytes } => (start + bytes).checked_sub(1),
            Extent::Whole { .. } | Extent::Unknown { .. } => None,
        };
        let is_part = matches!(self.want.extent, Extent::Part { .. }) || first > 0;
        let range = (is_part && !self.is_whole_only).then_some((first, last));
        self.stage = Stage::Running(Run {
            attempt,
            is_ranged: range.is_some(),
            has_head: false,
            skip: 0,
            brought: 0,
            touched: now,
        });
        range
    }

    /// The head of the answer.
    pub(super) fn answered(&mut self, head: &Head, now: Millis, max_skip_bytes: u64) -> Verdict {
        let Stage::Running(mut run) = self.stage else {
            return Verdict::Fine;
        };
        run.touched = now;
        run.has_head = true;
        let first = self.want.extent.start() + self.held;
        match head.status {
            206 if run.is_ranged => {
                if head.is_encoded || head.first_byte.is_some_and(|byte| byte != first) {
                    self.is_whole_only = true;
                    return Verdict::Whole;
                }
            }
            // The server does not know parts: what is held comes again, and is dropped.
            200 => run.skip = first,
            // Its file ends before what is asked for.
            416 if run.is_ranged => {
                return Verdict::Bad(
                    head.total_bytes
                        .map_or(Problem::Changed, |got| self.wrong_length(got)),
                );
            }
            status => return Verdict::Bad(Problem::of_status(status, head.retry_after_millis)),
        }
        if head.is_page {
            return Verdict::Bad(Problem::Page);
        }
        if let Some(problem) = head.total_bytes.and_then(|total| self.check_length(total)) {
            return Verdict::Bad(problem);
        }
        let verdict = self.check_version(head);
        if verdict == Verdict::Anew && head.status == 200 {
            run.skip = self.want.extent.start();
        }
        if run.skip > max_skip_bytes {
            return Verdict::Bad(Problem::NoRanges { skipped: run.skip });
        }
        self.stage = Stage::Running(run);
        self.total = head.total_bytes;
        match verdict {
            Verdict::Anew if head.status == 206 => Verdict::Bad(Problem::Changed),
            verdict => verdict,
        }
    }

    const fn wrong_length(&self, got: u64) -> Problem {
        Problem::WrongLength {
            expected: self.want.extent.start() + self.want.extent.max_bytes(),
            got,
        }
    }

    /// What is wrong with a file of `total` bytes.
    const fn check_length(&self, total: u64) -> Option<Problem> {
        match self.want.extent {
            Extent::Whole { bytes } if total != bytes => Some(self.wrong_length(total)),
            Extent::Part { start, bytes } if total < start + bytes => {
                Some(self.wrong_length(total))
            }
            Extent::Unknown { max_bytes } if total > max_bytes => {
                Some(Problem::TooLong { max_bytes })
            }
            _ => None,
        }
    }

    /// Whether the answer can be put behind what is held.
    fn check_version(&mut self, head: &Head) -> Verdict {
        if self.held == 0 {
            self.version.clone_from(&head.version);
            return Verdict::Fine;
        }
        let is_same = self.version.is_some() && self.version == head.version;
        if is_same || self.want.has_hash {
            // Servers of one site may name one version differently: the hash will tell.
            return Verdict::Fine;
        }
        self.forget();
        if head.status == 200 {
            self.version.clone_from(&head.version);
        }
        Verdict::Anew
    }

    /// Which of the next `n_bytes` of the body are kept.
    pub(super) fn keeps(&self, n_bytes: u64) -> std::ops::Range<u64> {
        let Some(run) = self.run().filter(|run| run.has_head) else {
            return 0..0;
        };
        let from = run.skip.min(n_bytes);
        let room = self.want.extent.max_bytes() - self.held;
        from..from + (n_bytes - from).min(room)
    }

    /// Bytes of the body have come.
    pub(super) fn came(&mut self, n_bytes: u64, now: Millis, progress_bytes: u64) -> Verdict {
        let kept = self.keeps(n_bytes);
        let Stage::Running(run) = &mut self.stage else {
            return Verdict::Fine;
        };
        if !run.has_head {
            return Verdict::Fine;
        }
        run.touched = now;
        run.skip -= kept.start;
        run.brought += kept.end - kept.start;
        self.held += kept.end - kept.start;
        if run.brought >= progress_bytes {
            self.failures = 0;
            self.trouble = None;
        }
        let is_more = kept.end < n_bytes;
        match self.want.extent {
            Extent::Whole { bytes } if is_more => Verdict::Bad(self.wrong_length(bytes + 1)),
            Extent::Unknown { max_bytes } if is_more => {
                Verdict::Bad(Problem::TooLong { max_bytes })
            }
            // What a part's server sends behind it concerns nobody.
            Extent::Part { .. } if is_more => Verdict::Complete,
            _ => Verdict::Fine,
        }
    }

    /// The body is at its end, or the connection failed with `problem`.
    pub(super) fn ended(&self, problem: Option<Problem>) -> Verdict {
        match (self.want.extent.bytes(), problem) {
            // Whatever became of the connection.
            (Some(bytes), _)
                if bytes == self.held && self.run().is_some_and(|run| run.has_head) =>
            {
                Verdict::Complete
            }
            (_, Some(problem)) => Verdict::Bad(problem),
            (Some(expected), None) => Verdict::Bad(Problem::Short {
                expected,
                got: self.held,
            }),
            (None, None) => match (self.run(), self.total) {
                // Shorter than what was held of it.
                (Some(run), _) if run.skip > 0 => Verdict::Bad(Problem::Changed),
                (Some(_), Some(expected)) if self.held < expected => Verdict::Bad(Problem::Short {
                    expected,
                    got: self.held,
                }),
                (Some(run), _) if run.has_head => Verdict::Complete,
                _ => Verdict::Bad(Problem::Short {
                    expected: self.held + 1,
                    got: self.held,
                }),
            },
        }
    }
}
