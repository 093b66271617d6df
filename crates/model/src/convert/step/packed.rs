//! Codes that Hugging Face packed four rows a byte.

use super::decode::read_floats;
use super::{PieceWriter, StepOutput, Work, chunks};
use crate::checkpoint::{FloatType, ScaleConvention};
use crate::{Error, Piece, TernaryLayout};

#[derive(Debug, Clone)]
pub(crate) struct PackedTransform {
    /// Name in the checkpoint, for messages.
    pub(crate) source_name: String,
    pub(crate) shape: [u32; 2],
    pub(crate) scale_dtype: FloatType,
    pub(crate) convention: ScaleConvention,
    pub(crate) layout: TernaryLayout,
    pub(crate) pieces: Vec<Piece>,
}

/// A packed matrix on its way. The codes are held whole, since each byte belongs to rows far apart.
struct Unpacking<'s> {
    transform: &'s PackedTransform,
    first_piece: usize,
    inputs: Vec<Vec<u8>>,
}

impl Work for Unpacking<'_> {
    fn push(&mut self, _: usize, bytes: Vec<u8>) -> Result<(), Error> {
        self.inputs.push(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<StepOutput, Error> {
        match &self.inputs[..] {
            [codes, scale] => self.transform.run(self.first_piece, codes, scale),
            _ => unreachable!("a step finishes after its two reads"),
        }
    }
}

impl PackedTransform {
    pub(super) fn start(&self, first_piece: usize) -> Box<dyn Work + '_> {
        Box::new(Unpacking {
            transform: self,
            first_piece,
            inputs: Vec::new(),
        })
    }

    pub(super) fn run(
        &self,
        first_piece: usize,
        packed: &[u8],
        scale: &[u8],
    ) -> Result<StepOutput, Error> {
        let multiplier = self.multiplier(scale)?;
        let mut writer = PieceWriter::new(self.layout, self.shape[1], &self.pieces, first_piece);
        let mut codes = Vec::new();
        for chunk in chunks(&self.pieces, self.layout, 1) {
            codes.clear();
            for row in chunk.first_row..chunk.first_row + chunk.n_rows {
                self.unpack_row(row as usize, packed, &mut codes)?;
            }
            writer.push(&chunk, &codes);
        }
        Ok(StepOutput {
            scale: Some(multiplier),
            pieces: writer.finish(),
        })
    }

    /// The multiplier of the codes; a stored scale and its inverse must both be usable.
    fn multiplier(&self, bytes: &[u8]) -> Result<f32, Error> {
        let stored = read_floats(bytes, self.scale_dtype)
            .first()
            .copied()
            .unwrap_or(f32::NAN);
        let multiplier = self.convention.multiplier(stored);
        let is_usable = |value: f32| value.is_finite() && value > 0.0;
        if is_usable(stored) && is_usable(multiplier) {
            return Ok(multiplier);
        }
        let tensor = format!("{}_scale", self.source_name);
        Err(Error::Scale {
            tensor,
            row: 0,
            expected: "finite and positive",
            got: stored,
        })
    }

    /// Appends the codes of one row. Four rows share a byte: those that are a quarter of the (rounded up) rows apart.
    fn unpack_row(&self, row: usize, packed: &[u8], codes: &mut Vec<u8>) -> Result<(), Error> {
        let n_cols = self.shape[1] as usize;
        let packed_rows = (self.shape[0] as usize).div_ceil(4);
        let bytes = &packed[row % packed_rows * n_cols..][..n_cols];
        let shift = 2 * (row / packed_rows);
        let start = codes.len();
        codes.extend(bytes.iter().map(|byte| byte >> shift & 3));
        match codes[start..].iter().position(|&code| code == 3) {
            None => Ok(()),
            Some(col) => Err(Error::TernaryCode {
                tensor: self.source_name.clone(),
                row: row as u64,
                col: col as u64,
                expected: "0, 1 or 2",
                got: 3,
            }),
        }
    }
}
