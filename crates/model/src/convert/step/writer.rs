//! Codes of rows into the pieces of a ternary tensor, a chunk at a time.

use std::borrow::Cow;

use super::PieceBytes;
use crate::checkpoint::RowOrder;
use crate::layout::{encode_t5, pack_b2};
use crate::{Coding, Piece, TernaryLayout};

/// Rows that are worked on at once, all of one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Index among the pieces.
    pub(crate) piece: usize,
    pub(crate) first_row: u32,
    pub(crate) n_rows: u32,
}

/// Cuts pieces into chunks of at most `max_rows` rows, or of the smallest number that can be joined in both codings: whole
/// tiles, and whole bytes of five codes.
pub(crate) fn chunks(pieces: &[Piece], layout: TernaryLayout, max_rows: u64) -> Vec<Chunk> {
    let unit = layout.rows_per_tile * 5;
    let rows = (max_rows / u64::from(unit)).clamp(1, u64::from(u32::MAX / unit)) as u32 * unit;
    let mut chunks = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let mut done = 0;
        while done < piece.n_rows {
            let n_rows = rows.min(piece.n_rows - done);
            chunks.push(Chunk {
                piece: index,
                first_row: piece.first_row + done,
                n_rows,
            });
            done += n_rows;
        }
    }
    chunks
}

/// Collects the codes of chunks in their order.
#[derive(Debug)]
pub(crate) struct PieceWriter<'s> {
    layout: TernaryLayout,
    n_cols: usize,
    pieces: &'s [Piece],
    first_piece: usize,
    done: Vec<PieceBytes>,
}

impl<'s> PieceWriter<'s> {
    pub(crate) fn new(
        layout: TernaryLayout,
        n_cols: u32,
        pieces: &'s [Piece],
        first_piece: usize,
    ) -> PieceWriter<'s> {
        PieceWriter {
            layout,
            n_cols: n_cols as usize,
            pieces,
            first_piece,
            done: Vec::new(),
        }
    }

    /// Adds the codes `[n_rows, n_cols]` of a chunk.
    pub(crate) fn push(&mut self, chunk: &Chunk, codes: &[u8]) {
        while self.done.len() <= chunk.piece {
            let piece = self.done.len();
            self.done.push(PieceBytes {
                piece: self.first_piece + piece,
                bytes: Vec::with_capacity(self.pieces[piece].bytes as usize),
            });
        }
        let bytes = &mut self.done[chunk.piece].bytes;
        match self.layout.coding {
            Coding::B2 => bytes.extend(pack_b2(
                codes,
                chunk.n_rows as usize,
                self.n_cols,
                self.layout.rows_per_tile as usize,
            )),
            Coding::T5 => bytes.extend(encode_t5(codes)),
        }
    }

    pub(crate) fn finish(self) -> Vec<PieceBytes> {
        self.done
    }
}

/// The rows of a chunk in the order of the package, out of codes that begin with the first row of the source that the chunk
/// needs.
pub(super) fn reorder<'a>(
    codes: &'a [u8],
    n_cols: usize,
    order: RowOrder,
    chunk: &Chunk,
) -> Cow<'a, [u8]> {
    if order == RowOrder::Plain {
        return Cow::Borrowed(codes);
    }
    let (first, _) = order.source_rows(chunk.first_row, chunk.n_rows);
    let row = |row: u32| {
        let at = (order.source_row(row) - first) as usize * n_cols;
        &codes[at..at + n_cols]
    };
    let rows = chunk.first_row..chunk.first_row + chunk.n_rows;
    Cow::Owned(rows.flat_map(row).copied().collect())
}
