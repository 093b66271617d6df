//! One step of a conversion: bytes of the source in, pieces of a tensor out, nothing else.

use half::{bf16, f16};

use crate::checkpoint::{FloatType, ScaleConvention};
use crate::layout::{
    RowValue, encode_t5, pack_b2, quantize_f16_row, quantize_q6_row, quantize_q8_row,
};
use crate::source::ByteRange;
use crate::{Coding, Encoding, Error, Piece, TernaryLayout};

/// A step: reads some ranges of the source and makes some pieces of one tensor.
#[derive(Debug, Clone)]
pub struct Step {
    /// Index into [`Plan::tensors`](super::Plan::tensors).
    pub tensor: usize,
    /// Index of the first piece that the step makes; the others follow.
    pub first_piece: usize,
    /// The bytes that [`Step::run`] needs, in this order.
    pub reads: Vec<ByteRange>,
    pub(crate) transform: Transform,
}

/// How inputs become pieces. Holds everything that is needed, so that a step can run anywhere.
#[derive(Debug, Clone)]
pub(crate) enum Transform {
    /// Inputs: packed codes, scale.
    HuggingFacePacked(PackedTransform),
    /// Input: floats of the rows of one piece.
    Floats(FloatsTransform),
}

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

#[derive(Debug, Clone)]
pub(crate) struct FloatsTransform {
    /// Name in the checkpoint, for messages.
    pub(crate) source_name: String,
    pub(crate) n_cols: u32,
    pub(crate) dtype: FloatType,
    pub(crate) encoding: Encoding,
    pub(crate) first_row: u32,
}

/// The bytes of one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceBytes {
    /// Index of the piece in its tensor.
    pub piece: usize,
    /// Its bytes, as long as the plan says.
    pub bytes: Vec<u8>,
}

/// What a step makes.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// The multiplier of a ternary tensor.
    pub scale: Option<f32>,
    /// The pieces.
    pub pieces: Vec<PieceBytes>,
}

impl Step {
    /// Bytes of all inputs.
    pub fn read_bytes(&self) -> u64 {
        self.reads.iter().map(|range| range.bytes).sum()
    }

    /// Runs the step on the bytes of [`Step::reads`].
    ///
    /// # Errors
    /// If an input has another length than its range, or a value in it is not valid.
    pub fn run(&self, inputs: &[Vec<u8>]) -> Result<StepOutput, Error> {
        for (range, input) in self.reads.iter().zip(inputs) {
            if input.len() as u64 != range.bytes {
                return Err(wrong_input(range, input.len() as u64));
            }
        }
        match (&self.transform, inputs) {
            (Transform::HuggingFacePacked(transform), [codes, scale]) => {
                transform.run(self.first_piece, codes, scale)
            }
            (Transform::Floats(transform), [floats]) => {
                let bytes = transform.run(floats)?;
                Ok(StepOutput {
                    scale: None,
                    pieces: vec![PieceBytes {
                        piece: self.first_piece,
                        bytes,
                    }],
                })
            }
            // Fewer or more inputs than reads.
            _ => Err(wrong_input(
                &self.reads[inputs.len().min(self.reads.len() - 1)],
                0,
            )),
        }
    }
}

fn wrong_input(range: &ByteRange, got: u64) -> Error {
    Error::FileLength {
        file: range.file.clone(),
        expected: format!("{} at {}", range.bytes, range.offset),
        got,
    }
}

/// The values of little-endian floats.
pub(crate) fn read_floats(bytes: &[u8], dtype: FloatType) -> Vec<f32> {
    match dtype {
        FloatType::F32 => bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        FloatType::F16 => bytes
            .chunks_exact(2)
            .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        FloatType::Bf16 => bytes
            .chunks_exact(2)
            .map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
    }
}

impl PackedTransform {
    fn run(&self, first_piece: usize, codes: &[u8], scale: &[u8]) -> Result<StepOutput, Error> {
        let multiplier = self.multiplier(scale)?;
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for (index, piece) in self.pieces.iter().enumerate() {
            pieces.push(PieceBytes {
                piece: first_piece + index,
                bytes: self.piece_bytes(piece, codes)?,
            });
        }
        Ok(StepOutput {
            scale: Some(multiplier),
            pieces,
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

    fn piece_bytes(&self, piece: &Piece, packed: &[u8]) -> Result<Vec<u8>, Error> {
        let rows_per_tile = self.layout.rows_per_tile as usize;
        let n_cols = self.shape[1] as usize;
        // Whole tiles and whole T5 bytes, so that the results of chunks can be joined in both codings.
        let chunk_rows = rows_per_tile * 5;
        let end = (piece.first_row + piece.n_rows) as usize;
        let mut bytes = Vec::with_capacity(piece.bytes as usize);
        let mut codes = Vec::with_capacity(chunk_rows * n_cols);
        for first_row in (piece.first_row as usize..end).step_by(chunk_rows) {
            let n_rows = chunk_rows.min(end - first_row);
            codes.clear();
            for row in first_row..first_row + n_rows {
                self.unpack_row(row, packed, &mut codes)?;
            }
            match self.layout.coding {
                Coding::B2 => bytes.extend(pack_b2(&codes, n_rows, n_cols, rows_per_tile)),
                Coding::T5 => bytes.extend(encode_t5(&codes)),
            }
        }
        Ok(bytes)
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

impl FloatsTransform {
    /// Encodes the rows: all codes, then all scales.
    fn run(&self, floats: &[u8]) -> Result<Vec<u8>, Error> {
        let n_cols = self.n_cols as usize;
        let row_bytes = n_cols * self.dtype.bytes() as usize;
        let (mut codes, mut scale_bytes, mut halves) = (Vec::new(), Vec::new(), Vec::new());
        for (row_index, row) in floats.chunks_exact(row_bytes).enumerate() {
            let row = read_floats(row, self.dtype);
            let encoded = match self.encoding {
                Encoding::F16 => quantize_f16_row(&row, &mut codes),
                Encoding::Q8 => quantize_q8_row(&row, &mut codes)
                    .map(|scale| scale_bytes.extend(scale.to_le_bytes())),
                Encoding::Q6 { group } => {
                    quantize_q6_row(&row, group as usize, &mut codes, &mut halves)
                }
                Encoding::F32 | Encoding::Ternary { .. } => plain_row(&row, &mut codes),
            };
            encoded.map_err(|wrong| self.value_error(row_index, wrong))?;
        }
        scale_bytes.extend(halves.iter().flat_map(|scale| scale.to_le_bytes()));
        codes.append(&mut scale_bytes);
        Ok(codes)
    }

    fn value_error(&self, row_index: usize, wrong: RowValue) -> Error {
        Error::Value {
            tensor: self.source_name.clone(),
            row: u64::from(self.first_row) + row_index as u64,
            col: wrong.col as u64,
            encoding: match self.encoding {
                Encoding::F16 => "f16",
                Encoding::Q8 => "q8",
                Encoding::Q6 { .. } => "q6",
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

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
