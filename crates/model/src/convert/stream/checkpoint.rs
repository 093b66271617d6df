//! How far a streamed conversion was, so that another one can go on there.

use serde::{Deserialize, Serialize};

use super::collect::Place;
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
}

/// Where a conversion begins.
pub(super) struct Start {
    pub(super) files: Vec<FileHash>,
    pub(super) offset: u64,
    pub(super) hasher: Hasher,
    pub(super) shards: Vec<Option<Shard>>,
    pub(super) scales: Vec<Option<f32>>,
    pub(super) tokenizer: Option<FileHash>,
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
            if shard.as_ref().is_some_and(|shard| shard.file == file) {
                *shard = None;
            }
        }
        if self.tokenizer.as_ref().is_some_and(|it| it.file == file) {
            self.tokenizer = None;
        }
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
