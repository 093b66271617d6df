//! The kernels that a device runs a model with, where it has a choice. Whatever is chosen, the numbers are the same bits.

use std::fmt;
use std::str::FromStr;

use engine::{Executor, Variant};

/// How a name ends that means steps whose small work has dispatches of its own.
const APART: &str = "-apart";

/// One choice of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernels {
    /// What is linked in.
    pub(crate) variant: Variant,
    /// Whether a decode step does its small work inside its neighbours (`engine::ops::Tuning::fused`).
    pub(crate) is_fused: bool,
}

/// What is known of a device.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastDevice {
    /// The engine's line.
    pub(crate) engine: String,
    /// Name of its kernels.
    pub(crate) kernels: String,
    /// Whether a trial has chosen them.
    pub(crate) is_tuned: bool,
    /// What it could run, the fixed table's first; nothing when its times mean nothing.
    pub(crate) usable: Vec<Kernels>,
}

impl Kernels {
    /// All that a device supports, the one of the fixed table first: every variant both ways.
    pub(crate) fn all(supports: impl Fn(Variant) -> bool) -> Vec<Self> {
        let usable = Variant::ALL
            .into_iter()
            .filter(|&variant| supports(variant));
        usable
            .flat_map(|variant| [true, false].map(|is_fused| Self { variant, is_fused }))
            .collect()
    }

    /// Has a device of this variant run these kernels, in models that are loaded from now on.
    pub(crate) fn apply(self, executor: &mut Executor) {
        if let Executor::Gpu(gpu) = executor {
            let tuning = engine::ops::Tuning {
                fused: self.is_fused,
                ..*gpu.tuning()
            };
            gpu.set_tuning(tuning);
        }
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.is_fused { "" } else { APART };
        write!(f, "{}{end}", self.variant)
    }
}

impl FromStr for Kernels {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let (variant, is_fused) = match name.strip_suffix(APART) {
            Some(variant) => (variant, false),
            None => (name, true),
        };
        Ok(Self {
            variant: variant.parse()?,
            is_fused,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Kernels;
    use engine::Variant;

    #[test]
    fn names_are_read_as_they_are_written_and_others_refused() {
        let all = Kernels::all(|_| true);
        assert_eq!(all.len(), 8);
        for kernels in &all {
            assert_eq!(kernels.to_string().parse(), Ok(*kernels));
        }
        assert_eq!(all[0].to_string(), "packed-subgroup");
        for name in ["", "-apart", "packed", "packed-subgroup-apart-apart", "x"] {
            assert!(name.parse::<Kernels>().is_err(), "{name}");
        }
        let portable = Kernels::all(|variant| variant == Variant::PORTABLE);
        let names: Vec<String> = portable.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["scalar-shared", "scalar-shared-apart"]);
    }
}
