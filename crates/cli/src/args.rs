//! Options that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Which model, and where it runs.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Folder of a package, as `tern convert` writes it
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Positions of the key-value cache [default: 4096 or what the model has, if less]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) context: Option<u32>,
    /// Element type of the key-value cache: f16 is the usual one, i8 takes half its memory and rounds more, f32 is for exact comparisons
    #[arg(long, value_enum, default_value_t = Kv::F16)]
    pub(crate) kv: Kv,
}

/// Where a model runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeviceArgs {
    /// Run on a GPU, or on the CPU reference (slow, for comparisons)
    #[arg(long, value_enum, default_value_t = Device::Gpu)]
    pub(crate) device: Device,
    /// Use the GPU adapter whose name contains NAME
    #[arg(long, value_name = "NAME")]
    pub(crate) adapter: Option<String>,

    /// Kernel variant, instead of the one that suits the adapter's features
    #[arg(long, value_name = "VARIANT")]
    pub(crate) variant: Option<engine::Variant>,
}

/// Kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// wgpu
    Gpu,
    /// The CPU reference
    Cpu,
}

/// Element type of the key-value cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kv {
    /// 32 bits
    F32,
    /// 16 bits
    F16,
    /// 8 bits, with a scale for each position and head
    I8,
}

impl From<Kv> for engine::KvType {
    fn from(kv: Kv) -> engine::KvType {
        match kv {
            Kv::F32 => engine::KvType::F32,
            Kv::F16 => engine::KvType::F16,
            Kv::I8 => engine::KvType::I8,
        }
    }
}

/// How tokens are chosen. What is not given comes from the package, and where that says nothing, from here.
#[derive(Debug, Args)]
pub(crate) struct SamplingArgs {
    /// Always take the most likely token
    #[arg(long, conflicts_with_all = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed"])]
    greedy: bool,
    /// Seed of the random choices; the same seed and prompt give the same answer [default: a new one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Divide logits by this; 0 takes the most likely token [default: the package's, else 0.7]
    #[arg(long, value_name = "T", allow_negative_numbers = true, value_parser = at_least_zero)]
    temperature: Option<f32>,
    /// Choose among the most likely tokens with this much probability together [default: the package's, else 0.95]
    #[arg(long, value_name = "P", allow_negative_numbers = true, value_parser = fraction)]
    top_p: Option<f32>,
    /// Choose among this many most likely tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: u32,
    /// Choose among tokens at least this likely, relative to the most likely one; 0 for all
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_negative_numbers = true, value_parser = fraction_or_zero)]
    min_p: f32,
    /// Make recent tokens less likely; 1 for no change [default: the package's, else 1]
    #[arg(long, value_name = "R", allow_negative_numbers = true, value_parser = positive)]
    repetition_penalty: Option<f32>,
}

impl SamplingArgs {
    /// The engine's sampling, with what the package suggests.
    pub(crate) fn resolve(
        &self,
        suggested: Option<&model::manifest::SuggestedSampling>,
    ) -> engine::Sampling {
        if self.greedy {
            return engine::Sampling::default();
        }
        engine::Sampling {
            temperature: self
                .temperature
                .or(suggested.map(|s| s.temperature))
                .unwrap_or(0.7),
            top_p: self.top_p.or(suggested.map(|s| s.top_p)).unwrap_or(0.95),
            top_k: self.top_k,
            min_p: self.min_p,
            repetition_penalty: self
                .repetition_penalty
                .or(suggested.map(|s| s.repetition_penalty))
                .unwrap_or(1.0),
            seed: self.seed.unwrap_or_else(random_seed),
            ..engine::Sampling::default()
        }
    }
}

/// A number that differs from run to run: the standard library keys its hash tables with system randomness.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

fn number(text: &str, is_fine: impl Fn(f32) -> bool, expected: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && is_fine(value) => Ok(value),
        _ => Err(format!("expected {expected}")),
    }
}

fn at_least_zero(text: &str) -> Result<f32, String> {
    number(text, |value| value >= 0.0, "a number of 0 or more")
}

fn positive(text: &str) -> Result<f32, String> {
    number(text, |value| value > 0.0, "a number above 0")
}

fn fraction(text: &str) -> Result<f32, String> {
    number(
        text,
        |value| value > 0.0 && value <= 1.0,
        "a number above 0 and up to 1",
    )
}

fn fraction_or_zero(text: &str) -> Result<f32, String> {
    number(
        text,
        |value| (0.0..=1.0).contains(&value),
        "a number from 0 to 1",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sampling: SamplingArgs,
    }

    fn parse(args: &[&str]) -> Result<SamplingArgs, clap::Error> {
        Line::try_parse_from([&["x"], args].concat()).map(|line| line.sampling)
    }

    const SUGGESTED: model::manifest::SuggestedSampling = model::manifest::SuggestedSampling {
        temperature: 0.4,
        top_p: 0.9,
        repetition_penalty: 1.1,
    };

    #[test]
    fn options_win_over_the_package_and_the_package_over_defaults() {
        let sampling = parse(&["--temperature", "0.2", "--seed", "7"])
            .unwrap()
            .resolve(Some(&SUGGESTED));
        assert_eq!(
            (
                sampling.temperature,
                sampling.top_p,
                sampling.repetition_penalty
            ),
            (0.2, 0.9, 1.1)
        );
        assert_eq!(sampling.seed, 7);
        let sampling = parse(&[]).unwrap().resolve(None);
        assert_eq!(
            (
                sampling.temperature,
                sampling.top_p,
                sampling.repetition_penalty
            ),
            (0.7, 0.95, 1.0)
        );
        assert_eq!(
            parse(&["--greedy"]).unwrap().resolve(Some(&SUGGESTED)),
            engine::Sampling::default()
        );
    }

    #[test]
    fn without_a_seed_answers_differ() {
        let seeds: std::collections::HashSet<u64> = (0..4)
            .map(|_| parse(&[]).unwrap().resolve(None).seed)
            .collect();
        assert!(seeds.len() > 1, "{seeds:?}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for args in [
            ["--temperature", "-1"],
            ["--temperature", "nan"],
            ["--top-p", "0"],
            ["--top-p", "1.5"],
            ["--min-p", "-0.1"],
            ["--repetition-penalty", "0"],
            ["--repetition-penalty", "inf"],
        ] {
            let joined = format!("{}={}", args[0], args[1]);
            assert!(parse(&[&joined]).is_err(), "{joined}");
        }
        assert!(parse(&["--greedy", "--top-k", "3"]).is_err());
    }
}
