//! Puts pieces into shards and, at the end, everything into the manifest.

use std::collections::BTreeMap;

use super::Plan;
use super::step::{PieceBytes, Step, StepOutput};
use crate::hash::hash_bytes;
use crate::manifest::{FileHash, SCHEMA_VERSION, SourceInfo, TextInfo};
use crate::{Encoding, Error, Manifest, Scale, Shard, Tensor};

/// A shard with all its pieces.
#[derive(Debug)]
pub struct FinishedShard {
    /// Index of the shard.
    pub index: u32,
    /// Name, length and hash.
    pub file: Shard,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A shard that still misses pieces.
#[derive(Debug)]
struct OpenShard {
    bytes: Vec<u8>,
    n_missing: usize,
}

/// Collects the results of steps.
#[derive(Debug)]
pub struct Assembler<'p> {
    plan: &'p Plan,
    /// Pieces of each shard.
    n_pieces: Vec<usize>,
    open: BTreeMap<u32, OpenShard>,
    finished: Vec<Option<Shard>>,
    scales: Vec<Option<f32>>,
}

/// File name of a shard.
fn shard_name(index: u32) -> String {
    format!("weights-{index:05}.bin")
}

impl<'p> Assembler<'p> {
    /// An assembler for the results of this plan's steps.
    pub fn new(plan: &'p Plan) -> Assembler<'p> {
        let n_shards = plan.shard_bytes.len();
        let mut n_pieces = vec![0; n_shards];
        for piece in plan.tensors.iter().flat_map(|tensor| &tensor.pieces) {
            n_pieces[piece.shard as usize] += 1;
        }
        let scales = vec![None; plan.tensors.len()];
        Assembler {
            plan,
            n_pieces,
            open: BTreeMap::new(),
            finished: vec![None; n_shards],
            scales,
        }
    }

    /// An assembler that goes on where another one was, with the shards that are stored and the multipliers that were found.
    pub(super) fn go_on(
        plan: &'p Plan,
        finished: Vec<Option<Shard>>,
        scales: Vec<Option<f32>>,
    ) -> Assembler<'p> {
        Assembler {
            finished,
            scales,
            ..Assembler::new(plan)
        }
    }

    /// The finished shards and the multipliers that are known.
    pub(super) fn so_far(&self) -> (&[Option<Shard>], &[Option<f32>]) {
        (&self.finished, &self.scales)
    }

    /// Adds the result of a step, each exactly once, and returns the shards that are whole now.
    ///
    /// # Errors
    /// If a piece does not have the length that the plan gives it.
    pub fn add(&mut self, step: &Step, output: StepOutput) -> Result<Vec<FinishedShard>, Error> {
        self.add_scale(step, output.scale);
        let mut finished = Vec::new();
        for made in output.pieces {
            finished.extend(self.add_piece(step.tensor, &made)?);
        }
        Ok(finished)
    }

    /// Notes the multiplier that a step found.
    pub(super) fn add_scale(&mut self, step: &Step, scale: Option<f32>) {
        if scale.is_some() {
            self.scales[step.tensor] = scale;
        }
    }

    /// Adds one piece of a tensor, each exactly once, and returns its shard if that is whole now. A shard is held from its
    /// first piece on.
    pub(super) fn add_piece(
        &mut self,
        tensor: usize,
        made: &PieceBytes,
    ) -> Result<Option<FinishedShard>, Error> {
        let tensor = &self.plan.tensors[tensor];
        let piece = &tensor.pieces[made.piece];
        if made.bytes.len() as u64 != piece.bytes {
            return Err(Error::PieceLength {
                tensor: tensor.name.clone(),
                first_row: piece.first_row,
                n_rows: piece.n_rows,
                expected: piece.bytes,
                got: made.bytes.len() as u64,
            });
        }
        let shard_bytes = self.plan.shard_bytes[piece.shard as usize] as usize;
        let n_missing = self.n_pieces[piece.shard as usize];
        let new_shard = || OpenShard {
            bytes: vec![0; shard_bytes],
            n_missing,
        };
        let open = self.open.entry(piece.shard).or_insert_with(new_shard);
        let offset = piece.offset as usize;
        open.bytes[offset..offset + made.bytes.len()].copy_from_slice(&made.bytes);
        open.n_missing -= 1;
        Ok(if open.n_missing == 0 {
            self.close(piece.shard)
        } else {
            None
        })
    }

    fn close(&mut self, index: u32) -> Option<FinishedShard> {
        let shard = self.open.remove(&index)?;
        let file = hash_bytes(&shard_name(index), &shard.bytes);
        self.finished[index as usize] = Some(file.clone());
        Some(FinishedShard {
            index,
            file,
            bytes: shard.bytes,
        })
    }

    /// The manifest, when every step's result has been added.
    ///
    /// # Errors
    /// If a shard is not finished.
    pub fn finish(
        self,
        source_files: Vec<FileHash>,
        tokenizer: Option<FileHash>,
    ) -> Result<Manifest, Error> {
        let n_shards = self.finished.len();
        let shards: Vec<Shard> = self.finished.into_iter().flatten().collect();
        if shards.len() != n_shards {
            return Err(Error::Incomplete {
                missing: n_shards - shards.len(),
                shards: n_shards,
            });
        }
        let mut tensors = self.plan.tensors.clone();
        for (tensor, scale) in tensors.iter_mut().zip(self.scales) {
            if let (
                Encoding::Ternary {
                    scale: Scale::Tensor { value },
                },
                Some(scale),
            ) = (&mut tensor.encoding, scale)
            {
                *value = scale;
            }
        }
        let mut text = self.plan.text.clone();
        if let (Some(text), Some(tokenizer)) = (&mut text, tokenizer) {
            text.tokenizer = tokenizer;
        }
        Ok(manifest(self.plan, source_files, text, shards, tensors))
    }
}

impl Plan {
    /// The manifest as far as it is known before anything is converted: all but hashes and multipliers. It says what the model
    /// is and needs; nothing can be loaded with it.
    pub fn preview(&self) -> Manifest {
        let shard = |(index, &bytes): (u32, &u64)| Shard {
            file: shard_name(index),
            bytes,
            sha256: String::new(),
        };
        let shards = (0u32..).zip(&self.shard_bytes).map(shard).collect();
        let (text, tensors) = (self.text.clone(), self.tensors.clone());
        manifest(self, Vec::new(), text, shards, tensors)
    }
}

fn manifest(
    plan: &Plan,
    source_files: Vec<FileHash>,
    text: Option<TextInfo>,
    shards: Vec<Shard>,
    tensors: Vec<Tensor>,
) -> Manifest {
    let mut manifest = Manifest {
        schema: SCHEMA_VERSION,
        name: plan.name.clone(),
        license: plan.license.clone(),
        source: SourceInfo {
            kind: plan.kind.to_string(),
            scale_convention: plan.scale_convention.to_string(),
            files: source_files,
        },
        architecture: plan.architecture.clone(),
        ternary: plan.ternary,
        text,
        memory: Vec::new(),
        shards,
        tensors,
    };
    manifest.memory = manifest.stated_memory_needs();
    manifest
}
