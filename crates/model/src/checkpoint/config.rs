//! `config.json` of a Hugging Face checkpoint.

use serde_json::Value;

use super::json::Object;
use super::known::{Known, Stop};
use crate::error::shown;
use crate::{Activation, Architecture, Error};

/// Name of the file.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// Longest configuration that is read.
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// What a stored `weight_scale` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleConvention {
    /// It is the multiplier of the codes.
    Multiply,
    /// It is the inverse of the multiplier.
    Divide,
}

impl ScaleConvention {
    /// Name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            ScaleConvention::Multiply => "multiply",
            ScaleConvention::Divide => "divide",
        }
    }

    /// The multiplier for a stored scale.
    pub fn multiplier(self, weight_scale: f32) -> f32 {
        match self {
            ScaleConvention::Multiply => weight_scale,
            ScaleConvention::Divide => 1.0 / weight_scale,
        }
    }
}

/// What a configuration says about the matrices that are to be ternary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantization {
    /// It has packed codes whose scales mean this, or float matrices that belong to such a model.
    Bitnet(ScaleConvention),
    /// Its float matrices are made ternary when they are loaded.
    Online,
    /// Nothing: it may be an ordinary model.
    NotStated,
}

/// A configuration, reduced to what a conversion needs.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) architecture: Architecture,
    pub(crate) quantization: Quantization,
    pub(crate) bos_id: Option<u32>,
    pub(crate) eos_ids: Vec<u32>,
}

/// Reads the configuration.
///
/// # Errors
/// If the file is missing, a key is missing or has a value that this version does not know how to compute.
pub(crate) fn read_config(known: &Known) -> Result<Config, Stop> {
    let json: Option<Value> = known.json(CONFIG_FILE, MAX_CONFIG_BYTES)?;
    let purpose = "the architecture of the checkpoint";
    let json = json.ok_or(Error::FileMissing {
        file: CONFIG_FILE.to_string(),
        purpose,
    })?;
    let root = Object::root(CONFIG_FILE, &json)?;
    let architecture = read_architecture(&root)?;
    Ok(Config {
        architecture,
        quantization: read_quantization(&root)?,
        bos_id: root.ids("bos_token_id")?.first().copied(),
        eos_ids: root.ids("eos_token_id")?,
    })
}

fn read_architecture(root: &Object<'_>) -> Result<Architecture, Error> {
    let (family, sub_norms) = match architecture_name(root)?.as_str() {
        // The second one is that of the 1bitLLM models, which call their type "llama".
        "BitNetForCausalLM" | "BitnetForCausalLM" => ("bitnet", true),
        "LlamaForCausalLM" => ("llama", false),
        other => {
            return Err(Error::Unsupported {
                found: format!("architecture {}", shown(other)),
                supported: "BitNetForCausalLM, BitnetForCausalLM, LlamaForCausalLM",
            });
        }
    };
    for key in ["attention_bias", "mlp_bias"] {
        root.must_be_off(key)?;
    }
    let activation = match root
        .optional_str("hidden_act")?
        .ok_or_else(|| root.missing("hidden_act"))?
    {
        "relu2" => Activation::Relu2,
        "silu" | "swish" => Activation::Silu,
        other => return Err(root.wrong("hidden_act", "relu2 or silu", &other.into())),
    };
    let heads = root.u32("num_attention_heads")?;
    let hidden = root.u32("hidden_size")?;
    let kv_heads = match root.optional_u32("num_key_value_heads")? {
        Some(kv_heads) => kv_heads,
        // Llama checkpoints from before grouped queries leave the key out; BitNet's default differs, so it must be stated.
        None if family == "llama" => heads,
        None => return Err(root.missing("num_key_value_heads")),
    };
    let head_dim = match root.optional_u32("head_dim")? {
        Some(head_dim) => head_dim,
        None if heads > 0 && hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            let expected =
                format!("a multiple of num_attention_heads ({heads}), as there is no head_dim");
            return Err(root.wrong("hidden_size", &expected, &hidden.into()));
        }
    };
    let rms_eps = root
        .optional_f64("rms_norm_eps")?
        .ok_or_else(|| root.missing("rms_norm_eps"))?;
    let architecture = Architecture {
        family: family.to_string(),
        hidden,
        ffn: root.u32("intermediate_size")?,
        layers: root.u32("num_hidden_layers")?,
        heads,
        kv_heads,
        head_dim,
        vocab: root.u32("vocab_size")?,
        context: root.u32("max_position_embeddings")?,
        rms_eps: rms_eps as f32,
        rope_theta: read_rope_theta(root)?,
        activation,
        sub_norms,
        tied: root.bool("tie_word_embeddings")?,
    };
    // The same limits as for a manifest, but the file at fault is the configuration.
    architecture.validate("").map_err(|error| match error {
        Error::Manifest {
            field,
            expected,
            got,
        } => Error::KeyValue {
            file: CONFIG_FILE.to_string(),
            key: format!("architecture ({field})"),
            expected,
            got,
        },
        other => other,
    })?;
    Ok(architecture)
}

/// The class name in `architectures`; files without it are told apart by `model_type`.
fn architecture_name(root: &Object<'_>) -> Result<String, Error> {
    if let Some(value) = root.get("architectures") {
        let names = value
            .as_array()
            .and_then(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        return match names.as_deref() {
            Some([name]) => Ok((*name).to_string()),
            _ => Err(root.wrong("architectures", "a list of one name", value)),
        };
    }
    match root.optional_str("model_type")? {
        Some("bitnet") => Ok("BitNetForCausalLM".to_string()),
        Some("llama") if states_bits(root)? => Ok("BitnetForCausalLM".to_string()),
        Some("llama") => Ok("LlamaForCausalLM".to_string()),
        Some(other) => Ok(other.to_string()),
        None => Err(root.missing("architectures")),
    }
}

/// Whether the keys of the 1bitLLM models are there: the width of weights and activations.
fn states_bits(root: &Object<'_>) -> Result<bool, Error> {
    let weights = root.optional_u32("weight_bits")?;
    let activations = root.optional_u32("input_bits")?;
    match (weights, activations) {
        (None, None) => Ok(false),
        (Some(1), Some(8)) => Ok(true),
        (Some(1), other) => Err(root.wrong("input_bits", "8", &other.into())),
        (other, _) => Err(root.wrong("weight_bits", "1", &other.into())),
    }
}

/// The base of the rotary frequencies: `rope_parameters.rope_theta` in newer files, `rope_theta` in older ones. Any scaling
/// of the frequencies is refused.
fn read_rope_theta(root: &Object<'_>) -> Result<f64, Error> {
    let parameters = root.object("rope_parameters")?;
    let scaling = root.object("rope_scaling")?;
    for object in parameters.iter().chain(&scaling) {
        for key in ["rope_type", "type"] {
            match object.optional_str(key)? {
                None | Some("default") => {}
                Some(other) => return Err(object.wrong(key, "default", &other.into())),
            }
        }
    }
    for object in parameters.iter().chain([root]) {
        if let Some(factor) = object
            .optional_f64("partial_rotary_factor")?
            .filter(|&factor| factor != 1.0)
        {
            return Err(object.wrong("partial_rotary_factor", "1", &factor.into()));
        }
    }
    let from_parameters = parameters
        .map(|object| object.optional_f64("rope_theta"))
        .transpose()?
        .flatten();
    from_parameters
        .map_or_else(|| root.optional_f64("rope_theta"), |theta| Ok(Some(theta)))?
        .ok_or_else(|| root.missing("rope_theta"))
}

/// How the matrices are stored. A wrong guess inverts every multiplier, so everything unknown is refused.
fn read_quantization(root: &Object<'_>) -> Result<Quantization, Error> {
    if states_bits(root)? {
        return Ok(Quantization::Online);
    }
    let Some(quantization) = root.object("quantization_config")? else {
        return Ok(Quantization::NotStated);
    };
    match quantization.optional_str("quant_method")? {
        Some("bitnet") => {}
        Some(other) => return Err(quantization.wrong("quant_method", "bitnet", &other.into())),
        None => return Err(quantization.missing("quant_method")),
    }
    // A norm inside each projection.
    quantization.must_be_off("use_rms_norm")?;
    match quantization.optional_str("quantization_mode")? {
        None | Some("offline") => {}
        Some("online") => return Ok(Quantization::Online),
        Some(other) => {
            return Err(quantization.wrong(
                "quantization_mode",
                "offline or online",
                &other.into(),
            ));
        }
    }
    let convention = match quantization.optional_str("linear_class")? {
        Some("autobitlinear") => ScaleConvention::Multiply,
        // The first revision of the 2B-4T checkpoint has only this key.
        None if quantization.bool("offline_quantization")? => ScaleConvention::Multiply,
        None | Some("bitlinear") => ScaleConvention::Divide,
        Some(other) => {
            let expected = "autobitlinear or bitlinear";
            return Err(quantization.wrong("linear_class", expected, &other.into()));
        }
    };
    Ok(Quantization::Bitnet(convention))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
