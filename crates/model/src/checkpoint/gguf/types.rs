//! Types of tensors by their number. Some numbers mean different types in different programs; those are refused.

use crate::checkpoint::tensor::{FloatType, RowCoding};

/// Number of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GgmlType(pub(super) u32);

impl GgmlType {
    pub(super) const F32: GgmlType = GgmlType(0);
    pub(super) const F16: GgmlType = GgmlType(1);
    pub(super) const BF16: GgmlType = GgmlType(30);
    pub(super) const Q4_0: GgmlType = GgmlType(2);
    pub(super) const Q8_0: GgmlType = GgmlType(8);
    pub(super) const Q6_K: GgmlType = GgmlType(14);
    pub(super) const TQ1_0: GgmlType = GgmlType(34);
    pub(super) const TQ2_0: GgmlType = GgmlType(35);
    pub(super) const I2_S: GgmlType = GgmlType(36);

    /// Name for messages. Where programs disagree, all names.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            0 => "F32",
            1 => "F16",
            2 => "Q4_0",
            3 => "Q4_1",
            6 => "Q5_0",
            7 => "Q5_1",
            8 => "Q8_0",
            9 => "Q8_1",
            10 => "Q2_K",
            11 => "Q3_K",
            12 => "Q4_K",
            13 => "Q5_K",
            14 => "Q6_K",
            15 => "Q8_K",
            16 => "IQ2_XXS",
            17 => "IQ2_XS",
            18 => "IQ3_XXS",
            19 => "IQ1_S",
            20 => "IQ4_NL",
            21 => "IQ3_S",
            22 => "IQ2_S",
            23 => "IQ4_XS",
            24 => "I8",
            25 => "I16",
            26 => "I32",
            27 => "I64",
            28 => "F64",
            29 => "IQ1_M",
            30 => "BF16",
            34 => "TQ1_0",
            35 => "TQ2_0",
            36 => "I2_S",
            37 => "I8_S",
            38 => "TL1",
            39 => "MXFP4 or TL2",
            40 => "NVFP4 or I2_V",
            41 => "Q1_0",
            42 => "Q2_0",
            134 => "IQ1_BN",
            135 => "IQ2_BN",
            142 => "PQ2_0",
            143 => "PTQ1_0",
            335 => "IQ2_BN_R4",
            _ => "unknown",
        }
    }

    /// Why a type of ternary models cannot be read, for those that a person may meet.
    pub(super) fn reason(self) -> &'static str {
        match self.0 {
            38 | 39 => {
                " (weights tiled for one build of one program; the tile sizes are not in the file)"
            }
            42 => {
                " (a scale for each group of weights, in models of the Qwen3 graph, which the engine does not compute)"
            }
            142 | 143 => " (needs a Hadamard transform of the activations)",
            _ => "",
        }
    }

    /// Elements and bytes of a block; `None` for types that are not read.
    fn block(self) -> Option<(u64, u64)> {
        Some(match self {
            GgmlType::F32 => (1, 4),
            GgmlType::F16 | GgmlType::BF16 => (1, 2),
            GgmlType::Q4_0 => (32, 18),
            GgmlType::Q8_0 => (32, 34),
            GgmlType::Q6_K => (256, 210),
            GgmlType::TQ1_0 => (256, 54),
            GgmlType::TQ2_0 => (256, 66),
            GgmlType::I2_S => (128, 32),
            _ => return None,
        })
    }

    /// Whether tensors of the type can be read.
    pub(super) fn is_readable(self) -> bool {
        self.block().is_some()
    }

    /// Bytes of a tensor: blocks never straddle rows, except those of I2_S, which has a scale of 32 bytes behind its codes.
    /// `None` if the blocks do not divide it, the number overflows, or the type is not read.
    pub(super) fn bytes(self, shape: &[u64]) -> Option<u64> {
        let (elements, bytes) = self.block()?;
        let n = shape
            .iter()
            .try_fold(1u64, |product, &n| product.checked_mul(n))?;
        let row = shape.last().copied().unwrap_or(1);
        let divided = if self == GgmlType::I2_S { n } else { row };
        if !divided.is_multiple_of(elements) {
            return None;
        }
        let tail = if self == GgmlType::I2_S { 32 } else { 0 };
        (n / elements).checked_mul(bytes)?.checked_add(tail)
    }

    /// The coding of rows of values, if it is one.
    pub(super) fn rows(self) -> Option<RowCoding> {
        Some(match self {
            GgmlType::F32 => RowCoding::Floats(FloatType::F32),
            GgmlType::F16 => RowCoding::Floats(FloatType::F16),
            GgmlType::BF16 => RowCoding::Floats(FloatType::Bf16),
            GgmlType::Q4_0 => RowCoding::Q4_0,
            GgmlType::Q8_0 => RowCoding::Q8_0,
            GgmlType::Q6_K => RowCoding::Q6K,
            _ => return None,
        })
    }
}
