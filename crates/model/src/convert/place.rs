//! Where pieces lie: shards are filled one after the other.

use crate::layout::stored_piece_bytes;
use crate::manifest::MAX_SHARD_BYTES;
use crate::{Encoding, Error, Piece, TernaryLayout};

/// Pieces begin at a multiple of this.
pub(crate) const PIECE_ALIGNMENT: u64 = 16;

/// Fills shards with pieces.
#[derive(Debug)]
pub(crate) struct Placer {
    layout: TernaryLayout,
    /// Bytes used of each shard.
    pub(crate) shard_bytes: Vec<u64>,
}

impl Placer {
    pub(crate) fn new(layout: TernaryLayout) -> Placer {
        Placer {
            layout,
            shard_bytes: vec![0],
        }
    }

    /// Places a tensor in pieces of at most `max_rows` rows (for ternary tensors a multiple of a tile), split where a shard is
    /// full. Ternary pieces begin at whole tiles.
    ///
    /// # Errors
    /// If not even one row (one tile) fits into an empty shard.
    pub(crate) fn place(
        &mut self,
        encoding: &Encoding,
        shape: [u32; 2],
        max_rows: u32,
    ) -> Result<Vec<Piece>, Error> {
        let [n_rows, n_cols] = shape;
        let unit = match encoding {
            Encoding::Ternary { .. } => self.layout.rows_per_tile,
            _ => 1,
        };
        let mut pieces = Vec::new();
        let mut first_row = 0;
        while first_row < n_rows {
            let used = self.shard_bytes.last().copied().unwrap_or(0);
            let offset = used.next_multiple_of(PIECE_ALIGNMENT);
            let most = (n_rows - first_row).min(max_rows);
            let fitting = self.rows_that_fit(
                encoding,
                n_cols,
                unit,
                most,
                MAX_SHARD_BYTES.saturating_sub(offset),
            );
            match fitting {
                Some((n_rows, bytes)) => {
                    let shard = self.shard_bytes.len() as u32 - 1;
                    pieces.push(Piece {
                        shard,
                        offset,
                        bytes,
                        first_row,
                        n_rows,
                    });
                    if let Some(used) = self.shard_bytes.last_mut() {
                        *used = offset + bytes;
                    }
                    first_row += n_rows;
                }
                None if used == 0 => {
                    return Err(Error::Unsupported {
                        found: format!(
                            "a tensor of shape {shape:?}, whose rows do not fit into a shard"
                        ),
                        supported: "rows of at most 131071 values",
                    });
                }
                None => self.shard_bytes.push(0),
            }
        }
        Ok(pieces)
    }

    /// The largest number of rows up to `most` that fits into `room` bytes: all of them, or whole units.
    fn rows_that_fit(
        &self,
        encoding: &Encoding,
        n_cols: u32,
        unit: u32,
        most: u32,
        room: u64,
    ) -> Option<(u32, u64)> {
        let bytes = |n_rows: u32| {
            stored_piece_bytes(&self.layout, encoding, n_cols, n_rows).filter(|&n| n <= room)
        };
        if let Some(all) = bytes(most) {
            return Some((most, all));
        }
        let (mut fits, mut too_many) = (0, most / unit + 1);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            if bytes(middle * unit).is_some() {
                fits = middle;
            } else {
                too_many = middle;
            }
        }
        (fits > 0)
            .then_some(fits * unit)
            .and_then(|n_rows| Some((n_rows, bytes(n_rows)?)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::{Coding, Scale};

    const TERNARY: Encoding = Encoding::Ternary {
        scale: Scale::Tensor { value: 1.0 },
    };

    fn check_pieces(pieces: &[Piece], n_rows: u32, unit: u32) {
        let mut next = 0;
        for piece in pieces {
            assert_eq!(piece.first_row, next);
            assert!(
                piece.first_row.is_multiple_of(unit)
                    && piece.offset.is_multiple_of(PIECE_ALIGNMENT)
            );
            assert!(piece.offset + piece.bytes <= MAX_SHARD_BYTES);
            next += piece.n_rows;
        }
        assert_eq!(next, n_rows);
    }

    #[test]
    fn large_tensors_fill_shards_and_split_at_tiles() {
        for coding in [Coding::B2, Coding::T5] {
            let mut placer = Placer::new(TernaryLayout {
                rows_per_tile: 16,
                coding,
            });
            // 13.25 MiB at 2 bits: more than one shard.
            let first = placer.place(&TERNARY, [14_337, 3_876], u32::MAX).unwrap();
            let second = placer.place(&TERNARY, [14_337, 3_876], u32::MAX).unwrap();
            check_pieces(&first, 14_337, 16);
            check_pieces(&second, 14_337, 16);
            assert_eq!(
                second[0].shard, 1,
                "the second tensor begins where the first one ended"
            );
            // A tile of 16 rows takes 15.6 KB: no full shard wastes more.
            let full = &placer.shard_bytes[..placer.shard_bytes.len() - 1];
            assert!(
                full.iter()
                    .all(|&bytes| bytes > MAX_SHARD_BYTES - 16 * 1024),
                "{full:?}"
            );
        }
    }

    #[test]
    fn vectors_stay_whole_and_rows_keep_to_their_limit() {
        let mut placer = Placer::new(TernaryLayout {
            rows_per_tile: 16,
            coding: Coding::B2,
        });
        assert_eq!(
            placer
                .place(&Encoding::F32, [1, 5], u32::MAX)
                .unwrap()
                .len(),
            1
        );
        let rows = placer.place(&Encoding::Q8, [1000, 64], 300).unwrap();
        check_pieces(&rows, 1000, 1);
        let n_rows: Vec<u32> = rows.iter().map(|piece| piece.n_rows).collect();
        assert_eq!(n_rows, [300, 300, 300, 100]);
        assert_eq!(rows[0].offset, 32, "20 bytes of the vector, then padding");
    }

    #[test]
    fn rows_longer_than_a_shard_are_refused() {
        let mut placer = Placer::new(TernaryLayout {
            rows_per_tile: 16,
            coding: Coding::B2,
        });
        let error = placer
            .place(&Encoding::F32, [1, 3_000_000], u32::MAX)
            .unwrap_err()
            .to_string();
        assert!(error.contains("[1, 3000000]"), "{error}");
    }
}
