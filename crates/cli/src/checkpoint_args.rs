//! What a person says about a checkpoint: where it is, and what its files leave open.

use std::path::Path;

use clap::{Args, ValueEnum};
use model::Activation;
use model::checkpoint::{I2sBlock, MasterRule, Overrides, ScaleConvention};

use crate::failure::bad_input;

/// Options that say what a checkpoint's files leave open.
#[derive(Debug, Args)]
pub(crate) struct OverrideArgs {
    /// What the stored scales of packed weights do, if the configuration does not say it
    #[arg(long, value_enum)]
    scale: Option<Scale>,
    /// What float matrices are [default: ternary if they hold one magnitude besides zero, else masters]
    #[arg(long, value_enum)]
    weights: Option<Weights>,
    /// Form of I2_S codes in a GGUF file, which no file states: blocks of 128 (the default) or, of ARM builds since November
    /// 2025, of 64
    #[arg(long, value_name = "N", value_parser = ["128", "64"])]
    i2s: Option<String>,
    /// Activation of the feed-forward network, if a GGUF file does not name it
    #[arg(long, value_enum)]
    activation: Option<ActivationArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ActivationArg {
    /// Squared ReLU
    Relu2,
    /// SiLU
    Silu,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scale {
    /// The scale is the multiplier of the codes
    Multiply,
    /// The scale is the inverse of the multiplier
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weights {
    /// Master weights, to be rounded by their mean magnitude
    Masters,
    /// Ternary already: one magnitude besides zero
    Ternary,
}

impl OverrideArgs {
    pub(crate) fn resolve(&self) -> Overrides {
        Overrides {
            scale: self.scale.map(|scale| match scale {
                Scale::Multiply => ScaleConvention::Multiply,
                Scale::Divide => ScaleConvention::Divide,
            }),
            masters: self.weights.map(|weights| match weights {
                Weights::Masters => MasterRule::AbsMean,
                Weights::Ternary => MasterRule::Ternary,
            }),
            i2s: self.i2s.as_deref().map(|block| match block {
                "64" => I2sBlock::Of64,
                _ => I2sBlock::Of128,
            }),
            activation: self.activation.map(|activation| match activation {
                ActivationArg::Relu2 => Activation::Relu2,
                ActivationArg::Silu => Activation::Silu,
            }),
        }
    }
}

/// The folder of an input, which may be a file.
pub(crate) fn input_folder(input: &Path) -> &Path {
    if !input.is_file() {
        return input;
    }
    match input.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The file of an input, if it is one.
///
/// # Errors
/// If its name is no Unicode.
pub(crate) fn input_file(input: &Path) -> anyhow::Result<Option<String>> {
    if !input.is_file() {
        return Ok(None);
    }
    let name = input.file_name().and_then(|name| name.to_str());
    match name {
        Some(name) => Ok(Some(name.to_string())),
        None => Err(bad_input(format!(
            "{}: the name of the file must be Unicode",
            input.display()
        ))),
    }
}
