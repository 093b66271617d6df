//! A tensor as a container lists it, before anyone knows what it is for.

use std::collections::BTreeMap;

use super::tensor::{FloatType, Strides};
use crate::Error;
use crate::source::ByteRange;

/// Element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    F32,
    F16,
    Bf16,
    U8,
    I8,
    /// A type that only tensors may have that are not read, with its size in bits.
    Other(&'static str, u64),
}

impl Dtype {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::Bf16 => "BF16",
            Dtype::U8 => "U8",
            Dtype::I8 => "I8",
            Dtype::Other(name, _) => name,
        }
    }

    pub(crate) fn bits(self) -> u64 {
        match self {
            Dtype::F32 => 32,
            Dtype::F16 | Dtype::Bf16 => 16,
            Dtype::U8 | Dtype::I8 => 8,
            Dtype::Other(_, bits) => bits,
        }
    }

    pub(crate) fn is_byte(self) -> bool {
        matches!(self, Dtype::U8 | Dtype::I8)
    }

    /// The float type of this element type.
    ///
    /// # Errors
    /// If it is none that is read.
    pub(crate) fn float(self, tensor: &str) -> Result<FloatType, Error> {
        match self {
            Dtype::F32 => Ok(FloatType::F32),
            Dtype::F16 => Ok(FloatType::F16),
            Dtype::Bf16 => Ok(FloatType::Bf16),
            other => Err(Error::TensorDtype {
                tensor: tensor.to_string(),
                expected: "F32, F16 or BF16",
                got: other.name().to_string(),
            }),
        }
    }
}

/// A tensor with its place; the range is inside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<u64>,
    /// From the first value to the last one.
    pub(crate) range: ByteRange,
    /// `None` where the values lie row after row.
    pub(crate) strides: Option<Strides>,
}

/// The tensors of all files of a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// Index file, if any, and files of tensors.
    pub(crate) files: Vec<String>,
    pub(crate) tensors: BTreeMap<String, Stored>,
}
