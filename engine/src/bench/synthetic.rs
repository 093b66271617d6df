//! Models of published shapes with pseudo-random weights, made shard by shard: speed does not depend on the weights' values.

pub use super::shapes::{SHAPES, architecture};

use crate::Error;
use model::architecture::Role;
use model::layout::{gpu_row_bytes, scales_per_row, stored_piece_bytes};
use model::manifest::{MAX_SHARD_BYTES, SCHEMA_VERSION, SourceInfo};
use model::{Architecture, Coding, Encoding, Manifest, Piece, Scale, Shard, Tensor, TernaryLayout};

/// A model that exists only as a rule: its manifest, and its shards on demand.
#[derive(Debug, Clone)]
pub struct Synthetic {
    manifest: Manifest,
    seed: u64,
}

impl Synthetic {
    /// A model of the given architecture with `rows` as the encoding of embedding and head.
    ///
    /// # Errors
    /// [`Error::Model`] when the architecture is impossible, [`Error::Package`] when a row is larger than a shard.
    pub fn new(
        name: &str,
        architecture: Architecture,
        rows: Encoding,
        rows_per_tile: u32,
        seed: u64,
    ) -> Result<Self, Error> {
        architecture.validate("architecture.")?;
        let ternary = TernaryLayout {
            rows_per_tile,
            coding: Coding::B2,
        };
        let mut placer = Placer {
            layout: ternary,
            shard_bytes: vec![0],
        };
        let tensors = architecture
            .tensors()
            .into_iter()
            .map(|spec| {
                let encoding = match spec.role {
                    // Keeps products of normalised activations near 1: half of the codes are not zero.
                    Role::Projection => Encoding::Ternary {
                        scale: Scale::Tensor {
                            value: (2.0 / spec.shape[1] as f32).sqrt(),
                        },
                    },
                    Role::Norm => Encoding::F32,
                    Role::Rows => rows,
                };
                let pieces = placer.place(&spec.name, &encoding, spec.shape)?;
                Ok(Tensor {
                    name: spec.name,
                    shape: spec.shape,
                    encoding,
                    pieces,
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let shards = placer
            .shard_bytes
            .iter()
            .enumerate()
            .map(|(n, bytes)| Shard {
                file: format!("synthetic-{n:05}"),
                bytes: *bytes,
                // The shards are never stored, so nobody can check a hash; the field must hold one.
                sha256: "0".repeat(64),
            });
        let mut manifest = Manifest {
            schema: SCHEMA_VERSION,
            name: name.to_owned(),
            license: None,
            source: SourceInfo {
                kind: "synthetic".to_owned(),
                scale_convention: "multiply".to_owned(),
                files: Vec::new(),
            },
            architecture,
            ternary,
            text: None,
            memory: Vec::new(),
            shards: shards.collect(),
            tensors,
        };
        manifest.memory = manifest
            .architecture
            .stated_contexts()
            .into_iter()
            .map(|context| manifest.memory_need(context))
            .collect();
        manifest.validate()?;
        Ok(Self { manifest, seed })
    }

    /// The description that a loader needs.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of one shard; empty for an index beyond the last.
    #[must_use]
    pub fn shard(&self, index: u32) -> Vec<u8> {
        let Some(shard) = self.manifest.shards.get(index as usize) else {
            return Vec::new();
        };
        let mut bytes = vec![0; usize::try_from(shard.bytes).expect("a shard is at most 8 MiB")];
        let mut random =
            Random::new(self.seed ^ (u64::from(index) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for tensor in &self.manifest.tensors {
            for piece in tensor.pieces.iter().filter(|piece| piece.shard == index) {
                let at = usize::try_from(piece.offset).expect("a shard is at most 8 MiB");
                let len = usize::try_from(piece.bytes).expect("a shard is at most 8 MiB");
                self.fill(tensor, piece, &mut bytes[at..at + len], &mut random);
            }
        }
        bytes
    }

    fn fill(&self, tensor: &Tensor, piece: &Piece, bytes: &mut [u8], random: &mut Random) {
        let n_cols = tensor.shape[1] as usize;
        let row_bytes = gpu_row_bytes(&tensor.encoding, n_cols);
        let code_bytes = row_bytes * piece.n_rows as usize;
        match tensor.encoding {
            Encoding::Ternary { .. } => {
                random.fill_codes(bytes);
                self.pad_codes(tensor, piece, bytes);
            }
            Encoding::F32 => {
                for value in bytes.chunks_exact_mut(4) {
                    value.copy_from_slice(&random.range(0.5, 1.5).to_le_bytes());
                }
            }
            Encoding::F16 => {
                for row in bytes.chunks_exact_mut(row_bytes) {
                    for value in row[..n_cols * 2].chunks_exact_mut(2) {
                        value.copy_from_slice(
                            &half::f16::from_f32(random.range(-1.0, 1.0)).to_le_bytes(),
                        );
                    }
                }
            }
            Encoding::Q8 => {
                let (codes, scales) = bytes.split_at_mut(code_bytes);
                for row in codes.chunks_exact_mut(row_bytes) {
                    random.fill(&mut row[..n_cols]);
                    // -128 is no code.
                    row.iter_mut()
                        .filter(|code| **code == 0x80)
                        .for_each(|code| *code = 0);
                }
                for scale in scales.chunks_exact_mut(4) {
                    scale.copy_from_slice(&(1.0_f32 / 127.0).to_le_bytes());
                }
            }
            Encoding::Q6 { .. } | Encoding::Q4 { .. } => {
                let (codes, scales) = bytes.split_at_mut(code_bytes);
                random.fill(codes);
                debug_assert_eq!(
                    scales.len(),
                    scales_per_row(&tensor.encoding, n_cols) * piece.n_rows as usize * 2
                );
                for scale in scales.chunks_exact_mut(2) {
                    scale.copy_from_slice(&half::f16::from_f32(1.0 / 32.0).to_le_bytes());
                }
            }
        }
    }

    /// Code 1 in every padding column and row: the format demands it.
    fn pad_codes(&self, tensor: &Tensor, piece: &Piece, tiles: &mut [u8]) {
        const ONES: u8 = 0x55;
        let tile = self.manifest.ternary.rows_per_tile as usize;
        let (n_rows, n_cols) = (piece.n_rows as usize, tensor.shape[1] as usize);
        let n_quads = n_cols.div_ceil(64);
        for (quad_idx, quad) in tiles.chunks_exact_mut(16).enumerate() {
            let row = quad_idx / (n_quads * tile) * tile + quad_idx % tile;
            let first_col = quad_idx / tile % n_quads * 64;
            if row >= n_rows {
                quad.fill(ONES);
            } else if first_col + 64 > n_cols {
                for e in n_cols - first_col..64 {
                    // Element e of a word lies at bits 8 * (e % 4) + 2 * (e / 4), so in byte e % 4.
                    let byte = &mut quad[e / 16 * 4 + e % 4];
                    let shift = e % 16 / 4 * 2;
                    *byte = *byte & !(3 << shift) | 1 << shift;
                }
            }
        }
    }
}

/// Fills shards with pieces, one after the other.
struct Placer {
    layout: TernaryLayout,
    shard_bytes: Vec<u64>,
}

impl Placer {
    fn place(
        &mut self,
        name: &str,
        encoding: &Encoding,
        shape: [u32; 2],
    ) -> Result<Vec<Piece>, Error> {
        let [n_rows, n_cols] = shape;
        let unit = if matches!(encoding, Encoding::Ternary { .. }) {
            self.layout.rows_per_tile
        } else {
            1
        };
        let too_large = || Error::Package {
            what: format!("a row of {name} is larger than a shard"),
        };
        let bytes_of =
            |rows| stored_piece_bytes(&self.layout, encoding, n_cols, rows).ok_or_else(too_large);
        let unit_bytes = bytes_of(unit)?;
        let mut pieces = Vec::new();
        let mut first_row = 0;
        while first_row < n_rows {
            let used = self
                .shard_bytes
                .last()
                .copied()
                .unwrap_or(0)
                .next_multiple_of(16);
            let units = u32::try_from(MAX_SHARD_BYTES.saturating_sub(used) / unit_bytes)
                .unwrap_or(u32::MAX);
            let rows = units.saturating_mul(unit).min(n_rows - first_row);
            if rows == 0 {
                if used == 0 {
                    return Err(too_large());
                }
                self.shard_bytes.push(0);
                continue;
            }
            let shard = u32::try_from(self.shard_bytes.len() - 1).unwrap_or(u32::MAX);
            let bytes = bytes_of(rows)?;
            pieces.push(Piece {
                shard,
                offset: used,
                bytes,
                first_row,
                n_rows: rows,
            });
            if let Some(last) = self.shard_bytes.last_mut() {
                *last = used + bytes;
            }
            first_row += rows;
        }
        Ok(pieces)
    }
}

/// Xorshift with a multiplicative output (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    /// Any seed will do.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * ((self.next() >> 40) as f32 / (1_u64 << 24) as f32)
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    /// Codes 0, 1 and 2; where the dice show 3, the code is 1.
    pub(super) fn fill_codes(&mut self, bytes: &mut [u8]) {
        self.fill(bytes);
        for byte in bytes {
            let three = *byte & (*byte >> 1) & 0x55;
            *byte ^= three << 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use model::layout::decode_piece;

    #[test]
    fn every_shape_has_a_valid_manifest_of_its_published_size() {
        for shape in SHAPES {
            let synthetic =
                Synthetic::new(shape, architecture(shape).unwrap(), Encoding::Q8, 8, 1).unwrap();
            assert!(
                synthetic
                    .manifest()
                    .shards
                    .iter()
                    .all(|shard| shard.bytes <= MAX_SHARD_BYTES),
                "{shape}"
            );
        }
        let bitnet =
            Synthetic::new("2b-4t", architecture("2b-4t").unwrap(), Encoding::Q8, 8, 1).unwrap();
        // 521,011,200 bytes of codes, 328,335,360 of int8 rows with 128,256 f32 scales, 440,320 f32 norm values.
        assert_eq!(
            bitnet.manifest().weight_bytes(),
            521_011_200 + 328_335_360 + 4 * 128_256 + 4 * 440_320
        );
        assert!(architecture("unknown").is_none());
    }

    #[test]
    fn every_piece_decodes_and_shards_repeat() {
        // Widths that are no multiple of 64 and rows that are no multiple of a tile.
        let odd = Architecture {
            hidden: 200,
            ffn: 500,
            head_dim: 36,
            ..architecture("tiny").unwrap()
        };
        for rows in [
            Encoding::F16,
            Encoding::Q8,
            Encoding::Q6 { group: 32 },
            Encoding::Q4 { group: 32 },
        ] {
            for tile in [1, 8, 64] {
                let synthetic = Synthetic::new("odd", odd.clone(), rows, tile, 7).unwrap();
                let manifest = synthetic.manifest();
                for tensor in &manifest.tensors {
                    for piece in &tensor.pieces {
                        let shard = synthetic.shard(piece.shard);
                        decode_piece(&manifest.ternary, tensor, piece, &shard).unwrap();
                    }
                }
                assert_eq!(synthetic.shard(0), synthetic.shard(0));
            }
        }
    }
}
