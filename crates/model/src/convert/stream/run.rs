//! A streamed conversion at work: bytes of the source in, files of the package out.

use std::collections::BTreeMap;

use super::checkpoint::{Checkpoint, Seen, Start};
use super::collect::{Collector, Place, Slot, Want};
use super::keep::{Keep, Kept};
use super::{PackageStore, StreamLimits, Streamed};
use crate::convert::step::{PieceBytes, Step, StepOutput};
use crate::convert::{Assembler, Plan};
use crate::hash::{Hasher, hash_bytes};
use crate::manifest::{FileHash, MANIFEST_FILE};
use crate::{Error, Piece, Shard};

/// Bytes that are looked at in one go, so that what a step needs is not held twice while more of it comes.
const SLICE_BYTES: usize = 1 << 20;

/// A shard that lacks pieces.
#[derive(Debug, Default)]
struct Waiting {
    /// Its pieces by tensor and number.
    pieces: Vec<(usize, usize)>,
    n_missing: usize,
    /// Where in the source it will be whole.
    due: Place,
}

pub(super) struct Run<'p, 's, K> {
    plan: &'p Plan,
    store: &'s mut K,
    limits: StreamLimits,
    pub(super) collector: Collector<'p>,
    assembler: Assembler<'p>,
    keep: Keep,
    shards: Vec<Waiting>,
    /// What came, as far as shards still lack what is made of it.
    seen: BTreeMap<Slot, Seen>,
    /// Shards that were lost and are made again.
    lost: Vec<Shard>,
    /// The tokenizer while it comes.
    copy: Option<Vec<u8>>,
    tokenizer: Option<FileHash>,
    peak_bytes: u64,
}

impl<'p, 's, K: PackageStore> Run<'p, 's, K> {
    pub(super) fn new(
        plan: &'p Plan,
        store: &'s mut K,
        limits: StreamLimits,
        start: Start,
    ) -> Result<Self, Error> {
        let is_missing = |piece: &Piece| start.shards[piece.shard as usize].is_none();
        let is_needed = |step: &Step| plan.made_by(step).iter().any(is_missing);
        let collector = Collector::new(plan, limits.read_bytes, is_needed)?;
        let mut shards = waiting_shards(plan, &collector);
        for (waiting, _) in (shards.iter_mut().zip(&start.shards)).filter(|(_, it)| it.is_some()) {
            *waiting = Waiting::default();
        }
        Ok(Run {
            plan,
            store,
            limits,
            assembler: Assembler::go_on(plan, start.shards, start.scales),
            keep: Keep::default(),
            shards,
            collector,
            seen: (start.seen.into_iter())
                .map(|seen| (seen.slot(), seen))
                .collect(),
            lost: start.lost,
            copy: None,
            tokenizer: start.tokenizer,
            peak_bytes: 0,
        })
    }

    /// Goes to a place in a file of this length.
    pub(super) fn begin_file(&mut self, file: usize, offset: u64, bytes: u64) -> Result<(), Error> {
        let name = &self.plan.source_files[file];
        self.collector.begin_file(file, name, offset, bytes)?;
        if self.missing_tokenizer() == Some(name) && offset == 0 {
            if bytes > self.limits.header_bytes {
                return Err(super::too_long(name, self.limits.header_bytes, bytes));
            }
            self.copy = Some(Vec::new());
        }
        Ok(())
    }

    /// The file that is copied as the tokenizer, if there is one.
    fn copied_tokenizer(&self) -> Option<&'p String> {
        match (&self.plan.text, &self.plan.tokenizer) {
            (Some(text), None) => Some(&text.tokenizer.file),
            _ => None,
        }
    }

    /// Takes the next bytes of the file, runs the steps that have all their reads now and stores the shards that are whole.
    /// Returns whether there were any.
    pub(super) async fn take(&mut self, bytes: &[u8]) -> Result<bool, K::Error> {
        if let Some(copy) = &mut self.copy {
            copy.extend_from_slice(bytes);
        }
        let mut is_new = false;
        for slice in bytes.chunks(SLICE_BYTES) {
            for (slot, bytes) in self.collector.take(slice)? {
                is_new |= self.give(slot, bytes).await?;
            }
            self.note_peak(0);
        }
        Ok(is_new)
    }

    /// Takes bytes of one read that came before, in an earlier life: all of it, or its front.
    pub(super) async fn give_again(
        &mut self,
        file: &str,
        want: Want,
        bytes: Vec<u8>,
    ) -> Result<bool, K::Error> {
        let seen = self.seen.get(&want.slot);
        if seen.is_some_and(|seen| !seen.is_front_of(&bytes)) {
            return Err(Error::SourceChanged(file.to_string()).into());
        }
        if (bytes.len() as u64) < want.bytes {
            self.collector.go_on(want, bytes);
            return Ok(false);
        }
        self.give(want.slot, bytes).await
    }

    /// Takes the bytes of one read.
    pub(super) async fn give(&mut self, slot: Slot, bytes: Vec<u8>) -> Result<bool, K::Error> {
        self.seen.insert(slot, Seen::new(slot, &bytes));
        let due = self.collector.steps[slot.step].due;
        self.keep.insert(Kept::Read(slot), due, bytes);
        let mut is_new = false;
        if self.collector.has_all(slot) {
            is_new = self.run_step(slot.step).await?;
        }
        self.note_peak(0);
        let limit = self.limits.waiting_bytes;
        self.keep.shrink(self.store, limit).await?;
        Ok(is_new)
    }

    async fn run_step(&mut self, index: usize) -> Result<bool, K::Error> {
        let plan = self.plan;
        let step = &plan.steps[index];
        let result_bytes: u64 = plan.made_by(step).iter().map(|piece| piece.bytes).sum();
        let longest_read = step.reads.iter().map(|range| range.bytes).max();
        self.note_peak(result_bytes + longest_read.unwrap_or(0));
        let mut run = step.start();
        for number in 0..step.reads.len() {
            let (slot, is_last) = self.collector.steps[index].slots[number];
            let what = Kept::Read(slot);
            run.push(self.keep.get(self.store, what, is_last).await?)?;
        }
        let StepOutput { scale, pieces } = run.finish()?;
        self.assembler.add_scale(step, scale);
        let mut is_new = false;
        for PieceBytes { piece, bytes } in pieces {
            let shard = plan.tensors[step.tensor].pieces[piece].shard as usize;
            let waiting = &mut self.shards[shard];
            if waiting.n_missing == 0 {
                // Its shard was stored before; the step runs for another one.
                continue;
            }
            waiting.n_missing -= 1;
            let (is_whole, due) = (waiting.n_missing == 0, waiting.due);
            self.keep
                .insert(Kept::Piece(step.tensor, piece), due, bytes);
            if is_whole {
                self.close_shard(shard).await?;
                is_new = true;
            }
        }
        Ok(is_new)
    }

    /// Puts a shard together and stores it.
    async fn close_shard(&mut self, shard: usize) -> Result<(), K::Error> {
        for (tensor, piece) in std::mem::take(&mut self.shards[shard].pieces) {
            let what = Kept::Piece(tensor, piece);
            let bytes = self.keep.get(self.store, what, true).await?;
            self.note_peak(self.plan.shard_bytes[shard] + bytes.len() as u64);
            let made = PieceBytes { piece, bytes };
            if let Some(whole) = self.assembler.add_piece(tensor, &made)? {
                let lost = (self.lost.iter()).find(|lost| lost.file == whole.file.file);
                if let Some(lost) = lost.filter(|lost| lost.sha256 != whole.file.sha256) {
                    return Err(Error::FileHash {
                        file: lost.file.clone(),
                        expected: lost.sha256.clone(),
                        got: whole.file.sha256,
                    }
                    .into());
                }
                self.store.put_shard(whole).await?;
            }
        }
        Ok(())
    }

    /// Tells the store how far this is.
    pub(super) async fn note(
        &mut self,
        files: &[FileHash],
        offset: u64,
        hasher: &Hasher,
    ) -> Result<(), K::Error> {
        let (shards, scales) = self.assembler.so_far();
        let tokenizer = self.tokenizer.as_ref();
        let plan = self.plan;
        let mut checkpoint =
            Checkpoint::new(plan, files, offset, hasher, shards, scales, tokenizer);
        let is_missing = |piece: &Piece| self.shards[piece.shard as usize].n_missing > 0;
        self.seen.retain(|slot, _| {
            let step = plan.steps.get(slot.step);
            step.is_some_and(|step| plan.made_by(step).iter().any(is_missing))
        });
        let mut seen = self.seen.clone();
        let begun = self.collector.begun();
        seen.extend(begun.map(|(slot, front)| (slot, Seen::new(slot, front))));
        checkpoint.seen = seen.into_values().collect();
        let is_stored = |lost: &Shard| checkpoint.stored().any(|shard| shard.file == lost.file);
        self.lost.retain(|lost| !is_stored(lost));
        checkpoint.lost = self.lost.clone();
        self.store.note(checkpoint).await
    }

    /// `working_bytes` are held besides what waits.
    fn note_peak(&mut self, working_bytes: u64) {
        let copy = self.copy.as_ref().map_or(0, Vec::len) as u64;
        let waiting = self.keep.here_bytes() + self.collector.open_bytes() + copy;
        self.peak_bytes = self.peak_bytes.max(waiting + working_bytes);
    }

    /// The file has come whole and is what it should be.
    pub(super) async fn end_file(&mut self, hash: &FileHash) -> Result<(), K::Error> {
        match self.copy.take() {
            Some(bytes) => self.put_tokenizer(hash.clone(), bytes).await,
            None => Ok(()),
        }
    }

    /// The tokenizer that must be read besides, because the source does not list it among its files.
    pub(super) fn missing_tokenizer(&self) -> Option<&'p String> {
        self.copied_tokenizer().filter(|_| self.tokenizer.is_none())
    }

    pub(super) async fn put_tokenizer(
        &mut self,
        hash: FileHash,
        bytes: Vec<u8>,
    ) -> Result<(), K::Error> {
        self.tokenizer = Some(hash.clone());
        self.store.put_file(&hash, bytes).await
    }

    /// Everything has come: writes the manifest.
    pub(super) async fn finish(mut self, files: Vec<FileHash>) -> Result<Streamed, K::Error> {
        if let (Some(text), Some(made)) = (&self.plan.text, &self.plan.tokenizer) {
            let hash = hash_bytes(&text.tokenizer.file, made);
            self.put_tokenizer(hash, made.clone()).await?;
        }
        let manifest = self.assembler.finish(files, self.tokenizer)?;
        manifest.validate()?;
        let json = manifest.to_json();
        let hash = hash_bytes(MANIFEST_FILE, &json);
        self.store.put_file(&hash, json).await?;
        Ok(Streamed {
            manifest,
            peak_bytes: self.peak_bytes,
            aside_bytes: self.keep.aside_bytes(),
        })
    }
}

/// The pieces of each shard, and where in the source the last of them can be made.
fn waiting_shards(plan: &Plan, collector: &Collector<'_>) -> Vec<Waiting> {
    let mut shards: Vec<Waiting> = Vec::new();
    shards.resize_with(plan.shard_bytes.len(), Waiting::default);
    for (tensor, made) in plan.tensors.iter().enumerate() {
        for (number, piece) in made.pieces.iter().enumerate() {
            let shard = &mut shards[piece.shard as usize];
            shard.pieces.push((tensor, number));
            shard.n_missing += 1;
        }
    }
    for (step, reads) in plan.steps.iter().zip(&collector.steps) {
        for piece in plan.made_by(step) {
            let shard = &mut shards[piece.shard as usize];
            shard.due = shard.due.max(reads.due);
        }
    }
    shards
}
