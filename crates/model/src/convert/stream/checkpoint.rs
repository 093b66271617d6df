//! How far a streamed conversion was, so that another one can go on there.

use serde::{Deserialize, Serialize};

use super::collect::{Place, Slot};
use crate::Shard;
use crate::convert::Plan;
use crate::hash::Hasher;
use crate::manifest::FileHash;

/// What a conversion has done: which shards are stored, and how much of the source was hashed on the way. What waits in
/// between is not part of it; it is read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Hash over the plan: another plan makes other shards.
    plan: String,
    /// Files of the source that have come whole, in the order of the plan.
    files: Vec<FileHash>,
    /// Bytes of the next file that have come.
    offset: u64,
    /// The hash of these bytes, unfinished.
    hash: String,
    /// The shards that are stored.
    shards: Vec<Option<Shard>>,
    /// The multipliers that were found, by tensor.
    scales: Vec<Option<f32>>,
    /// The tokenizer, if it is stored.
    tokenizer: Option<FileHash>,
    /// What came and has to be read again, because what is made of it is not stored: no hash of a file would notice if other
    /// bytes came then.
    #[serde(default)]
    pub(super) seen: Vec<Seen>,
    /// Shards that were stored and were lost since: they are known.
    #[serde(default)]
    pub(super) lost: Vec<Shard>,
}

/// Bytes of the source that came, as a number that other bytes would hardly have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// For which read of which step.
    step: usize,
    read: usize,
    /// How many there were from its beginning on.
    bytes: u64,
    print: u64,
}

impl Seen {
    pub(super) fn new(slot: Slot, bytes: &[u8]) -> Seen {
        Seen {
            step: slot.step,
            read: slot.read,
            bytes: bytes.len() as u64,
            print: fingerprint_of_bytes(bytes),
        }
    }

    pub(super) fn slot(&self) -> Slot {
        Slot {
            step: self.step,
            read: self.read,
        }
    }

    /// Whether these begin with the bytes that came; fewer prove nothing.
    pub(super) fn is_front_of(&self, bytes: &[u8]) -> bool {
        let front = usize::try_from(self.bytes).ok();
        let front = front.and_then(|n_bytes| bytes.get(..n_bytes));
        front.is_none_or(|front| fingerprint_of_bytes(front) == self.print)
    }
}

/// Against mistakes, not against somebody who wants to deceive, and fast: every byte of a checkpoint goes through it.
fn fingerprint_of_bytes(bytes: &[u8]) -> u64 {
    let mix = |state: u64, word: u64| {
        let mixed = (state ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
        mixed ^ mixed >> 32
    };
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(bytes.len() as u64, mix)
}

/// Where a conversion begins.
pub(super) struct Start {
    pub(super) files: Vec<FileHash>,
    pub(super) offset: u64,
    pub(super) hasher: Hasher,
    pub(super) shards: Vec<Option<Shard>>,
    pub(super) scales: Vec<Option<f32>>,
    pub(super) tokenizer: Option<FileHash>,
    pub(super) seen: Vec<Seen>,
    pub(super) lost: Vec<Shard>,
}

impl Start {
    /// At the beginning.
    pub(super) fn fresh(plan: &Plan) -> Start {
        Start {
            files: Vec::new(),
            offset: 0,
            hasher: Hasher::default(),
            shards: vec![None; plan.shard_bytes.len()],
            scales: vec![None; plan.tensors.len()],
            tokenizer: None,
            seen: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// Before this everything was hashed.
    pub(super) fn place(&self) -> Place {
        (self.files.len(), self.offset)
    }
}

impl Checkpoint {
    pub(super) fn new(
        plan: &Plan,
        files: &[FileHash],
        offset: u64,
        hasher: &Hasher,
        shards: &[Option<Shard>],
        scales: &[Option<f32>],
        tokenizer: Option<&FileHash>,
    ) -> Checkpoint {
        Checkpoint {
            plan: fingerprint(plan),
            files: files.to_vec(),
            offset,
            hash: hasher.save(),
            shards: shards.to_vec(),
            scales: scales.to_vec(),
            tokenizer: tokenizer.cloned(),
            seen: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// The shards and the tokenizer that are stored, as far as this knows.
    pub fn stored(&self) -> impl Iterator<Item = &FileHash> {
        self.shards.iter().flatten().chain(&self.tokenizer)
    }

    /// Bytes of the source that have come.
    pub fn source_bytes(&self) -> u64 {
        let whole = self.files.iter().map(|file| file.bytes);
        whole.fold(self.offset, u64::saturating_add)
    }

    /// Forgets a file that is not stored after all, so that it is made again from the bytes that it needs.
    pub fn forget(&mut self, file: &str) {
        for shard in &mut self.shards {
            self.lost.extend(shard.take_if(|shard| shard.file == file));
        }
        if self.tokenizer.as_ref().is_some_and(|it| it.file == file) {
            self.tokenizer = None;
        }
    }

    /// Whether the conversion of `plan`, whose source files have these lengths, can go on here.
    pub fn fits(&self, plan: &Plan, lengths: &[u64]) -> bool {
        self.start(plan, lengths).is_some()
    }

    /// Where the conversion of `plan`, whose source files have these lengths, goes on. `None` if this is of another plan, or
    /// damaged.
    pub(super) fn start(&self, plan: &Plan, lengths: &[u64]) -> Option<Start> {
        let is_same = self.plan == fingerprint(plan)
            && self.files.len() <= lengths.len()
            && self.shards.len() == plan.shard_bytes.len()
            && self.scales.len() == plan.tensors.len();
        let hasher = Hasher::restore(&self.hash).filter(|_| is_same)?;
        let fits = |(file, (name, &bytes)): (&FileHash, (&String, &u64))| {
            file.file == *name && file.bytes == bytes
        };
        let expected = plan.source_files.iter().zip(lengths);
        let is_long = |(shard, &bytes): (&Option<Shard>, &u64)| {
            shard.as_ref().is_none_or(|shard| shard.bytes == bytes)
        };
        let left = lengths.get(self.files.len()).copied().unwrap_or(0);
        let is_whole = self.files.iter().zip(expected).all(fits)
            && self.shards.iter().zip(&plan.shard_bytes).all(is_long)
            && self.offset <= left;
        is_whole.then(|| Start {
            files: self.files.clone(),
            offset: self.offset,
            hasher,
            shards: self.shards.clone(),
            scales: self.scales.clone(),
            tokenizer: self.tokenizer.clone(),
            seen: self.seen.clone(),
            lost: self.lost.clone(),
        })
    }
}

/// A hash over what decides the bytes of the shards, as far as it is not in the source's own bytes.
fn fingerprint(plan: &Plan) -> String {
    let mut hasher = Hasher::default();
    let mut add = |part: &dyn std::fmt::Debug| hasher.update(format!("{part:?};").as_bytes());
    add(&plan.architecture);
    add(&plan.ternary);
    add(&plan.source_files);
    add(&plan.shard_bytes);
    for tensor in &plan.tensors {
        add(tensor);
    }
    for step in &plan.steps {
        add(&(step.tensor, step.first_piece, &step.reads));
    }
    hasher.finish()
}
