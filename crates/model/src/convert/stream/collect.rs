//! Cuts the bytes of files, as they pass, into the reads of steps.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::super::{Plan, Step};
use crate::Error;
use crate::source::ByteRange;

/// A place in the source: number of the file, offset in it.
pub(super) type Place = (usize, u64);

/// Which bytes of which step: several reads may be the same bytes, which are then collected once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) step: usize,
    /// Number of the first read with these bytes.
    pub(super) read: usize,
}

/// A run of bytes that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Want {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) slot: Slot,
}

/// Bytes before the place where a conversion goes on, which it needs all the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Early {
    pub(super) range: ByteRange,
    /// Which of them belong where, as offsets in the range and lengths. Of what reaches over the place it is only the front.
    pub(super) parts: Vec<(Want, u64, u64)>,
}

/// What is known about the reads of one step.
#[derive(Debug)]
pub(super) struct Reads {
    /// For each read of the step the first one with the same bytes, and whether no later read is the same.
    pub(super) slots: Vec<(Slot, bool)>,
    /// Slots that are not collected yet.
    n_missing: usize,
    /// Where the last of them ends.
    pub(super) due: Place,
}

/// Collects. Files come one after the other, each in order.
#[derive(Debug)]
pub(super) struct Collector<'p> {
    plan: &'p Plan,
    longest_read: u64,
    /// For each file what is wanted of it, by offset.
    wants: Vec<Vec<Want>>,
    pub(super) steps: Vec<Reads>,
    file: usize,
    offset: u64,
    /// The first want of the file that has not begun.
    next: usize,
    /// Wants that have begun.
    open: Vec<(Want, Vec<u8>)>,
}

impl<'p> Collector<'p> {
    /// A collector for those steps of a plan that are needed, none of which may read more than `longest_read` bytes at once.
    ///
    /// # Errors
    /// If one does, or a read is of no file of the plan.
    pub(super) fn new(
        plan: &'p Plan,
        longest_read: u64,
        is_needed: impl Fn(&Step) -> bool,
    ) -> Result<Collector<'p>, Error> {
        let files: BTreeMap<&str, usize> = (plan.source_files.iter().map(String::as_str))
            .zip(0..)
            .collect();
        let mut wants = vec![Vec::new(); files.len()];
        let mut steps = Vec::new();
        for (index, step) in plan.steps.iter().enumerate() {
            let mut reads = Reads {
                slots: Vec::new(),
                n_missing: 0,
                due: (0, 0),
            };
            if !is_needed(step) {
                steps.push(reads);
                continue;
            }
            // Where the same bytes are read several times: the first time, and the last one so far.
            let mut seen: BTreeMap<(usize, u64, u64), (usize, usize)> = BTreeMap::new();
            for (number, range) in step.reads.iter().enumerate() {
                if range.bytes > longest_read {
                    return Err(too_large(plan, index, range.bytes));
                }
                let file = *files
                    .get(range.file.as_str())
                    .ok_or_else(|| Error::FileMissing {
                        file: range.file.clone(),
                        purpose: "the weights of the checkpoint",
                    })?;
                reads.due = reads
                    .due
                    .max((file, range.offset.saturating_add(range.bytes)));
                let slot = Slot {
                    step: index,
                    read: number,
                };
                match seen.entry((file, range.offset, range.bytes)) {
                    Entry::Vacant(entry) => {
                        entry.insert((number, number));
                        reads.slots.push((slot, true));
                        reads.n_missing += 1;
                        wants[file].push(Want {
                            offset: range.offset,
                            bytes: range.bytes,
                            slot,
                        });
                    }
                    Entry::Occupied(mut entry) => {
                        let (first, last) = entry.get_mut();
                        reads.slots[*last].1 = false;
                        reads.slots.push((
                            Slot {
                                read: *first,
                                ..slot
                            },
                            true,
                        ));
                        *last = number;
                    }
                }
            }
            steps.push(reads);
        }
        wants.iter_mut().for_each(|wants| wants.sort_unstable());
        Ok(Collector {
            plan,
            longest_read,
            wants,
            steps,
            file: 0,
            offset: 0,
            next: 0,
            open: Vec::new(),
        })
    }

    /// Takes out what begins before a place, in the order of the source. Runs with at most `gap_bytes` between them are put
    /// together up to `most_bytes`.
    pub(super) fn split_before(
        &mut self,
        place: Place,
        gap_bytes: u64,
        most_bytes: u64,
    ) -> Vec<Early> {
        let mut early: Vec<Early> = Vec::new();
        for (file, wants) in self.wants.iter_mut().enumerate().take(place.0 + 1) {
            let is_before = |want: &Want| (file, want.offset) < place;
            let name = &self.plan.source_files[file];
            let n_before = wants.partition_point(is_before);
            for want in wants.drain(..n_before) {
                let offset = want.offset;
                let bytes = if file == place.0 {
                    want.bytes.min(place.1 - offset)
                } else {
                    want.bytes
                };
                if let Some(last) = early.last_mut().filter(|last| last.range.file == *name) {
                    let from = offset - last.range.offset;
                    let joined = last.range.bytes.max(from + bytes);
                    if from <= last.range.bytes + gap_bytes && joined <= most_bytes {
                        last.range.bytes = joined;
                        last.parts.push((want, from, bytes));
                        continue;
                    }
                }
                early.push(Early {
                    range: ByteRange {
                        file: name.clone(),
                        offset,
                        bytes,
                    },
                    parts: vec![(want, 0, bytes)],
                });
            }
        }
        early
    }

    /// Goes to a place in a file of this length.
    ///
    /// # Errors
    /// If more is wanted of it than it has.
    pub(super) fn begin_file(
        &mut self,
        file: usize,
        name: &str,
        offset: u64,
        bytes: u64,
    ) -> Result<(), Error> {
        (self.file, self.offset, self.next) = (file, offset, 0);
        let begun = self.open.iter().map(|(want, _)| want);
        let ends = (self.wants[file].iter().chain(begun))
            .map(|want| want.offset.saturating_add(want.bytes));
        match ends.max() {
            Some(end) if end > bytes => Err(Error::FileLength {
                file: name.to_string(),
                expected: format!("at least {end}"),
                got: bytes,
            }),
            _ => Ok(()),
        }
    }

    /// Goes on with a run whose front is there; the rest of it begins where the file goes on.
    pub(super) fn go_on(&mut self, want: Want, mut front: Vec<u8>) {
        front.reserve_exact(want.bytes as usize - front.len());
        self.open.push((want, front));
    }

    /// Runs that have begun, and what is there of them.
    pub(super) fn begun(&self) -> impl Iterator<Item = (Slot, &[u8])> {
        self.open
            .iter()
            .map(|(want, held)| (want.slot, held.as_slice()))
    }

    /// Bytes of runs that have begun.
    pub(super) fn open_bytes(&self) -> u64 {
        self.open.iter().map(|(want, _)| want.bytes).sum()
    }

    /// Takes the next bytes of the file. Returns the runs that are complete now, in the order of their ends.
    ///
    /// # Errors
    /// If runs overlap so much that they would not fit into memory.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<(Slot, Vec<u8>)>, Error> {
        let end = self.offset + bytes.len() as u64;
        let wants = &self.wants[self.file];
        while let Some(want) = wants.get(self.next).filter(|it| it.offset < end) {
            if self.open_bytes() + want.bytes > 2 * self.longest_read {
                return Err(too_large(self.plan, want.slot.step, want.bytes));
            }
            let held = Vec::with_capacity(want.bytes as usize);
            self.open.push((*want, held));
            self.next += 1;
        }
        let start = self.offset;
        for (want, held) in &mut self.open {
            let from = (want.offset + held.len() as u64 - start) as usize;
            let missing = (want.bytes - held.len() as u64) as usize;
            held.extend_from_slice(&bytes[from..bytes.len().min(from + missing)]);
        }
        self.offset = end;
        let is_whole = |(want, held): &mut (Want, Vec<u8>)| held.len() as u64 == want.bytes;
        let mut whole: Vec<(Want, Vec<u8>)> = self.open.extract_if(.., is_whole).collect();
        whole.sort_by_key(|(want, _)| (want.offset + want.bytes, want.slot));
        Ok(whole
            .into_iter()
            .map(|(want, held)| (want.slot, held))
            .collect())
    }

    /// Notes that a run is there. Returns whether its step has all of them now.
    pub(super) fn has_all(&mut self, slot: Slot) -> bool {
        let reads = &mut self.steps[slot.step];
        reads.n_missing -= 1;
        reads.n_missing == 0
    }
}

fn too_large(plan: &Plan, step: usize, bytes: u64) -> Error {
    let tensor = &plan.tensors[plan.steps[step].tensor].name;
    Error::Unsupported {
        found: format!("tensor {tensor}, of which {bytes} bytes are needed at once,"),
        supported: "converting it on a computer with `tern convert`",
    }
}
