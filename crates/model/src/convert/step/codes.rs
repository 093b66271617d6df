//! Codes that are packed as one flattened row, as GGUF files have them.

use half::f16;

use super::writer::reorder;
use super::{Chunk, PieceWriter, StepOutput, Work};
use crate::checkpoint::{CodeBlocks, I2sBlock, RowOrder};
use crate::source::ByteRange;
use crate::{Error, Piece, TernaryLayout};

/// Multiplier of a matrix of zeros, which has none.
const ANY_SCALE: f32 = 1e-5;

/// What a step over packed codes needs to know. Its reads are the scale, where the blocks have none, then the blocks of each
/// chunk.
#[derive(Debug, Clone)]
pub(crate) struct CodesTransform {
    /// Name in the checkpoint, for messages.
    pub(crate) source_name: String,
    pub(crate) shape: [u32; 2],
    pub(crate) blocks: CodeBlocks,
    pub(crate) has_scale: bool,
    pub(crate) order: RowOrder,
    pub(crate) layout: TernaryLayout,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) chunks: Vec<Chunk>,
}

impl CodesTransform {
    /// The whole blocks that hold the rows of a chunk.
    pub(crate) fn range(&self, codes: &ByteRange, chunk: &Chunk) -> ByteRange {
        let (block, bytes) = self.blocks.block();
        let (start, end) = self.flat(chunk);
        let (first, last) = (start / block, end.div_ceil(block));
        ByteRange {
            file: codes.file.clone(),
            offset: codes.offset + first * bytes,
            bytes: (last - first) * bytes,
        }
    }

    /// Flat numbers of the codes that a chunk needs.
    fn flat(&self, chunk: &Chunk) -> (u64, u64) {
        let (first_row, n_rows) = self.order.source_rows(chunk.first_row, chunk.n_rows);
        let n_cols = u64::from(self.shape[1]);
        let start = u64::from(first_row) * n_cols;
        (start, start + u64::from(n_rows) * n_cols)
    }

    pub(super) fn start(&self, first_piece: usize) -> Box<dyn Work + '_> {
        Box::new(Unpacking {
            transform: self,
            scale: None,
            codes: Vec::new(),
            writer: PieceWriter::new(self.layout, self.shape[1], &self.pieces, first_piece),
        })
    }

    /// A scale that can be a multiplier.
    fn usable(&self, scale: f32, at: u64) -> Result<f32, Error> {
        if scale.is_finite() && scale > 0.0 {
            return Ok(scale);
        }
        Err(Error::Scale {
            tensor: self.source_name.clone(),
            row: at / u64::from(self.shape[1]),
            expected: "finite and positive",
            got: scale,
        })
    }
}

struct Unpacking<'s> {
    transform: &'s CodesTransform,
    scale: Option<f32>,
    codes: Vec<u8>,
    writer: PieceWriter<'s>,
}

impl Work for Unpacking<'_> {
    fn push(&mut self, index: usize, bytes: Vec<u8>) -> Result<(), Error> {
        let transform = self.transform;
        let index = match (transform.has_scale, index) {
            (true, 0) => {
                let four = bytes.first_chunk::<4>().copied().unwrap_or_default();
                self.scale = Some(transform.usable(f32::from_le_bytes(four), 0)?);
                return Ok(());
            }
            (true, index) => index - 1,
            (false, index) => index,
        };
        let chunk = transform.chunks[index];
        let (start, end) = transform.flat(&chunk);
        let (block, _) = transform.blocks.block();
        self.codes.clear();
        self.unpack(&bytes, start / block * block)?;
        // Whole blocks were read; the rows may begin and end inside them.
        let skip = (start % block) as usize;
        let wanted = &self.codes[skip..skip + (end - start) as usize];
        if let Some(at) = wanted.iter().position(|&code| code > 2) {
            return Err(transform.code_error(start + at as u64));
        }
        let n_cols = transform.shape[1] as usize;
        let ordered = reorder(wanted, n_cols, transform.order, &chunk);
        self.writer.push(&chunk, &ordered);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<StepOutput, Error> {
        Ok(StepOutput {
            scale: Some(self.scale.unwrap_or(ANY_SCALE)),
            pieces: self.writer.finish(),
        })
    }
}

impl CodesTransform {
    fn code_error(&self, flat: u64) -> Error {
        let n_cols = u64::from(self.shape[1]);
        Error::TernaryCode {
            tensor: self.source_name.clone(),
            row: flat / n_cols,
            col: flat % n_cols,
            expected: "0, 1 or 2",
            got: 3,
        }
    }
}

impl Unpacking<'_> {
    /// Appends the codes of whole blocks, the first of which begins at this flat number.
    fn unpack(&mut self, bytes: &[u8], flat: u64) -> Result<(), Error> {
        let (block, block_bytes) = self.transform.blocks.block();
        for (index, bytes) in bytes.chunks_exact(block_bytes as usize).enumerate() {
            let at = flat + index as u64 * block;
            match self.transform.blocks {
                CodeBlocks::I2s(I2sBlock::Of128 | I2sBlock::Of64) => {
                    // The first quarter of a block is in the highest bits.
                    for shift in [6, 4, 2, 0] {
                        self.codes
                            .extend(bytes.iter().map(|byte| byte >> shift & 3));
                    }
                }
                CodeBlocks::Tq2 => {
                    let (codes, scale) = bytes.split_at(64);
                    if self.take_scale(scale, at)? {
                        for half in codes.chunks_exact(32) {
                            for shift in [0, 2, 4, 6] {
                                self.codes.extend(half.iter().map(|byte| byte >> shift & 3));
                            }
                        }
                    }
                }
                CodeBlocks::Tq1 => {
                    let (codes, scale) = bytes.split_at(52);
                    if self.take_scale(scale, at)? {
                        push_tq1(codes, &mut self.codes);
                    }
                }
            }
        }
        Ok(())
    }

    /// Compares the scale of a block with those before. Blocks of zeros have the scale 0: their codes are appended here, and
    /// false is returned.
    fn take_scale(&mut self, bytes: &[u8], flat: u64) -> Result<bool, Error> {
        let scale = f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
        if scale == 0.0 {
            let n = self.codes.len() + self.transform.blocks.block().0 as usize;
            self.codes.resize(n, 1);
            return Ok(false);
        }
        let scale = self.transform.usable(scale, flat)?;
        match *self.scale.get_or_insert(scale) {
            first if first == scale => Ok(true),
            first => Err(Error::NotTernary {
                tensor: self.transform.source_name.clone(),
                got: format!("blocks with the scales {first} and {scale}"),
                hint: "matrices with several multipliers cannot be converted by this version",
            }),
        }
    }
}

/// The 256 codes of a TQ1_0 block: five a byte, first digit first, in runs of 32, then of 16, then four a byte in a run of 4.
fn push_tq1(bytes: &[u8], codes: &mut Vec<u8>) {
    let digits = |bytes: &[u8], n_digits: u32, codes: &mut Vec<u8>| {
        for digit in 0..n_digits {
            let power = 3u8.pow(digit);
            let code = |byte: &u8| ((u16::from(byte.wrapping_mul(power)) * 3) >> 8) as u8;
            codes.extend(bytes.iter().map(code));
        }
    };
    digits(&bytes[..32], 5, codes);
    digits(&bytes[32..48], 5, codes);
    digits(&bytes[48..52], 4, codes);
}

#[cfg(test)]
#[path = "codes_tests.rs"]
mod tests;
