//! Float matrices to ternary codes: rounded by their mean magnitude, or ternary already, also when a coarse coding has moved
//! their values a little.

use super::decode::{gather, read_rows};
use super::magnitudes::Magnitudes;
use super::writer::reorder;
use super::{Chunk, PieceWriter, StepOutput, Work};
use crate::checkpoint::{FloatType, MasterRule, RowCoding, RowOrder, Strides};
use crate::{Error, Piece, TernaryLayout};

/// What a step over a float matrix needs to know. Its reads are every chunk, then every chunk again; with strides, the whole
/// matrix once.
#[derive(Debug, Clone)]
pub(crate) struct MastersTransform {
    /// Name in the checkpoint, for messages.
    pub(crate) source_name: String,
    pub(crate) shape: [u32; 2],
    pub(crate) coding: RowCoding,
    pub(crate) strides: Option<Strides>,
    pub(crate) order: RowOrder,
    pub(crate) rule: MasterRule,
    pub(crate) layout: TernaryLayout,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) chunks: Vec<Chunk>,
}

impl MastersTransform {
    /// Whether values were moved by a coding of few bits.
    fn is_coarse(&self) -> bool {
        !matches!(self.coding, RowCoding::Floats(_))
    }

    pub(super) fn start(&self, first_piece: usize) -> Box<dyn Work + '_> {
        Box::new(Rounding {
            transform: self,
            magnitudes: Magnitudes::new(),
            scale: None,
            writer: PieceWriter::new(self.layout, self.shape[1], &self.pieces, first_piece),
            codes: Vec::new(),
        })
    }
}

/// A float matrix on its way: first measured, then rounded.
struct Rounding<'s> {
    transform: &'s MastersTransform,
    magnitudes: Magnitudes,
    scale: Option<f32>,
    writer: PieceWriter<'s>,
    codes: Vec<u8>,
}

impl Work for Rounding<'_> {
    fn push(&mut self, index: usize, bytes: Vec<u8>) -> Result<(), Error> {
        let n_chunks = self.transform.chunks.len();
        if self.transform.strides.is_some() {
            for index in 0..2 * n_chunks {
                self.take(index, &bytes)?;
            }
            return Ok(());
        }
        self.take(index, &bytes)
    }

    fn finish(self: Box<Self>) -> Result<StepOutput, Error> {
        Ok(StepOutput {
            scale: self.scale,
            pieces: self.writer.finish(),
        })
    }
}

impl Rounding<'_> {
    fn take(&mut self, index: usize, bytes: &[u8]) -> Result<(), Error> {
        let n_chunks = self.transform.chunks.len();
        let chunk = self.transform.chunks[index % n_chunks];
        let values = self.values(&chunk, bytes);
        if index < n_chunks {
            let measured = self.magnitudes.add(&values);
            return measured.map_err(|at| self.value_error(&chunk, at, values[at]));
        }
        let scale = match self.scale {
            Some(scale) => scale,
            None => *self.scale.insert(self.choose_scale()?),
        };
        let inverse = 1.0 / scale;
        self.codes.clear();
        self.codes
            .extend(values.iter().map(|value| round_to_code(value * inverse)));
        if self.transform.is_coarse() {
            self.check_coarse(&chunk, &values, inverse)?;
        }
        let n_cols = self.transform.shape[1] as usize;
        let ordered = reorder(&self.codes, n_cols, self.transform.order, &chunk);
        self.writer.push(&chunk, &ordered);
        Ok(())
    }

    /// A coarse coding moves one of the two signs of a ternary block to 7/8 of the other. Anything else is no ternary matrix.
    fn check_coarse(&self, chunk: &Chunk, values: &[f32], inverse: f32) -> Result<(), Error> {
        let is_ternary = |value: &f32| {
            let share = (value * inverse).abs();
            share == 0.0 || (share > 0.87 && share < 1.01)
        };
        match values.iter().position(|value| !is_ternary(value)) {
            None => Ok(()),
            Some(at) => {
                let (first_row, _) = self
                    .transform
                    .order
                    .source_rows(chunk.first_row, chunk.n_rows);
                let row = first_row as usize + at / self.transform.shape[1] as usize;
                Err(Error::NotTernary {
                    tensor: self.transform.source_name.clone(),
                    got: format!(
                        "{} in row {row}, {} of the largest",
                        values[at],
                        values[at] * inverse
                    ),
                    hint: "it is a matrix of an ordinary model, which rounding would ruin",
                })
            }
        }
    }

    fn values(&self, chunk: &Chunk, bytes: &[u8]) -> Vec<f32> {
        let transform = self.transform;
        match (transform.strides, transform.coding) {
            (Some(strides), RowCoding::Floats(float)) => {
                let rows = chunk.first_row..chunk.first_row + chunk.n_rows;
                gather(bytes, float, strides, rows, transform.shape[1])
            }
            _ => read_rows(bytes, transform.coding),
        }
    }

    fn choose_scale(&self) -> Result<f32, Error> {
        let transform = self.transform;
        // How far a stored value may be from the multiplier that it was made with.
        let tolerance = match transform.coding {
            RowCoding::Floats(FloatType::Bf16) => 1.0 / 200.0,
            RowCoding::Floats(FloatType::F16 | FloatType::F32) => 1.0 / 2000.0,
            // A whole block has one scale, and the value of largest magnitude is a whole multiple of it.
            RowCoding::Q4_0 | RowCoding::Q8_0 | RowCoding::Q6K => {
                let largest = self.magnitudes.largest();
                return Ok(if largest > 0.0 {
                    largest
                } else {
                    self.magnitudes.mean()
                });
            }
        };
        let single = self.magnitudes.single(tolerance);
        let refuse = |got: String, hint: &'static str| {
            Err(Error::NotTernary {
                tensor: transform.source_name.clone(),
                got,
                hint,
            })
        };
        match (transform.rule, single) {
            (MasterRule::AbsMean, _) => Ok(self.magnitudes.mean()),
            (MasterRule::Detect | MasterRule::Ternary, Some(single)) => Ok(single),
            (MasterRule::Detect, None) => match self.magnitudes.few() {
                // The mean of several multipliers would be none of them.
                Some(n) => refuse(
                    format!("{n} magnitudes"),
                    "matrices with several multipliers cannot be converted by this version; if these are master weights all the same, say --weights masters",
                ),
                None => Ok(self.magnitudes.mean()),
            },
            (MasterRule::Ternary, None) => {
                let got = match self.magnitudes.few() {
                    Some(n) => format!("{n} magnitudes"),
                    None if self.magnitudes.largest() == 0.0 => return Ok(self.magnitudes.mean()),
                    None => "many magnitudes".to_string(),
                };
                refuse(got, "if these are master weights, say --weights masters")
            }
        }
    }

    fn value_error(&self, chunk: &Chunk, at: usize, got: f32) -> Error {
        let n_cols = u64::from(self.transform.shape[1]);
        Error::Value {
            tensor: self.transform.source_name.clone(),
            row: u64::from(self.transform.order.source_rows(chunk.first_row, 1).0)
                + at as u64 / n_cols,
            col: at as u64 % n_cols,
            encoding: "ternary",
            limit: f32::MAX,
            got,
        }
    }
}

/// `round_half_even(x)` within -1 ..= 1, plus 1: a half is rounded to zero.
fn round_to_code(x: f32) -> u8 {
    1 + u8::from(x > 0.5) - u8::from(x < -0.5)
}

#[cfg(test)]
#[path = "masters_tests.rs"]
mod tests;
