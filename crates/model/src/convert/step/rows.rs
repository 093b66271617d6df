//! Rows of embedding, head and norms.

use super::decode::{gather, read_rows};
use super::{PieceBytes, StepOutput, Work};
use crate::checkpoint::{RowCoding, Strides};
use crate::layout::{
    RowValue, quantize_f16_row, quantize_q4_row, quantize_q6_row, quantize_q8_row,
};
use crate::{Encoding, Error};

#[derive(Debug, Clone)]
pub(crate) struct RowsTransform {
    /// Name in the checkpoint, for messages.
    pub(crate) source_name: String,
    pub(crate) n_cols: u32,
    pub(crate) coding: RowCoding,
    /// With strides the read is the whole tensor, not only the rows of the piece.
    pub(crate) strides: Option<Strides>,
    pub(crate) encoding: Encoding,
    pub(crate) first_row: u32,
    pub(crate) n_rows: u32,
}

struct RowsRun<'s> {
    transform: &'s RowsTransform,
    first_piece: usize,
    bytes: Vec<u8>,
}

impl Work for RowsRun<'_> {
    fn push(&mut self, _: usize, bytes: Vec<u8>) -> Result<(), Error> {
        self.bytes = self.transform.run(&bytes)?;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<StepOutput, Error> {
        Ok(StepOutput {
            scale: None,
            pieces: vec![PieceBytes {
                piece: self.first_piece,
                bytes: self.bytes,
            }],
        })
    }
}

impl RowsTransform {
    pub(super) fn start(&self, first_piece: usize) -> Box<dyn Work + '_> {
        Box::new(RowsRun {
            transform: self,
            first_piece,
            bytes: Vec::new(),
        })
    }

    /// Encodes the rows: all codes, then all scales.
    fn run(&self, stored: &[u8]) -> Result<Vec<u8>, Error> {
        let n_cols = self.n_cols as usize;
        let row_bytes = stored.len() / self.n_rows as usize;
        let (mut codes, mut scale_bytes, mut halves) = (Vec::new(), Vec::new(), Vec::new());
        for row_index in 0..self.n_rows {
            let row = match (self.strides, self.coding) {
                (Some(strides), RowCoding::Floats(float)) => {
                    let row = self.first_row + row_index;
                    gather(stored, float, strides, row..row + 1, self.n_cols)
                }
                _ => read_rows(
                    &stored[row_index as usize * row_bytes..][..row_bytes],
                    self.coding,
                ),
            };
            debug_assert_eq!(row.len(), n_cols);
            let encoded = match self.encoding {
                Encoding::F16 => quantize_f16_row(&row, &mut codes),
                Encoding::Q8 => quantize_q8_row(&row, &mut codes)
                    .map(|scale| scale_bytes.extend(scale.to_le_bytes())),
                Encoding::Q6 { group } => {
                    quantize_q6_row(&row, group as usize, &mut codes, &mut halves)
                }
                Encoding::Q4 { .. } => quantize_q4_row(&row, &mut codes, &mut halves),
                Encoding::F32 | Encoding::Ternary { .. } => plain_row(&row, &mut codes),
            };
            encoded.map_err(|wrong| self.value_error(row_index, wrong))?;
        }
        scale_bytes.extend(halves.iter().flat_map(|scale| scale.to_le_bytes()));
        codes.append(&mut scale_bytes);
        Ok(codes)
    }

    fn value_error(&self, row_index: u32, wrong: RowValue) -> Error {
        Error::Value {
            tensor: self.source_name.clone(),
            row: u64::from(self.first_row) + u64::from(row_index),
            col: wrong.col as u64,
            encoding: match self.encoding {
                Encoding::F16 => "f16",
                Encoding::Q8 => "q8",
                Encoding::Q6 { .. } => "q6",
                Encoding::Q4 { .. } => "q4",
                Encoding::F32 | Encoding::Ternary { .. } => "f32",
            },
            limit: wrong.limit,
            got: wrong.value,
        }
    }
}

fn plain_row(row: &[f32], bytes: &mut Vec<u8>) -> Result<(), RowValue> {
    if let Some(col) = row.iter().position(|value| !value.is_finite()) {
        return Err(RowValue {
            col,
            value: row[col],
            limit: f32::MAX,
        });
    }
    bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
    Ok(())
}
