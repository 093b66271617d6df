//! Which of the equivalent implementations of a kernel helper is linked in.

use std::fmt;

/// How four int8 products are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dot {
    /// WGSL's `dot4I8Packed`.
    Packed,
    /// Lanes unpacked to i32.
    Scalar,
}

/// How integers are summed across the invocations of a workgroup. (Float sums always take the fixed order of
/// `lib/sum.wgsl`, so that every variant gives the same bits.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reduce {
    /// Subgroup shuffles, then workgroup memory.
    Subgroup,
    /// Workgroup memory only.
    Shared,
}

/// Storage type of the key-value cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum KvType {
    /// Exact, for tests.
    F32,
    /// Half the memory; the default.
    #[default]
    F16,
    /// A quarter of the memory: signed bytes with a scale per position and head. Answers are not those of the others.
    I8,
}

impl KvType {
    /// Every type, the exact one first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::I8];

    /// What options and reports call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "i8",
        }
    }

    /// Bytes of one element.
    #[must_use]
    pub const fn element_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }

    /// Bytes of the scale of a row (one position of one head).
    #[must_use]
    pub const fn scale_bytes(self) -> u64 {
        match self {
            Self::F32 | Self::F16 => 0,
            Self::I8 => 4,
        }
    }
}

/// Storage type of embedding and LM head rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rows {
    /// Halves.
    F16,
    /// Signed bytes with a scale per row.
    Q8,
    /// 6-bit codes with a scale per group.
    Q6,
    /// 4-bit codes with a scale per group.
    Q4,
}

/// The device-dependent choices. All give the same integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// Int8 dot product.
    pub dot: Dot,
    /// Integer reduction.
    pub reduce: Reduce,
}

impl Variant {
    /// Every variant, whether or not a device can run it.
    pub const ALL: [Self; 4] = [
        Self {
            dot: Dot::Packed,
            reduce: Reduce::Subgroup,
        },
        Self {
            dot: Dot::Packed,
            reduce: Reduce::Shared,
        },
        Self {
            dot: Dot::Scalar,
            reduce: Reduce::Subgroup,
        },
        Self {
            dot: Dot::Scalar,
            reduce: Reduce::Shared,
        },
    ];

    /// The variant that runs everywhere.
    pub const PORTABLE: Self = Self {
        dot: Dot::Scalar,
        reduce: Reduce::Shared,
    };
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = match self.dot {
            Dot::Packed => "packed",
            Dot::Scalar => "scalar",
        };
        let reduce = match self.reduce {
            Reduce::Subgroup => "subgroup",
            Reduce::Shared => "shared",
        };
        write!(f, "{dot}-{reduce}")
    }
}

impl std::str::FromStr for Variant {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|v| v.to_string() == s)
            .ok_or_else(|| format!("unknown variant {s}; known: packed-subgroup, packed-shared, scalar-subgroup, scalar-shared"))
    }
}
