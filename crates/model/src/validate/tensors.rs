//! The tensors of a manifest: all that the architecture needs, each row in one piece, each piece in its shard.

use std::collections::{HashMap, HashSet};

use super::fail;
use crate::architecture::{Role, TensorSpec};
use crate::error::shown;
use crate::layout::stored_piece_bytes;
use crate::{Encoding, Error, Manifest, Piece, Scale, Tensor};

/// Smallest group of codes with a scale of its own, and what group sizes are multiples of.
const GROUP_UNIT: u32 = 16;

impl Manifest {
    /// Exactly the tensors of the architecture, with their shapes, encodings and rows.
    pub(super) fn validate_tensors(&self) -> Result<(), Error> {
        let specs = self.architecture.tensors();
        let mut missing: HashMap<&str, &TensorSpec> = specs
            .iter()
            .map(|spec| (spec.name.as_str(), spec))
            .collect();
        for (index, tensor) in self.tensors.iter().enumerate() {
            let Some(spec) = missing.remove(tensor.name.as_str()) else {
                let expected = "the name of a tensor of the architecture, each once";
                return fail(
                    format!("tensors[{index}].name"),
                    expected,
                    shown(&tensor.name),
                );
            };
            if tensor.shape != spec.shape {
                return Err(Error::TensorShape {
                    tensor: tensor.name.clone(),
                    expected: format!("{:?}", spec.shape),
                    got: format!("{:?}", tensor.shape),
                });
            }
            check_encoding(tensor, spec.role)?;
            self.check_pieces(tensor)?;
        }
        // The first one in the order of the architecture, so that the message is always the same.
        match specs
            .iter()
            .find(|spec| missing.contains_key(spec.name.as_str()))
        {
            None => Ok(()),
            Some(spec) => Err(Error::TensorMissing {
                tensor: spec.name.clone(),
                shape: format!("{:?}", spec.shape),
            }),
        }
    }

    /// Pieces in order, without gap or overlap of rows, each as long as its rows need and inside its shard.
    fn check_pieces(&self, tensor: &Tensor) -> Result<(), Error> {
        let unit = match tensor.encoding {
            Encoding::Ternary { .. } => self.ternary.rows_per_tile,
            _ => 1,
        };
        let mut next_row = 0u32;
        for (index, piece) in tensor.pieces.iter().enumerate() {
            let field = |name: &str| format!("tensor {}, pieces[{index}].{name}", tensor.name);
            if piece.first_row != next_row {
                return fail(field("first_row"), next_row.to_string(), piece.first_row);
            }
            if !piece.first_row.is_multiple_of(unit) {
                return fail(
                    field("first_row"),
                    format!("a multiple of {unit}"),
                    piece.first_row,
                );
            }
            let rows_left = tensor.shape[0] - next_row;
            if piece.n_rows == 0 || piece.n_rows > rows_left {
                return fail(
                    field("n_rows"),
                    format!("from 1 to {rows_left}"),
                    piece.n_rows,
                );
            }
            next_row += piece.n_rows;
            self.check_piece_bytes(tensor, piece, &field)?;
        }
        if next_row != tensor.shape[0] {
            let field = format!("tensor {}, pieces", tensor.name);
            return fail(
                field,
                format!("all {} rows", tensor.shape[0]),
                format!("{next_row} rows"),
            );
        }
        Ok(())
    }

    fn check_piece_bytes(
        &self,
        tensor: &Tensor,
        piece: &Piece,
        field: &dyn Fn(&str) -> String,
    ) -> Result<(), Error> {
        let expected = stored_piece_bytes(
            &self.ternary,
            &tensor.encoding,
            tensor.shape[1],
            piece.n_rows,
        );
        if expected != Some(piece.bytes) {
            return fail(
                field("bytes"),
                expected.map_or("smaller".to_string(), |n| n.to_string()),
                piece.bytes,
            );
        }
        if !piece.offset.is_multiple_of(16) {
            return fail(field("offset"), "a multiple of 16", piece.offset);
        }
        let Some(shard) = self.shards.get(piece.shard as usize) else {
            return fail(
                field("shard"),
                format!("below {}, the number of shards", self.shards.len()),
                piece.shard,
            );
        };
        match piece.offset.checked_add(piece.bytes) {
            Some(end) if end <= shard.bytes => Ok(()),
            _ => Err(Error::PieceOutsideShard {
                tensor: tensor.name.clone(),
                first_row: piece.first_row,
                shard: piece.shard,
                offset: piece.offset,
                bytes: piece.bytes,
                shard_bytes: shard.bytes,
            }),
        }
    }

    /// No two pieces share bytes, and no shard is without pieces.
    pub(super) fn validate_places(&self) -> Result<(), Error> {
        let with_names = |tensor: &'_ Tensor| {
            tensor
                .pieces
                .clone()
                .into_iter()
                .map(|piece| (piece.shard, piece.offset, piece.bytes))
        };
        let mut places: Vec<(u32, u64, u64)> = self.tensors.iter().flat_map(with_names).collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            let [(shard, offset, bytes), (next_shard, next_offset, _)] = [pair[0], pair[1]];
            if shard == next_shard && next_offset < offset + bytes {
                let field = format!("the piece at byte {next_offset} of shards[{shard}]");
                return fail(
                    field,
                    "apart from the piece before it",
                    format!("an overlap with bytes {offset} + {bytes}"),
                );
            }
        }
        let used: HashSet<u32> = places.iter().map(|place| place.0).collect();
        match (0..self.shards.len() as u32).find(|shard| !used.contains(shard)) {
            None => Ok(()),
            Some(shard) => fail(format!("shards[{shard}]"), "used by a piece", "no piece"),
        }
    }
}

fn check_encoding(tensor: &Tensor, role: Role) -> Result<(), Error> {
    let is_allowed = match (role, tensor.encoding) {
        (
            Role::Projection,
            Encoding::Ternary {
                scale: Scale::Tensor { value },
            },
        ) => {
            if !(value.is_finite() && value > 0.0) {
                let tensor = tensor.name.clone();
                return Err(Error::Scale {
                    tensor,
                    row: 0,
                    expected: "finite and positive",
                    got: value,
                });
            }
            true
        }
        (
            Role::Projection,
            Encoding::Ternary {
                scale: Scale::Group { size },
            },
        ) => size >= GROUP_UNIT && size.is_multiple_of(GROUP_UNIT),
        (Role::Norm, Encoding::F32) => true,
        (Role::Rows, Encoding::F16 | Encoding::Q8) => true,
        (Role::Rows, Encoding::Q6 { group }) => group == 32 || group == 64,
        (Role::Rows, Encoding::Q4 { group }) => group == 32,
        _ => false,
    };
    if is_allowed {
        return Ok(());
    }
    let expected = match role {
        Role::Projection => "ternary with one scale, or with groups of a multiple of 16",
        Role::Norm => "f32",
        Role::Rows => "f16, q8, q6 with groups of 32 or 64, or q4 with groups of 32",
    };
    fail(
        format!("tensor {}, encoding", tensor.name),
        expected,
        format!("{:?}", tensor.encoding),
    )
}
