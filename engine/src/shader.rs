//! The shader linker: kernel file + provider files + directives for the target -> one WGSL text.
//!
//! A kernel lists its needs in a header line `// needs: dot, reduce`. Providers of one need export identical signatures,
//! so a kernel cannot tell which one it got. Files are concatenated whole: no conditionals. Constants that size arrays get
//! the op's values, and marked loops over them are unrolled (see `shader/unroll.rs`).

mod unroll;

use crate::Error;
use crate::variant::{Dot, KvType, Reduce, Rows, Variant};

macro_rules! kernels {
    ($($variant:ident => $stem:literal),* $(,)?) => {
        /// A kernel of `shaders/`, one operation each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the documentation is the header of the WGSL file of the same stem")]
        pub enum Kernel { $($variant),* }

        impl Kernel {
            /// Every kernel.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// File stem, also the name of the op, the reference and the test.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $stem),* }
            }

            const fn source(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../../shaders/", $stem, ".wgsl"))),* }
            }
        }
    };
}

kernels! {
    Embed => "embed",
    NormQuantize => "norm_quantize",
    NormGemv => "norm_gemv",
    TernaryGemv => "ternary_gemv",
    TernaryGemm => "ternary_gemm",
    RopeKv => "rope_kv",
    Attention => "attention",
    AttentionLoop => "attention_loop",
    RopeAttention => "rope_attention",
    AttentionCombine => "attention_combine",
    RmsNorm => "rms_norm",
    LmHead => "lm_head",
    LogitScan => "logit_scan",
    Sample => "sample",
}

macro_rules! lib {
    ($stem:literal) => {
        include_str!(concat!("../../shaders/lib/", $stem, ".wgsl"))
    };
}

/// Where the text will be compiled: the directives differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// naga inside native wgpu, which rejects `enable subgroups;`.
    Native,
    /// A browser's own compiler, which demands it.
    Web,
}

impl Target {
    /// The target that this crate was built for.
    pub const HERE: Self = if cfg!(target_arch = "wasm32") {
        Self::Web
    } else {
        Self::Native
    };
}

/// Everything that selects one shader text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Device-dependent helpers.
    pub variant: Variant,
    /// Key-value element type.
    pub kv: KvType,
    /// Embedding row type.
    pub rows: Rows,
}

impl Kernel {
    /// The needs that the kernel's header lists.
    pub fn needs(self) -> impl Iterator<Item = &'static str> {
        self.source()
            .lines()
            .find_map(|line| line.strip_prefix("// needs:"))
            .into_iter()
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|need| !need.is_empty())
    }

    /// Whether the text differs between these two choices.
    #[must_use]
    pub fn same_text(self, a: &Choice, b: &Choice) -> bool {
        let needs = |need| self.needs().any(|n| n == need);
        (!needs("dot") || a.variant.dot == b.variant.dot)
            && (!(needs("reduce") || needs("row_totals")) || a.variant.reduce == b.variant.reduce)
            && (!needs("kv") || a.kv == b.kv)
            && (!needs("rows") || a.rows == b.rows)
    }
}

/// Links one kernel. `sizes` replace the values of constants that the text declares; without them it has small ones.
///
/// # Errors
/// [`Error::UnknownNeed`] when the header names a need without a provider, [`Error::Unroll`] when a constant is not declared
/// or a marked loop cannot be unrolled.
pub fn link(
    kernel: Kernel,
    choice: &Choice,
    target: Target,
    sizes: &[(&'static str, u32)],
) -> Result<String, Error> {
    let mut directives = String::new();
    let mut body = String::new();
    for need in kernel.needs() {
        body.push_str(match need {
            "step" => lib!("step"),
            "step_rw" => lib!("step_rw"),
            "sum" => lib!("sum"),
            "norm" => lib!("norm"),
            "row" => lib!("row"),
            "rope" => lib!("rope"),
            "attention" => lib!("attention"),
            "order" => lib!("order"),
            "merge" => lib!("merge"),
            "ternary" => lib!("ternary"),
            "product" => lib!("product"),
            "dot" => match choice.variant.dot {
                Dot::Packed => {
                    directives.push_str("requires packed_4x8_integer_dot_product;\n");
                    lib!("dot_packed")
                }
                Dot::Scalar => lib!("dot_scalar"),
            },
            "reduce" => match choice.variant.reduce {
                Reduce::Subgroup => {
                    if target == Target::Web {
                        directives.push_str("enable subgroups;\n");
                    }
                    lib!("reduce_subgroup")
                }
                Reduce::Shared => lib!("reduce_shared"),
            },
            "row_totals" => match choice.variant.reduce {
                Reduce::Subgroup => {
                    if target == Target::Web {
                        directives.push_str("enable subgroups;\n");
                    }
                    lib!("row_totals_subgroup")
                }
                Reduce::Shared => lib!("row_totals_shared"),
            },
            "kv" => match choice.kv {
                KvType::F32 => lib!("kv_f32"),
                KvType::F16 => lib!("kv_f16"),
                KvType::I8 => lib!("kv_i8"),
            },
            "rows" => match choice.rows {
                Rows::F16 => lib!("rows_f16"),
                Rows::Q8 => lib!("rows_q8"),
                Rows::Q6 => lib!("rows_q6"),
                Rows::Q4 => lib!("rows_q4"),
            },
            unknown => {
                return Err(Error::UnknownNeed {
                    kernel: kernel.name(),
                    need: unknown.to_owned(),
                });
            }
        });
        body.push('\n');
    }
    body.push_str(kernel.source());
    let body = unroll::unroll(&body, sizes).map_err(|reason| Error::Unroll {
        kernel: kernel.name(),
        reason,
    })?;
    // Directives come before every declaration, and `enable` before `requires` reads best.
    let mut lines: Vec<&str> = directives.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    Ok([lines.join("\n").as_str(), "\n", body.as_str()].concat())
}
