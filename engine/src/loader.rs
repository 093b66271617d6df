//! From shards to weight buffers, one shard at a time.

use crate::Error;
use crate::exec::{Compiling, Executor, PendingFlush};
use crate::plan::Plan;
use crate::session::{Session, SessionConfig};
use crate::weights::{Allocator, Target, Weights};
use model::layout::{DecodedPiece, decode_piece};
use model::{Manifest, Piece, Tensor};
use std::collections::HashMap;

/// Each time this many bytes were written, those before them are waited for. Twice as many, and two shards, are in a browser's
/// staging memory at most, and it is busy with these while more are read. (A native device is waited for as a whole.)
pub(crate) const FLUSH_BYTES: u64 = 32 * 1024 * 1024;

/// Takes the shards of a package and becomes a [`Session`].
#[derive(Debug)]
pub struct ModelLoader {
    executor: Executor,
    manifest: Manifest,
    config: SessionConfig,
    weights: Weights,
    targets: HashMap<String, Target>,
    /// For each shard, the (tensor, piece) indices it holds; taken when the shard was pushed.
    pieces_of: Vec<Option<Vec<(usize, usize)>>>,
    unflushed_bytes: u64,
    /// The writes before these.
    flush: PendingFlush,
    /// The kernels, which the device compiles while the shards come.
    kernels: Compiling,
}

impl ModelLoader {
    /// Validates the manifest, makes all weight buffers and has the kernels compiled.
    ///
    /// # Errors
    /// [`Error::Model`] for an invalid manifest, [`Error::Package`] for a model this engine cannot run, [`Error::Limit`]
    /// when the adapter is too small, [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub fn new(
        mut executor: Executor,
        manifest: &Manifest,
        config: &SessionConfig,
    ) -> Result<Self, Error> {
        manifest.validate()?;
        let mut pieces_of: Vec<Vec<(usize, usize)>> = vec![Vec::new(); manifest.shards.len()];
        for (t, tensor) in manifest.tensors.iter().enumerate() {
            for (p, piece) in tensor.pieces.iter().enumerate() {
                pieces_of[piece.shard as usize].push((t, p));
            }
        }
        let (weights, targets) = Allocator::new(&mut executor, manifest).allocate()?;
        let kernels = Plan::compile(&mut executor, manifest, &weights, config)?;
        Ok(Self {
            executor,
            manifest: manifest.clone(),
            config: config.clone(),
            weights,
            targets,
            pieces_of: pieces_of.into_iter().map(Some).collect(),
            unflushed_bytes: 0,
            flush: PendingFlush::default(),
            kernels,
        })
    }

    /// Decodes and uploads one shard. Shards come in any order, each once; the caller has checked the hash.
    ///
    /// # Errors
    /// [`Error::Package`] for an unknown or repeated shard, [`Error::Model`] for damaged contents, [`Error::DeviceLost`].
    pub async fn push_shard(&mut self, index: u32, bytes: &[u8]) -> Result<(), Error> {
        let pieces = self
            .pieces_of
            .get_mut(index as usize)
            .and_then(Option::take)
            .ok_or_else(|| Error::Package {
                what: format!("shard {index} does not exist or came twice"),
            })?;
        for (t, p) in pieces {
            let tensor = &self.manifest.tensors[t];
            let piece = &tensor.pieces[p];
            let decoded = decode_piece(&self.manifest.ternary, tensor, piece, bytes)?;
            let tile = self.manifest.ternary.rows_per_tile;
            if let Some(target) = self.targets.get(&tensor.name) {
                self.unflushed_bytes +=
                    upload(&mut self.executor, target, tensor, piece, decoded, tile)?;
            }
        }
        if self.unflushed_bytes >= FLUSH_BYTES {
            self.unflushed_bytes = 0;
            let next = self.executor.begin_flush();
            let before = std::mem::replace(&mut self.flush, next);
            self.executor.finish_flush(before).await?;
        }
        Ok(())
    }

    /// Makes the session once every shard was pushed.
    ///
    /// # Errors
    /// [`Error::Package`] when a shard is missing, and everything that making buffers and kernels can give.
    pub async fn finish(mut self) -> Result<Session, Error> {
        if let Some(missing) = self.pieces_of.iter().position(Option::is_some) {
            return Err(Error::Package {
                what: format!("shard {missing} was never loaded"),
            });
        }
        self.executor.flush().await?;
        self.executor.compiled(self.kernels).await?;
        let weight_bytes = self.executor.allocated_bytes();
        let plan = Plan::build(
            &mut self.executor,
            &self.manifest,
            &self.weights,
            &self.config,
        )
        .await?;
        Ok(Session::new(self.executor, plan, weight_bytes))
    }

    /// Gives the executor back, for example to load another model after a failure.
    #[must_use]
    pub fn into_executor(self) -> Executor {
        self.executor
    }
}

/// Writes one decoded piece to its place; returns the bytes written.
fn upload(
    executor: &mut Executor,
    target: &Target,
    tensor: &Tensor,
    piece: &Piece,
    decoded: DecodedPiece<'_>,
    tile: u32,
) -> Result<u64, Error> {
    let mismatch = || Error::Package {
        what: format!("tensor {} has an unexpected encoding", tensor.name),
    };
    let first = u64::from(piece.first_row);
    match (target, decoded) {
        (
            Target::Ternary {
                matrix,
                row_offset,
                value,
            },
            DecodedPiece::Ternary { words, .. },
        ) => {
            let row = u64::from(*row_offset) + first;
            executor.write(matrix.w, row * u64::from(matrix.k_padded) / 4, &words)?;
            let rows = piece.n_rows.next_multiple_of(tile) as usize;
            // Padding rows hold code 1 everywhere, so their product is 0 whatever the multiplier.
            executor.write(
                matrix.gamma,
                row * 4,
                bytemuck::cast_slice(&vec![*value; rows]),
            )?;
            Ok(words.len() as u64)
        }
        (
            Target::Rows {
                table,
                row_bytes,
                scales_per_row,
            },
            DecodedPiece::Rows { codes, scales },
        ) => {
            let last = first + u64::from(piece.n_rows);
            for part in &table.parts {
                let from = first.max(u64::from(part.first_row));
                let to = last.min(u64::from(part.first_row) + u64::from(part.n_rows));
                if from >= to {
                    continue;
                }
                let at = from - u64::from(part.first_row);
                let bytes = range((from - first) * row_bytes, (to - first) * row_bytes);
                executor.write(part.table, at * row_bytes, &codes[bytes])?;
                if *scales_per_row > 0 {
                    let values = range(
                        (from - first) * scales_per_row,
                        (to - first) * scales_per_row,
                    );
                    executor.write(
                        part.scales,
                        at * scales_per_row * 4,
                        bytemuck::cast_slice(&scales[values]),
                    )?;
                }
            }
            Ok(codes.len() as u64)
        }
        (Target::Vector(buffer), DecodedPiece::F32(values)) => {
            let at = first * u64::from(tensor.shape[1]) * 4;
            executor.write(*buffer, at, bytemuck::cast_slice(&values))?;
            Ok(values.len() as u64 * 4)
        }
        _ => Err(mismatch()),
    }
}

fn range(from: u64, to: u64) -> std::ops::Range<usize> {
    usize::try_from(from).expect("within a decoded piece")
        ..usize::try_from(to).expect("within a decoded piece")
}
